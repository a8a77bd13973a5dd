// scale: what a thousand exports on one supervisor cost. SCALE.md beside this says what its figures
// mean.
//
// It drives an fsd as it ships, by its API: exports are made one after the other and then several
// at once, looked at while they idle, some of them loaded together, and all deleted. All that it
// starts ends with it, however it ends, and it ends within --limit.
#include <linux/fuse.h>
#include <stdlib.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <atomic>
#include <barrier>
#include <chrono>
#include <fstream>
#include <functional>
#include <iostream>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "server/errors/status_macros.h"
#include "tests/bench/fsd_process.h"
#include "tests/bench/load.h"
#include "tests/bench/process_usage.h"
#include "tests/bench/session.h"
#include "tests/harness/front_end.h"

namespace fsd::bench {
namespace {

using Clock = std::chrono::steady_clock;

struct Flags {
  std::string fsd = "server/exe/fsd";
  size_t exports = 1000;
  size_t at_once = 8;
  size_t loaded = 10;
  double load_seconds = 2;
  unsigned limit_seconds = 600;
  std::string json;
};

struct Times {
  double total_s = 0;
  double p50_ms = 0;
  double p99_ms = 0;
  double first_p50_ms = 0;  // of the first tenth
  double last_p50_ms = 0;   // of the last tenth
};

struct Snapshot {
  int64_t exports = 0;
  ProcessUsage supervisor;
  ProcessUsage workers;
};

struct Figures {
  Times created;  // one at a time
  Times created_at_once;
  Times deleted;
  Times deleted_at_once;
  std::vector<Snapshot> snapshots;
  int64_t machine_kib = 0;  // what the machine has less of with all the exports
  double slowest_per_second = 0;
  double fastest_per_second = 0;
};

double Milliseconds(Clock::duration duration) {
  return std::chrono::duration<double, std::milli>(duration).count();
}

double Quantile(std::vector<double> values, double quantile) {
  if (values.empty()) return 0;
  std::sort(values.begin(), values.end());
  return values[static_cast<size_t>(quantile * static_cast<double>(values.size() - 1))];
}

std::string IdOf(size_t index) { return absl::StrFormat("e%05d", index); }

// Runs `operation` for 0 … count - 1, in order, `at_once` of them at a time.
absl::StatusOr<Times> Repeat(size_t count, size_t at_once,
                             const std::function<absl::Status(size_t)>& operation) {
  std::vector<double> milliseconds(count);
  std::vector<absl::Status> failures(at_once);
  std::atomic<size_t> next{0};
  const auto began = Clock::now();
  {
    std::vector<std::jthread> threads;
    for (size_t thread = 0; thread < at_once; ++thread) {
      threads.emplace_back([&, thread] {
        for (size_t i = next++; i < count && failures[thread].ok(); i = next++) {
          const auto asked = Clock::now();
          failures[thread] = operation(i);
          milliseconds[i] = Milliseconds(Clock::now() - asked);
        }
      });
    }
  }
  const double total_s = Milliseconds(Clock::now() - began) / 1000;
  for (const absl::Status& failure : failures) FSD_RETURN_IF_ERROR(failure);
  const auto tenth = static_cast<std::ptrdiff_t>(std::max<size_t>(1, count / 10));
  return Times{.total_s = total_s,
               .p50_ms = Quantile(milliseconds, 0.5),
               .p99_ms = Quantile(milliseconds, 0.99),
               .first_p50_ms = Quantile({milliseconds.begin(), milliseconds.begin() + tenth}, 0.5),
               .last_p50_ms = Quantile({milliseconds.end() - tenth, milliseconds.end()}, 0.5)};
}

class Scale {
 public:
  Scale(Flags flags, std::unique_ptr<FsdProcess> fsd)
      : flags_(std::move(flags)), fsd_(std::move(fsd)), sockets_(flags_.exports) {}

