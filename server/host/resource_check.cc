#include "server/host/resource_check.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"

namespace fsd::host {

using Level = HostCheck::Level;

HostCheck CheckOpenFiles(const LimitFacts& facts) {
  // A supervisor holds some ten for an export; a worker one for each file that its guest knows and
  // that has no host handle.
  constexpr uint64_t kLeast = 1024;
  constexpr uint64_t kEnough = 65536;
  HostCheck check{
      .check = "OPEN_FILES",
      .found = absl::StrCat(facts.open_files, " descriptors for a process (RLIMIT_NOFILE)")};
  if (facts.open_files >= kEnough) return check;
  check.level = facts.open_files < kLeast ? Level::kError : Level::kWarning;
  check.cost = facts.open_files < kLeast
                   ? "a few exports use them up, and then none can be added"
                   : absl::StrCat("about ", facts.open_files / 10,
                                  " exports at most; guests that know many files without host "
                                  "handles have them opened again and again");
  check.remedy = "in systemd LimitNOFILE=1048576 in fsd.service, else ulimit -Hn before fsd starts";
  return check;
}

HostCheck CheckHostFiles(const LimitFacts& facts) {
  HostCheck check{.check = "HOST_FILES",
                  .found = absl::StrCat(facts.host_files_used, " of ", facts.host_files,
                                        " open files on the host (fs.file-max)")};
  const uint64_t left = facts.host_files - std::min(facts.host_files, facts.host_files_used);
  constexpr uint64_t kFew = 65536;
  if (left >= kFew) return check;
  constexpr uint64_t kTooFew = 4096;
  check.level = left < kTooFew ? Level::kError : Level::kWarning;
  check.cost =
      "guests' opens fail with ENFILE when the rest is used up, and so does everything "
      "else on the host";
  check.remedy = "raise the sysctl fs.file-max";
  return check;
}

HostCheck CheckProcesses(const LimitFacts& facts) {
  // A worker is three processes, with some ten threads in all.
  constexpr uint64_t kOfAnExport = 13;
  constexpr uint64_t kEnough = 32768;
  constexpr uint64_t kLeast = 1024;
  const uint64_t threads = std::min(facts.pids, facts.threads);
  HostCheck check{.check = "PROCESSES",
                  .found = absl::StrCat(facts.pids, " process ids (kernel.pid_max), ",
                                        facts.threads, " threads (kernel.threads-max)")};
  if (threads >= kEnough) return check;
  check.level = threads < kLeast ? Level::kError : Level::kWarning;
  check.cost = absl::StrCat("at most about ", threads / kOfAnExport,
                            " exports, if nothing else ran on the host");
  check.remedy = "raise the sysctl kernel.pid_max or kernel.threads-max, whichever is lower";
  return check;
}

HostCheck CheckCgroup(const CgroupFacts& facts) {
  HostCheck check{.check = "CGROUP"};
  if (facts.configured.empty()) {
    check.found =
        "none is configured: limits of exports but open files are not enforced, and "
        "exports that ask for them say so";
    return check;
  }
  const std::string remedy =
      "let systemd hand it over (Delegate=yes in fsd.service), or name a "
      "cgroup of version 2 that this user owns; or leave cgroup empty";
  if (facts.directory.empty() || !facts.is_ours) {
    const bool automatic = facts.configured == supervisor::kAutoCgroup;
    check.level = automatic ? Level::kWarning : Level::kError;
    check.found = facts.directory.empty()
                      ? facts.error
                      : absl::StrCat(facts.directory, " is not this user's to divide");
    check.cost = automatic ? "limits of exports but open files are not enforced"
                           : "fsd does not start, as the configuration names this cgroup";
    check.remedy = remedy;
    return check;
  }
  std::vector<std::string> missing;
  for (const char* controller : {"cpu", "io", "memory", "pids"}) {
    if (!facts.controllers.contains(controller)) missing.push_back(controller);
  }
  check.found = absl::StrCat(
      facts.directory, ", with ",
      facts.controllers.empty() ? "no controllers" : absl::StrJoin(facts.controllers, ", "));
  if (missing.empty()) return check;
  check.level = Level::kWarning;
  check.cost = absl::StrCat("limits of exports that need ", absl::StrJoin(missing, ", "),
                            " are not enforced");
  check.remedy = absl::StrCat(
      "enable them in cgroup.subtree_control of the cgroups above (systemd: "
      "Delegate=cpu io memory pids)");
  return check;
}

HostCheck CheckSubordinateIds(const SubordinateIdFacts& facts) {
  HostCheck check{.check = "SUBORDINATE_IDS"};
  if (!facts.needed) {
    check.found = "not needed: fsd can map any ids itself";
    return check;
  }
  if (facts.wanted && facts.error.empty()) {
    check.found = "this user's, which newuidmap and newgidmap can map";
    return check;
  }
  check.level = facts.wanted ? Level::kError : Level::kWarning;
  if (!facts.wanted) {
    check.found = "not used";
    check.cost = "files of a guest have one owner, this user, and giving one away fails with EPERM";
    check.remedy = facts.error.empty()
                       ? "set subordinate_ids: true"
                       : absl::StrCat("set subordinate_ids: true; before that: ", facts.error);
    return check;
  }
  check.found = facts.error;
  check.cost = "exports cannot be served, as the configuration wants subordinate ids";
  check.remedy =
      "install the package uidmap, and give the user ids: usermod --add-subuids "
      "100000-165535 --add-subgids 100000-165535 USER";
  return check;
}

}  // namespace fsd::host
