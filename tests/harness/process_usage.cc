#include "tests/harness/process_usage.h"

#include <filesystem>
#include <fstream>
#include <string>

#include "absl/strings/str_cat.h"

namespace fsd::harness {
namespace {

size_t Count(const std::filesystem::path& directory) {
  size_t count = 0;
  std::error_code error;
  for (std::filesystem::directory_iterator entry(directory, error), end; !error && entry != end;
       entry.increment(error)) {
    ++count;
  }
  return count;
}

}  // namespace

std::ostream& operator<<(std::ostream& out, const ProcessUsage& usage) {
  return out << usage.fds << " fds, " << usage.mappings << " mappings, " << usage.anonymous_kib
             << " KiB";
}

ProcessUsage UsageOf(pid_t pid) {
  const std::filesystem::path process = absl::StrCat("/proc/", pid);
  ProcessUsage usage{.fds = Count(process / "fd")};
  std::ifstream maps(process / "maps");
  for (std::string line; std::getline(maps, line);) ++usage.mappings;
  std::ifstream status(process / "status");
  for (std::string line; std::getline(status, line);) {
    if (line.starts_with("RssAnon:")) usage.anonymous_kib = std::stoul(line.substr(8));
  }
  return usage;
}

std::vector<pid_t> ProcessesOf(pid_t keeper) {
  std::vector<pid_t> processes{keeper};
  std::ifstream children(absl::StrCat("/proc/", keeper, "/task/", keeper, "/children"));
  for (pid_t child; children >> child;) processes.push_back(child);
  return processes;
}

ProcessUsage UsageOfWorker(pid_t keeper) {
  ProcessUsage sum;
  for (const pid_t pid : ProcessesOf(keeper)) {
    const ProcessUsage one = UsageOf(pid);
    sum.fds += one.fds;
    sum.mappings += one.mappings;
    sum.anonymous_kib += one.anonymous_kib;
  }
  return sum;
}

}  // namespace fsd::harness
