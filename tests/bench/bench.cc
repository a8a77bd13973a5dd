// bench: fsd against its peers and against the bare system calls, in one run and one table.
//
// The subjects take turns in every round, so that what else the machine does falls on all of them;
// the figures are medians over the rounds. RESULTS.md beside this says what they mean.
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <sys/mount.h>
#include <sys/statfs.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "server/errors/status_macros.h"
#include "server/os/unique_fd.h"
#include "tests/bench/back_end.h"
#include "tests/bench/bare_context.h"
#include "tests/bench/measurement.h"
#include "tests/bench/report.h"
#include "tests/bench/tree.h"
#include "tests/bench/workload.h"
#include "tests/harness/running_supervisor.h"

namespace fsd::bench {
namespace {

namespace fs = std::filesystem;

struct Flags {
  std::string worker = "server/exe/fsd-worker";
  std::string c_virtiofsd = "/usr/lib/qemu/virtiofsd";  // of Debian's qemu-system-common
  std::string rust_virtiofsd = "/usr/libexec/virtiofsd";
  std::string json;
  std::string markdown;
  std::string only;
  size_t in_flight = 0;  // 0: as the mode has it
  size_t vrings = 1;
  bool called = false;
  uint32_t poll_us = 0;
  int rounds = 0;    // 0: as the mode has it
  int budget_s = 0;  // the same
  std::string log = "/dev/null";
  bool quick = false;
  bool smoke = false;
  bool alone = false;
};

std::string FirstMatch(const char* path, std::string_view key) {
  std::ifstream file(path);
  for (std::string line; std::getline(file, line);) {
    if (line.starts_with(key)) return line.substr(line.find(':') + 2);
  }
  return "";
}

std::string LoadAverage() {
  std::ifstream file("/proc/loadavg");
  std::string minute;
  file >> minute;
  return minute;
}

std::string Machine(const std::string& directory) {
  utsname system{};
  ::uname(&system);
  struct statfs info {};
  ::statfs(directory.c_str(), &info);
  return absl::StrFormat("%s, %d CPUs, Linux %s, file system 0x%x",
                         FirstMatch("/proc/cpuinfo", "model name"),
                         std::thread::hardware_concurrency(), system.release, info.f_type);
}

// A tmpfs while this lives.
class MemoryDirectory {
 public:
  static absl::StatusOr<std::unique_ptr<MemoryDirectory>> Mount(const std::string& path) {
    fs::create_directories(path);
    if (::mount("bench", path.c_str(), "tmpfs", 0, nullptr) != 0) {
      return ErrnoStatus(Errno::Last(), "mount a tmpfs on " + path);
    }
    return std::unique_ptr<MemoryDirectory>(new MemoryDirectory(path));
  }
  ~MemoryDirectory() { ::umount2(path_.c_str(), MNT_DETACH); }
  const std::string& path() const { return path_; }