  absl::StatusOr<Figures> Run() {
    for (size_t i = 0; i < flags_.exports; ++i) fsd_->MakeShare(IdOf(i));
    FSD_RETURN_IF_ERROR(WarmUp());
    FSD_ASSIGN_OR_RETURN(Snapshot none, Settled(0));
    figures_.snapshots.push_back(none);
    const int64_t available = AvailableMemoryKib();
    FSD_RETURN_IF_ERROR(CreateOneByOne());
    FSD_ASSIGN_OR_RETURN(Snapshot all, Settled(flags_.exports));
    figures_.snapshots.push_back(all);
    figures_.machine_kib = available - AvailableMemoryKib();
    FSD_RETURN_IF_ERROR(LoadSome());
    FSD_ASSIGN_OR_RETURN(figures_.deleted_at_once,
                         Repeat(flags_.exports, flags_.at_once, Deletion()));
    FSD_ASSIGN_OR_RETURN(figures_.created_at_once,
                         Repeat(flags_.exports, flags_.at_once, Creation(0)));
    FSD_ASSIGN_OR_RETURN(figures_.deleted, Repeat(flags_.exports, 1, Deletion()));
    FSD_RETURN_IF_ERROR(Settled(0).status());
    return std::move(figures_);
  }

 private:
  std::function<absl::Status(size_t)> Creation(size_t first) {
    return [this, first](size_t i) -> absl::Status {
      FSD_ASSIGN_OR_RETURN(sockets_[first + i], fsd_->Create(IdOf(first + i)));
      return absl::OkStatus();
    };
  }
  std::function<absl::Status(size_t)> Deletion() {
    return [this](size_t i) { return fsd_->Delete(IdOf(i)); };
  }

  // Makes what the supervisor makes once: its threads for calls, its connection's descriptors.
  absl::Status WarmUp() {
    const size_t count = std::min(flags_.exports, flags_.at_once);
    FSD_RETURN_IF_ERROR(Repeat(count, count, Creation(0)).status());
    return Repeat(count, count, Deletion()).status();
  }

  // With a snapshot at the half.
  absl::Status CreateOneByOne() {
    std::vector<Times> halves;
    const size_t half = flags_.exports / 2;
    FSD_ASSIGN_OR_RETURN(Times first, Repeat(half, 1, Creation(0)));
    FSD_ASSIGN_OR_RETURN(Snapshot middle, Settled(half));
    figures_.snapshots.push_back(middle);
    FSD_ASSIGN_OR_RETURN(const Times second, Repeat(flags_.exports - half, 1, Creation(half)));
    figures_.created = {.total_s = first.total_s + second.total_s,
                        .p50_ms = (first.p50_ms + second.p50_ms) / 2,
                        .p99_ms = std::max(first.p99_ms, second.p99_ms),
                        .first_p50_ms = first.first_p50_ms,
                        .last_p50_ms = second.last_p50_ms};
    return absl::OkStatus();
  }

  // As it is when two looks in a row have found the same, a tenth of a second apart: an export is
  // ready a moment before its processes have closed and started everything.
  absl::StatusOr<Snapshot> Settled(size_t exports) {
    const auto deadline = Clock::now() + harness::kPatience;
    ProcessUsage earlier;
    std::vector<pid_t> workers;
    while (true) {
      workers = ProcessesBelow(fsd_->pid());
      const ProcessUsage now = UsageOf(workers, Memory::kLeftOut);
      if (now == earlier && (exports > 0 || now.processes == 0)) break;
      if (Clock::now() > deadline) return absl::DeadlineExceededError("the workers do not settle");
      earlier = now;
      std::this_thread::sleep_for(std::chrono::milliseconds(100));
    }
    return Snapshot{.exports = static_cast<int64_t>(exports),
                    .supervisor = UsageOf({fsd_->pid()}, Memory::kIncluded),
                    .workers = UsageOf(workers, Memory::kIncluded)};
  }

