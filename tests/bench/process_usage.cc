#include "tests/bench/process_usage.h"

#include <linux/kcmp.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>
#include <sstream>
#include <string>
#include <string_view>
#include <system_error>

#include "absl/strings/str_cat.h"

namespace fsd::bench {
namespace {

namespace fs = std::filesystem;

std::string InProc(pid_t process, std::string_view name) {
  return absl::StrCat("/proc/", process, "/", std::string(name));
}

// 0 if it is gone.
pid_t ParentOf(pid_t process) {
  std::ifstream file(InProc(process, "stat"));
  std::string line;
  std::getline(file, line);
  const size_t end_of_name = line.rfind(')');
  if (end_of_name == std::string::npos) return 0;
  std::istringstream rest(line.substr(end_of_name + 1));
  char state = 0;
  pid_t parent = 0;
  rest >> state >> parent;
  return parent;
}

int64_t EntriesOf(const std::string& directory) {
  int64_t entries = 0;
  std::error_code gone;
  for (fs::directory_iterator entry(directory, gone), end; !gone && entry != end;
       entry.increment(gone)) {
    ++entries;
  }
  return entries;
}

// Adds the kibibytes of each "Key:   123 kB" to where its key leads.
void AddKib(const std::string& path, const std::map<std::string_view, int64_t*>& sums) {
  std::ifstream file(path);
  for (std::string line; std::getline(file, line);) {
    const size_t colon = line.find(':');
    if (colon == std::string::npos) continue;
    const auto sum = sums.find(std::string_view(line).substr(0, colon));
    if (sum != sums.end()) *sum->second += std::atoll(line.c_str() + colon + 1);
  }
}

bool SharesDescriptorsWithParent(pid_t process) {
  return ::syscall(SYS_kcmp, process, ParentOf(process), KCMP_FILES, 0, 0) == 0;
}

}  // namespace

std::vector<pid_t> ProcessesBelow(pid_t root) {
  std::multimap<pid_t, pid_t> children;
  for (const fs::directory_entry& entry : fs::directory_iterator("/proc")) {
    const pid_t process = std::atoi(entry.path().filename().c_str());
    if (process > 0) children.emplace(ParentOf(process), process);
  }
  std::vector<pid_t> found;
  const auto add_children_of = [&](pid_t parent) {
    const auto [first, last] = children.equal_range(parent);
    for (auto child = first; child != last; ++child) found.push_back(child->second);
  };
  add_children_of(root);
  for (size_t i = 0; i < found.size(); ++i) add_children_of(found[i]);
  return found;
}

ProcessUsage UsageOf(const std::vector<pid_t>& processes, Memory memory) {
  ProcessUsage usage;
  for (const pid_t process : processes) {
    ++usage.processes;
    usage.threads += EntriesOf(InProc(process, "task"));
    if (!SharesDescriptorsWithParent(process)) usage.fds += EntriesOf(InProc(process, "fd"));
    if (memory == Memory::kLeftOut) continue;
    AddKib(InProc(process, "smaps_rollup"), {{"Pss", &usage.pss_kib},
                                             {"Pss_Anon", &usage.pss_anonymous_kib},
                                             {"Pss_File", &usage.pss_file_kib},
                                             {"Pss_Shmem", &usage.pss_shared_memory_kib}});
    AddKib(InProc(process, "status"), {{"VmPTE", &usage.page_tables_kib}});
  }
  return usage;
}

int64_t AvailableMemoryKib() {
  int64_t available = 0;
  AddKib("/proc/meminfo", {{"MemAvailable", &available}});
  return available;
}

}  // namespace fsd::bench
