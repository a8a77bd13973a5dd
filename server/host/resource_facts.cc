#include <sys/resource.h>
#include <unistd.h>

#include <fstream>

#include "absl/strings/str_cat.h"
#include "server/host/host_facts.h"
#include "server/supervisor/own_cgroup.h"
#include "server/supervisor/paths.h"
#include "server/supervisor/subordinate_ids.h"

namespace fsd::host {
namespace {

// The first number of a file, 0 if there is none.
uint64_t NumberIn(const char* path, int position = 0) {
  std::ifstream file(path);
  uint64_t number = 0;
  for (int i = 0; i <= position; ++i) file >> number;
  return file ? number : 0;
}

std::set<std::string> WordsIn(const std::string& path) {
  std::ifstream file(path);
  std::set<std::string> words;
  std::string word;
  while (file >> word) words.insert(word);
  return words;
}

bool IsWritable(const std::string& path) { return ::access(path.c_str(), W_OK) == 0; }

std::string SubordinateIdError() {
  for (const char* program : {"/usr/bin/newuidmap", "/usr/bin/newgidmap"}) {
    if (::access(program, X_OK) != 0) return absl::StrCat(program, " is not there");
  }
  for (const char* file : {"/etc/subuid", "/etc/subgid"}) {
    const auto map = supervisor::SubordinateIdMap(file, ::geteuid(), ::geteuid());
    if (!map.ok()) return std::string(map.status().message());
  }
  return "";
}

}  // namespace

LimitFacts ReadLimitFacts() {
  rlimit open_files{};
  ::getrlimit(RLIMIT_NOFILE, &open_files);
  return {.open_files = open_files.rlim_max,
          .host_files = NumberIn("/proc/sys/fs/file-max"),
          .host_files_used = NumberIn("/proc/sys/fs/file-nr"),
          .pids = NumberIn("/proc/sys/kernel/pid_max"),
          .threads = NumberIn("/proc/sys/kernel/threads-max")};
}

CgroupFacts ReadCgroupFacts(const std::string& configured) {
  CgroupFacts facts{.configured = configured};
  if (configured.empty()) return facts;
  const absl::StatusOr<std::string> directory = configured == supervisor::kAutoCgroup
                                                    ? supervisor::OwnCgroupDirectory()
                                                    : absl::StatusOr<std::string>(configured);
  if (!directory.ok()) {
    facts.error = std::string(directory.status().message());
    return facts;
  }
  if (::access(supervisor::JoinPath(*directory, "cgroup.controllers").c_str(), R_OK) != 0) {
    facts.error = absl::StrCat(*directory, " is no cgroup of version 2");
    return facts;
  }
  facts.directory = *directory;
  facts.controllers = WordsIn(supervisor::JoinPath(*directory, "cgroup.controllers"));
  facts.is_ours = IsWritable(*directory) &&
                  IsWritable(supervisor::JoinPath(*directory, "cgroup.procs")) &&
                  IsWritable(supervisor::JoinPath(*directory, "cgroup.subtree_control"));
  return facts;
}

CgroupFacts ReadDividedCgroupFacts(const std::string& configured, const std::string& directory) {
  CgroupFacts facts{.configured = configured, .directory = directory};
  if (configured.empty()) return facts;
  if (directory.empty()) {
    facts.error = "the server found none that it may divide when it started; its log says why";
    return facts;
  }
  facts.is_ours = true;
  facts.controllers = WordsIn(supervisor::JoinPath(directory, "cgroup.subtree_control"));
  return facts;
}

SubordinateIdFacts ReadSubordinateIdFacts(bool wanted, bool needed) {
  SubordinateIdFacts facts{.needed = needed, .wanted = wanted};
  if (needed) facts.error = SubordinateIdError();
  return facts;
}

}  // namespace fsd::host