  // GETATTRs on some exports together, the others idle beside them.
  absl::Status LoadSome() {
    const size_t count = std::min(flags_.loaded, flags_.exports);
    std::vector<absl::StatusOr<LoadResult>> results(count, absl::UnknownError("not run"));
    std::barrier all_ready(static_cast<std::ptrdiff_t>(count));
    {
      std::vector<std::jthread> threads;
      for (size_t i = 0; i < count; ++i) {
        threads.emplace_back([&, i] { results[i] = LoadOne(sockets_[i], all_ready); });
      }
    }
    std::vector<double> rates;
    for (const absl::StatusOr<LoadResult>& result : results) {
      FSD_RETURN_IF_ERROR(result.status());
      rates.push_back(static_cast<double>(result->requests) / result->seconds);
    }
    if (rates.empty()) return absl::OkStatus();
    figures_.slowest_per_second = *std::min_element(rates.begin(), rates.end());
    figures_.fastest_per_second = *std::max_element(rates.begin(), rates.end());
    return absl::OkStatus();
  }

  absl::StatusOr<LoadResult> LoadOne(const std::string& socket, std::barrier<>& all_ready) const {
    constexpr size_t kInFlight = 4;
    const Step getattr{.opcode = FUSE_GETATTR,
                       .node = FUSE_ROOT_ID,
                       .arguments = std::vector<std::byte>(sizeof(fuse_getattr_in)),
                       .reply_bytes = sizeof(fuse_attr_out),
                       .least_reply_bytes = sizeof(fuse_attr_out)};
    auto front_end = harness::FrontEnd::Connect(socket, {.memory_bytes = size_t{4} << 20});
    absl::Status ready = front_end.ok() ? (*front_end)->Start() : front_end.status();
    if (ready.ok()) ready = Session::Mount(**front_end).status();
    all_ready.arrive_and_wait();
    FSD_RETURN_IF_ERROR(ready);
    Load load(**front_end, std::vector<Script>(kInFlight, Script{getattr}), 1, Completion::kCalled);
    return load.Run(std::chrono::duration_cast<std::chrono::nanoseconds>(
        std::chrono::duration<double>(flags_.load_seconds)));
  }

