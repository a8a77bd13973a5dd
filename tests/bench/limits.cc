// limits: how near a worker comes to the limits that it is given, and how far it keeps below them.
// QOS.md beside this says what its figures mean.
//
// For each limit an export of its own, whose guest keeps requests in flight on one vring or on
// four. All that it starts ends with it.
#include <fcntl.h>
#include <linux/fuse.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <chrono>
#include <cmath>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "server/errors/status_macros.h"
#include "server/os/unique_fd.h"
#include "tests/bench/back_end.h"
#include "tests/bench/load.h"
#include "tests/bench/scripts.h"
#include "tests/bench/session.h"
#include "tests/bench/tree.h"
#include "tests/harness/front_end.h"
#include "tests/harness/running_supervisor.h"

namespace fsd::bench {
namespace {

namespace fs = std::filesystem;

struct Flags {
  std::string worker = "server/exe/fsd-worker";
  double seconds = 5;
  std::string json;
};

struct Limit {
  const char* name;
  uint64_t operations_per_second = 0;
  uint64_t bytes_per_second = 0;
  absl::StatusOr<Script> (*script)(Session& session, size_t lane, size_t lanes);
};

constexpr uint64_t kMebibyte = uint64_t{1} << 20;
const Limit kLimits[] = {
    {"100 operations/s, GETATTR", 100, 0, GetattrScript},
    {"1,000 operations/s, GETATTR", 1'000, 0, GetattrScript},
    {"10,000 operations/s, GETATTR", 10'000, 0, GetattrScript},
    {"1 MiB/s, READ 4K", 0, 1 * kMebibyte, ReadScript<4096, true>},
    {"10 MiB/s, READ 4K", 0, 10 * kMebibyte, ReadScript<4096, true>},
    {"10 MiB/s, READ 128K", 0, 10 * kMebibyte, ReadScript<131072, false>},
    {"100 MiB/s, READ 128K", 0, 100 * kMebibyte, ReadScript<131072, false>},
    {"no limit, GETATTR", 0, 0, GetattrScript},
};
constexpr size_t kInFlight = 16;  // on each vring
// Of a burst there is a tenth of a second's worth, used up before anything is counted.
constexpr uint64_t kBurstsPerSecond = 10;

struct Figure {
  const Limit* limit = nullptr;
  size_t vrings = 0;
  double per_second = 0;
  double share = 0;  // of the limit; NaN if there is none
  double cpu = 0;    // of one processor
};

absl::StatusOr<Figure> MeasureWith(harness::RunningSupervisor& supervisor, const Limit& limit,
                                   size_t vrings, double seconds) {
  internal::ExportSpec spec;
  spec.set_id("limited");
  spec.set_source_path(supervisor.share("limited"));
  spec.set_tag("limited");
  spec.set_cache(internal::ExportSpec::CACHE_AUTO);
  spec.set_request_queues(static_cast<uint32_t>(vrings));
  FSD_ASSIGN_OR_RETURN(const supervisor::ExportView view, supervisor.Create(std::move(spec)));
  const absl::Cleanup remove = [&] { supervisor.Delete("limited", true).IgnoreError(); };
  FSD_ASSIGN_OR_RETURN(
      const std::unique_ptr<harness::FrontEnd> front_end,
      harness::FrontEnd::Connect(view.record.spec().socket_path(),
                                 {.queues = 1 + vrings, .memory_bytes = 96 * kMebibyte}));
  FSD_RETURN_IF_ERROR(front_end->Start());
  FSD_ASSIGN_OR_RETURN(Session session, Session::Mount(*front_end));
  std::vector<Script> scripts;
  const size_t lanes = kInFlight * vrings;
  for (size_t lane = 0; lane < lanes; ++lane) {
    FSD_ASSIGN_OR_RETURN(Script script, limit.script(session, lane, lanes));
    scripts.push_back(std::move(script));
  }
  Load load(*front_end, std::move(scripts), vrings, Completion::kCalled);
  FSD_RETURN_IF_ERROR(
      supervisor
          .Update("limited",
                  [&](internal::ExportSpec& limited) {
                    internal::ExportSpec::Rate& rate = *limited.mutable_qos()->mutable_total();
                    rate.set_operations_per_second(limit.operations_per_second);
                    rate.set_burst_operations(limit.operations_per_second / kBurstsPerSecond);
                    rate.set_bytes_per_second(limit.bytes_per_second);
                    rate.set_burst_bytes(limit.bytes_per_second / kBurstsPerSecond);
                  })
          .status());
  FSD_RETURN_IF_ERROR(load.Run(std::chrono::milliseconds(300)).status());
  const ProcessTree processes(view.worker_pid);
  const CpuTime before = processes.Used();
  FSD_ASSIGN_OR_RETURN(const LoadResult result,
                       load.Run(std::chrono::nanoseconds(static_cast<int64_t>(seconds * 1e9))));
  const CpuTime after = processes.Used();
  const bool of_bytes = limit.bytes_per_second != 0;
  Figure figure{.limit = &limit, .vrings = vrings};
  figure.per_second =
      static_cast<double>(of_bytes ? result.bytes : result.requests) / result.seconds;
  figure.share = figure.per_second / static_cast<double>(of_bytes ? limit.bytes_per_second
                                                                  : limit.operations_per_second);
  figure.cpu = static_cast<double>(after.clock_ns - before.clock_ns) / 1e9 / result.seconds;
  return figure;
}

void PrintMarkdown(const std::vector<Figure>& figures) {
  std::cout << "| limit | vrings | reached | of the limit | CPU |\n|---|---|---|---|---|\n";
  for (const Figure& figure : figures) {
    const bool of_bytes = figure.limit->bytes_per_second != 0;
    std::cout << absl::StrFormat(
        "| %s | %d | %s | %s | %.1f %% |\n", figure.limit->name, figure.vrings,
        of_bytes ? absl::StrFormat("%.2f MiB/s", figure.per_second / static_cast<double>(kMebibyte))
                 : absl::StrFormat("%.1f/s", figure.per_second),
        std::isfinite(figure.share) ? absl::StrFormat("%.2f %%", 100 * figure.share) : "–",
        100 * figure.cpu);
  }
}

absl::Status WriteJson(const std::vector<Figure>& figures, const std::string& path) {
  std::ofstream file(path);
  file << "[";
  for (size_t i = 0; i < figures.size(); ++i) {
    const Figure& figure = figures[i];
    file << (i == 0 ? "\n" : ",\n")
         << absl::StrFormat(
                "{\"limit\": \"%s\", \"vrings\": %d, \"per_second\": %.3f, \"share\": %s, "
                "\"cpu\": %.4f}",
                figure.limit->name, figure.vrings, figure.per_second,
                std::isfinite(figure.share) ? absl::StrFormat("%.5f", figure.share) : "null",
                figure.cpu);
  }
  file << "\n]\n";
  file.close();
  if (!file) return absl::InternalError("cannot write " + path);
  return absl::OkStatus();
}

absl::Status Run(const Flags& flags) {
  FSD_ASSIGN_OR_RETURN(const std::unique_ptr<harness::RunningSupervisor> supervisor,
                       harness::RunningSupervisor::Start(fs::canonical(flags.worker).string()));
  FSD_RETURN_IF_ERROR(MakeTree(supervisor->share("limited"), true));
  std::vector<Figure> figures;
  for (const Limit& limit : kLimits) {
    for (const size_t vrings : {size_t{1}, size_t{4}}) {
      absl::StatusOr<Figure> figure = MeasureWith(*supervisor, limit, vrings, flags.seconds);
      if (!figure.ok()) return Annotate(figure.status(), limit.name);
      figures.push_back(*figure);
    }
  }
  PrintMarkdown(figures);
  return flags.json.empty() ? absl::OkStatus() : WriteJson(figures, flags.json);
}

int Main(int argc, char** argv) {
  Flags flags;
  CLI::App app("How near a worker comes to the limits that it is given");
  app.add_option("--worker", flags.worker, "fsd-worker")->capture_default_str();
  app.add_option("--seconds", flags.seconds, "for each limit")->capture_default_str();
  app.add_option("--json", flags.json, "also write it as JSON");
  CLI11_PARSE(app, argc, argv);
  const os::UniqueFd console(::fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 3));
  const os::UniqueFd log(::open("/dev/null", O_WRONLY | O_CLOEXEC));
  if (!log.valid() || ::dup2(log.get(), STDERR_FILENO) < 0) return 1;
  const absl::Status done = Run(flags);
  if (!done.ok()) ::dprintf(console.get(), "limits: %s\n", done.ToString().c_str());
  return done.ok() ? 0 : 1;
}

}  // namespace
}  // namespace fsd::bench

int main(int argc, char** argv) { return fsd::bench::Main(argc, argv); }
