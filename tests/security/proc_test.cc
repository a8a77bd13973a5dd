// The wall around what a process may set by /proc, of the kernel or of itself, and core files.
#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include <string>

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "tests/security/climb.h"
#include "tests/security/prison.h"

namespace fsd::security {
namespace {

// Opens only; nothing is written.
std::string OpenToWrite(int directory, const std::string& path) {
  return Outcome(::openat(directory, path.c_str(), O_WRONLY | O_CLOEXEC));
}

TEST(Proc, TheKernelsSettingsAreNotThere) {
  Prison prison;
  std::vector<Climb> climbs;
  for (const char* path : {"/proc/sys/kernel/core_pattern", "/proc/sys/kernel/hostname",
                           "/proc/sys/vm/drop_caches", "/proc/self/oom_score_adj"}) {
    climbs.push_back({path,
                      [=](const Inmate&) { return OpenToWrite(AT_FDCWD, path); },
                      {{kEveryWall, "ENOENT"},
                       {kEveryWallOfChroot, "ENOENT"},
                       {kEveryWallOfNone, "EACCES"},
                       {kMounts, "ENOENT"},
                       {kLandlock, "EACCES"},
                       {kNoWalls, "done"}}});
  }
  ExpectTheyHold(prison, "/proc of the host's", climbs);
  // The proc that there is shows processes only.
  const std::vector<Attempt> attempts = {
      [](const Inmate& in) { return OpenToWrite(in.proc, "sys/kernel/core_pattern"); },
      [](const Inmate& in) { return OpenToWrite(in.proc, "sysrq-trigger"); },
      [](const Inmate& in) { return OpenToWrite(in.proc, "self/root/proc/sysrq-trigger"); }};
  EXPECT_EQ(prison.Run(kEveryWall, attempts),
            (std::vector<std::string>{"ENOENT", "ENOENT", "ENOENT"}));
}

TEST(Proc, AProcessSetsNothingOfItsOwn) {
  Prison prison;
  std::vector<Climb> climbs;
  for (const char* file : {"oom_score_adj", "coredump_filter", "loginuid", "clear_refs"}) {
    climbs.push_back(
        {file,
         [=](const Inmate& in) { return OpenToWrite(in.proc, absl::StrCat("self/", file)); },
         {{kEveryWall, "EROFS"},
          {kEveryWallOfChroot, "ENOENT"},
          {kEveryWallOfNone, "EACCES"},
          {kMounts, "EROFS"},
          {kLandlock, "EACCES"},
          {kNoWalls, "done"}}});
  }
  ExpectTheyHold(prison, "/proc/self", climbs);
}

TEST(CoreFiles, ThereIsNone) {
  Prison prison;
  const rlimit some{.rlim_cur = 2, .rlim_max = 2};
  ASSERT_EQ(::setrlimit(RLIMIT_CORE, &some), 0);
  ExpectTheyHold(
      prison, "core files",
      {
          {"a process that may be dumped",
           [](const Inmate&) { return Outcome(::prctl(PR_SET_DUMPABLE, 1, 0, 0, 0)); },
           {{kEveryMode, "SIGSYS"}, {kSystemCalls, "SIGSYS"}, {kNoWalls, "done"}}},
          {"a limit of more than nothing",
           [&](const Inmate&) { return Outcome(::setrlimit(RLIMIT_CORE, &some)); },
           {{kEveryMode, "SIGSYS"}, {kClosedProcess | kCapabilities, "EPERM"}, {kNoWalls, "done"}}},
      });
  // With 1 alone the kernel starts no program that a core file is piped to.
  const Attempt read = [](const Inmate&) {
    rlimit limit;
    return ::getrlimit(RLIMIT_CORE, &limit) == 0 ? absl::StrCat(limit.rlim_max) : Outcome(-1);
  };
  EXPECT_EQ(prison.Run(kEveryWall & ~kSystemCalls, read), "1");
  EXPECT_EQ(prison.Run(kNoWalls, read), "2");
}

}  // namespace
}  // namespace fsd::security