 private:
  explicit MemoryDirectory(std::string path) : path_(std::move(path)) {}
  const std::string path_;
};

std::vector<Row> Plan(const Flags& flags) {
  std::vector<Row> rows;
  const auto add = [&](Manner manner, bool only_some) {
    for (const Workload& workload : Workloads()) {
      const bool some = workload.name == "GETATTR" || workload.name == "LOOKUP known" ||
                        workload.name == "READ 4K random" || workload.name == "WRITE 4K random";
      if (only_some && !some) continue;
      if (!absl::StrContains(Absl(workload.name), flags.only)) continue;
      rows.push_back({.workload = &workload, .manner = manner, .samples = {}, .bare_us = {}});
    }
  };
  if (flags.in_flight != 0) {
    add({.depth = flags.in_flight,
         .vrings = flags.vrings,
         .completion = flags.called ? Completion::kCalled : Completion::kPolled},
        false);
    return rows;
  }
  if (flags.smoke) {
    add({.depth = 4}, false);
    add({.depth = 1, .completion = Completion::kCalled}, true);
    add({.depth = 2, .vrings = 2}, true);
    return rows;
  }
  add({.depth = 16}, false);
  if (flags.quick) {
    add({.depth = 1, .completion = Completion::kCalled}, true);
    add({.depth = 16, .completion = Completion::kCalled}, true);
    add({.depth = 16, .vrings = 4}, true);
    return rows;
  }
  for (const Completion completion : {Completion::kPolled, Completion::kCalled}) {
    for (const size_t vrings : {1, 2, 4}) {
      for (const size_t depth : {1, 16, 64}) {
        const Manner manner{.depth = depth, .vrings = vrings, .completion = completion};
        if ((depth > 1 || vrings == 1) && manner != Manner{}) add(manner, false);
      }
    }
  }
  return rows;
}

// Fills in the rows' samples, of every round.
absl::Status MeasureAll(std::vector<Row>& rows,
                        const std::vector<std::unique_ptr<BackEnd>>& subjects,
                        const std::string& on_disk, const std::string& in_memory, int rounds,
                        std::chrono::nanoseconds duration, int console) {
  // Peer, fsd, peer, bare: so that no subject is always next to the same one.
  std::vector<size_t> order;
  for (size_t i = 1; i < subjects.size(); ++i) order.push_back(i);
  order.insert(order.begin() + (order.empty() ? 0 : 1), 0);
  // A workload's rows one after another: what a row is compared with was measured shortly before.
  std::vector<Row*> by_workload;
  for (Row& row : rows) by_workload.push_back(&row);
  std::stable_sort(by_workload.begin(), by_workload.end(),
                   [](const Row* a, const Row* b) { return a->workload < b->workload; });
  for (Row& row : rows) row.samples.resize(subjects.size());
  std::map<const Workload*, std::vector<double>> bare_us;
  for (int round = 0; round < rounds; ++round) {
    for (Row* const measured : by_workload) {
      Row& row = *measured;
      const std::string& directory = row.workload->in_memory ? in_memory : on_disk;
      for (const size_t subject : order) {
        std::vector<Sample>& samples = row.samples[subject];
        if (round > 0 && samples.empty()) continue;  // it cannot
        const absl::StatusOr<Sample> sample =
            Measure(*subjects[subject], directory, *row.workload, row.manner, duration);
        if (absl::IsUnimplemented(sample.status())) continue;
        if (!sample.ok()) return sample.status();
        samples.push_back(*sample);
      }
      std::vector<double>& bare = bare_us[row.workload];
      if (row.workload->bare != nullptr && bare.size() <= static_cast<size_t>(round)) {
        FSD_ASSIGN_OR_RETURN(const double microseconds,
                             MeasureBare(row.workload->bare, directory, duration));
        bare.push_back(microseconds);
      }
    }
    ::dprintf(console, "round %d of %d done\n", round + 1, rounds);
  }
  for (Row& row : rows) row.bare_us = bare_us[row.workload];
  return absl::OkStatus();
}

// `console`: where progress is told.
absl::Status Run(const Flags& flags, const std::string& command, int console) {
  const std::string started =
      absl::FormatTime("%Y-%m-%d %H:%M UTC", absl::Now(), absl::UTCTimeZone());
  const std::string load_before = LoadAverage();
  FSD_ASSIGN_OR_RETURN(const std::unique_ptr<harness::RunningSupervisor> supervisor,
                       harness::RunningSupervisor::Start(fs::canonical(flags.worker).string()));
  const std::string directory = supervisor->share("bench");
  FSD_RETURN_IF_ERROR(MakeTree(directory, true));
  FSD_ASSIGN_OR_RETURN(const std::unique_ptr<MemoryDirectory> memory,
                       MemoryDirectory::Mount(supervisor->share("memory")));
  FSD_RETURN_IF_ERROR(MakeTree(memory->path(), false));

  std::vector<std::unique_ptr<BackEnd>> subjects;
  subjects.push_back(MakeFsd(*supervisor, flags.poll_us));
  if (!flags.alone && fs::exists(flags.c_virtiofsd)) {
    subjects.push_back(MakeCVirtiofsd(flags.c_virtiofsd));
  }
  if (!flags.alone && fs::exists(flags.rust_virtiofsd)) {
    subjects.push_back(MakeRustVirtiofsd(flags.rust_virtiofsd));
  }

  Report report;
  report.rows = Plan(flags);
  const int rounds = flags.rounds != 0 ? flags.rounds : flags.smoke ? 1 : flags.quick ? 9 : 3;
  const int budget_s = flags.budget_s != 0 ? flags.budget_s : flags.quick ? 240 : 720;
  // Each start costs some time; the bare calls are measured once a round.
  double measurements = 0;
  std::set<const Workload*> workloads;
  for (const Row& row : report.rows) {
    workloads.insert(row.workload);
    // The peers have one request queue.
    measurements += row.manner.vrings == 1 ? static_cast<double>(subjects.size()) : 1;
  }
  measurements += static_cast<double>(workloads.size());
  constexpr double kStartSeconds = 0.1;
  const double share = budget_s / (measurements * rounds) - kStartSeconds;
  // A measurement warms up for a fifth of its duration.
  const std::chrono::duration<double> duration(flags.smoke ? 0.01 : std::max(0.05, share / 1.2));
  FSD_RETURN_IF_ERROR(MeasureAll(report.rows, subjects, directory, memory->path(), rounds,
                                 std::chrono::duration_cast<std::chrono::nanoseconds>(duration),
                                 console));

  for (const auto& subject : subjects) report.subjects.emplace_back(subject->name());
  // What no back-end can do is no row.
  std::erase_if(report.rows, [](const Row& row) {
    return std::none_of(row.samples.begin(), row.samples.end(),
                        [](const auto& samples) { return !samples.empty(); });
  });
  report.about = {
      {"date", started},
      {"machine", Machine(directory)},
      {"load average before and after", absl::StrCat(load_before, ", ", LoadAverage())},
      {"command", command},
      {"rounds", absl::StrCat(rounds, " of ", absl::StrFormat("%.2f", duration.count()), " s")}};
  PrintMarkdown(report, std::cout);
  if (!flags.markdown.empty()) {
    std::ofstream file(flags.markdown);
    PrintMarkdown(report, file);
  }
  if (!flags.json.empty()) {
    std::ofstream file(flags.json);
    PrintJson(report, file);
    file.close();
    if (!file) return absl::InternalError("cannot write " + flags.json);
  }
  return absl::OkStatus();
}

int Main(int argc, char** argv) {
  Flags flags;
  CLI::App app("fsd against its peers and against the bare system calls");
  app.add_option("--worker", flags.worker, "fsd-worker")->capture_default_str();
  app.add_option("--c-virtiofsd", flags.c_virtiofsd, "left out if missing")->capture_default_str();
  app.add_option("--rust-virtiofsd", flags.rust_virtiofsd, "left out if missing")
      ->capture_default_str();
  app.add_flag("--quick", flags.quick, "about three minutes instead of less than 15");
  app.add_flag("--smoke", flags.smoke, "every workload, too short for figures");
  app.add_flag("--alone", flags.alone, "no peers");
  app.add_option("--only", flags.only, "the workloads whose name contains this");
  app.add_option("--in-flight", flags.in_flight, "only with as many requests in flight, …")
      ->check(CLI::Range(size_t{1}, kMaxLanes));
  app.add_option("--vrings", flags.vrings, "… on as many vrings, …");
  app.add_flag("--called", flags.called, "… completions waited for by call, not polled");
  app.add_option("--poll-us", flags.poll_us, "fsd's option poll_us")->capture_default_str();
  app.add_option("--rounds", flags.rounds, "how often each is measured");
  app.add_option("--budget", flags.budget_s, "seconds for all of it");
  app.add_option("--json", flags.json, "also write it as JSON");
  app.add_option("--markdown", flags.markdown, "also write the table here");
  app.add_option("--log", flags.log, "where the servers' log goes")->capture_default_str();
  CLI11_PARSE(app, argc, argv);
  const std::string command = absl::StrJoin(std::vector<std::string>(argv + 1, argv + argc), " ");
  const os::UniqueFd console(::fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 3));
  const os::UniqueFd log(::open(flags.log.c_str(), O_WRONLY | O_CREAT | O_APPEND, 0600));
  if (!log.valid() || ::dup2(log.get(), STDERR_FILENO) < 0) return 1;
  // In a mount namespace of its own, so that no mount outlives it however it ends.
  if (::unshare(CLONE_NEWNS) != 0 || ::mount("", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0) {
    ::dprintf(console.get(), "bench: needs root\n");
    return 1;
  }
  const absl::Status done = Run(flags, command, console.get());
  if (!done.ok()) ::dprintf(console.get(), "bench: %s\n", done.ToString().c_str());
  return done.ok() ? 0 : 1;
}

}  // namespace
}  // namespace fsd::bench

int main(int argc, char** argv) { return fsd::bench::Main(argc, argv); }