  const Flags flags_;
  const std::unique_ptr<FsdProcess> fsd_;
  std::vector<std::string> sockets_;
  Figures figures_;
};

// --- the report ---

double PerExport(int64_t sum, const Snapshot& snapshot) {
  return static_cast<double>(sum) / static_cast<double>(std::max<int64_t>(1, snapshot.exports));
}

void PrintTimes(std::string_view what, const Times& times) {
  std::cout << absl::StrFormat("| %s | %.1f | %.1f | %.1f | %.1f | %.1f |\n", std::string(what),
                               times.total_s, times.p50_ms, times.p99_ms, times.first_p50_ms,
                               times.last_p50_ms);
}

void PrintMarkdown(const Flags& flags, const Figures& figures) {
  std::cout << "| calls | total s | p50 ms | p99 ms | p50 of the first tenth | of the last |\n"
               "|---|---|---|---|---|---|\n";
  const std::string at_once = absl::StrCat(flags.at_once, " at once");
  PrintTimes("CreateExport, one at a time", figures.created);
  PrintTimes("CreateExport, " + at_once, figures.created_at_once);
  PrintTimes("DeleteExport, one at a time", figures.deleted);
  PrintTimes("DeleteExport, " + at_once, figures.deleted_at_once);
  std::cout << "\n| exports | PSS KiB | anonymous | file | shared memory | page tables KiB | "
               "processes | threads | fds | supervisor PSS KiB | its threads | its fds |\n"
               "|---|---|---|---|---|---|---|---|---|---|---|---|\n";
  for (const Snapshot& s : figures.snapshots) {
    const ProcessUsage& w = s.workers;
    std::cout << absl::StrFormat(
        "| %d | %.0f | %.0f | %.0f | %.0f | %.0f | %.2f | %.2f | %.2f | %d | %d | %d |\n",
        s.exports, PerExport(w.pss_kib, s), PerExport(w.pss_anonymous_kib, s),
        PerExport(w.pss_file_kib, s), PerExport(w.pss_shared_memory_kib, s),
        PerExport(w.page_tables_kib, s), PerExport(w.processes, s), PerExport(w.threads, s),
        PerExport(w.fds, s), s.supervisor.pss_kib, s.supervisor.threads, s.supervisor.fds);
  }
  std::cout << absl::StrFormat("\n* what the machine has less of, per export: %.0f KiB\n",
                               PerExport(figures.machine_kib, figures.snapshots.back()))
            << absl::StrFormat(
                   "* %d exports loaded together: %.0f to %.0f requests/s, fastest / slowest "
                   "%.2f\n",
                   std::min(flags.loaded, flags.exports), figures.slowest_per_second,
                   figures.fastest_per_second,
                   figures.fastest_per_second / std::max(1.0, figures.slowest_per_second));
}

std::string JsonOf(const ProcessUsage& usage) {
  return absl::StrFormat(
      R"({"processes": %d, "threads": %d, "fds": %d, "pss_kib": %d, "page_tables_kib": %d})",
      usage.processes, usage.threads, usage.fds, usage.pss_kib, usage.page_tables_kib);
}

std::string JsonOf(const Times& times) {
  return absl::StrFormat(R"({"total_s": %f, "p50_ms": %f, "p99_ms": %f})", times.total_s,
                         times.p50_ms, times.p99_ms);
}

absl::Status WriteJson(const Figures& figures, const std::string& path) {
  std::vector<std::string> snapshots;
  for (const Snapshot& s : figures.snapshots) {
    snapshots.push_back(absl::StrFormat(R"({"exports": %d, "supervisor": %s, "workers": %s})",
                                        s.exports, JsonOf(s.supervisor), JsonOf(s.workers)));
  }
  std::ofstream file(path);
  file << "{\"created\": " << JsonOf(figures.created)
       << ",\n\"created_at_once\": " << JsonOf(figures.created_at_once)
       << ",\n\"deleted\": " << JsonOf(figures.deleted)
       << ",\n\"deleted_at_once\": " << JsonOf(figures.deleted_at_once) << ",\n\"snapshots\": [\n"
       << absl::StrJoin(snapshots, ",\n")
       << absl::StrFormat("],\n\"slowest_per_second\": %f, \"fastest_per_second\": %f}\n",
                          figures.slowest_per_second, figures.fastest_per_second);
  file.close();
  return file ? absl::OkStatus() : absl::InternalError("cannot write " + path);
}

absl::Status Run(const Flags& flags) {
  FSD_ASSIGN_OR_RETURN(std::unique_ptr<FsdProcess> fsd, FsdProcess::Start(flags.fsd));
  FSD_ASSIGN_OR_RETURN(const Figures figures, Scale(flags, std::move(fsd)).Run());
  PrintMarkdown(flags, figures);
  return flags.json.empty() ? absl::OkStatus() : WriteJson(figures, flags.json);
}

int Main(int argc, char** argv) {
  Flags flags;
  CLI::App app("What many exports on one supervisor cost");
  app.add_option("--fsd", flags.fsd, "fsd, with fsd-worker beside it")->capture_default_str();
  app.add_option("--exports", flags.exports)->check(CLI::Range(4, 20000))->capture_default_str();
  app.add_option("--at-once", flags.at_once, "calls under way together")
      ->check(CLI::Range(1, 64))
      ->capture_default_str();
  app.add_option("--loaded", flags.loaded, "exports that are loaded together")
      ->capture_default_str();
  app.add_option("--load-seconds", flags.load_seconds)->capture_default_str();
  app.add_option("--limit", flags.limit_seconds, "seconds after which it gives up")
      ->capture_default_str();
  app.add_option("--json", flags.json, "also write it as JSON");
  CLI11_PARSE(app, argc, argv);
  // By SIGALRM's default action; fsd notices and ends its workers.
  ::alarm(flags.limit_seconds);
  const absl::Status done = Run(flags);
  if (!done.ok()) std::cerr << "scale: " << done.ToString() << "\n";
  return done.ok() ? 0 : 1;
}

}  // namespace
}  // namespace fsd::bench

int main(int argc, char** argv) { return fsd::bench::Main(argc, argv); }
