// The wall around other processes: the host's, and the worker's own that have what the data plane
// has not.
#include <fcntl.h>
#include <linux/kcmp.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <string>

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "server/os/unique_fd.h"
#include "tests/security/climb.h"
#include "tests/security/host_process.h"
#include "tests/security/prison.h"

namespace fsd::security {
namespace {

// This C library's own is not declared for C++.
int PidfdOpen(pid_t pid) { return static_cast<int>(::syscall(SYS_pidfd_open, pid, 0)); }

std::string MemoryOf(const Victim& victim) {
  char bytes[sizeof Victim::kSecret];
  const iovec here{bytes, sizeof bytes};
  const iovec there{const_cast<void*>(victim.secret_address()), sizeof bytes};
  return ::process_vm_readv(victim.pid(), &here, 1, &there, 1, 0) < 0 ? Outcome(-1) : bytes;
}

std::string OpenInProc(const Inmate& in, const std::string& path, int flags) {
  return Outcome(::openat(in.proc, path.c_str(), flags | O_CLOEXEC));
}

TEST(OtherProcesses, TheHostsAreOutOfReach) {
  Prison prison;
  const Victim victim(prison.outside_path());
  const pid_t pid = victim.pid();
  const os::UniqueFd pidfd(PidfdOpen(pid));
  prison.LetIn(pidfd.get());
  const auto held = [](const char* behind_pids, const char* behind_capabilities,
                       const char* success = "done") {
    return std::vector<Behind>{{kEveryMode, "SIGSYS"}, {kSystemCalls, "SIGSYS"},
                               {kPids, behind_pids},   {kCapabilities, behind_capabilities},
                               {kLandlock, "EPERM"},   {kNoWalls, success}};
  };
  const std::vector<Behind> signal = {{kEveryMode, "SIGSYS"},
                                      {kEveryWallOfChroot, "SIGSYS"},
                                      {kEveryWallOfNone, "SIGSYS"},
                                      {kSystemCalls, "SIGSYS"},
                                      {kPids, "ESRCH"},
                                      {kNoWalls, "done"}};
  ExpectTheyHold(
      prison, "the host's processes",
      {
          {"ptrace", [=](const Inmate&) { return Outcome(::ptrace(PTRACE_SEIZE, pid, 0, 0)); },
           held("ESRCH", "EPERM")},
          {"process_vm_readv", [&](const Inmate&) { return MemoryOf(victim); },
           held("ESRCH", "EPERM", Victim::kSecret)},
          {"kcmp",
           [=](const Inmate&) {
             return Outcome(::syscall(SYS_kcmp, ::getpid(), pid, KCMP_VM, 0, 0));
           },
           held("ESRCH", "EPERM")},
          {"prlimit",
           [=](const Inmate&) {
             rlimit limit;
             return Outcome(::prlimit(pid, RLIMIT_NOFILE, nullptr, &limit));
           },
           {{kEveryMode, "SIGSYS"},
            {kSystemCalls, "SIGSYS"},
            {kPids, "ESRCH"},
            {kNoWalls, "done"}}},
          {"pidfd_getfd",
           [&](const Inmate&) { return Outcome(::syscall(SYS_pidfd_getfd, pidfd.get(), 0, 0)); },
           {{kEveryMode, "SIGSYS"},
            {kSystemCalls, "SIGSYS"},
            {kCapabilities, "EPERM"},
            {kNoWalls, "done"}}},
          {"pidfd_send_signal",
           [&](const Inmate&) {
             return Outcome(::syscall(SYS_pidfd_send_signal, pidfd.get(), 0, nullptr, 0));
           },
           {{kEveryMode, "SIGSYS"},
            {kSystemCalls, "SIGSYS"},
            {kPids, "EINVAL"},
            {kNoWalls, "done"}}},
          {"pidfd_open",
           [=](const Inmate&) { return Outcome(PidfdOpen(pid)); },
           {{kEveryMode, "SIGSYS"},
            {kSystemCalls, "SIGSYS"},
            {kPids, "ESRCH"},
            {kNoWalls, "done"}}},
          {"kill", [=](const Inmate&) { return Outcome(::kill(pid, 0)); }, signal},
          // A process that aborts needs it, for itself.
          {"tgkill", [=](const Inmate&) { return Outcome(::tgkill(pid, pid, 0)); }, signal},
          {"tkill", [=](const Inmate&) { return Outcome(::syscall(SYS_tkill, pid, 0)); }, signal},
          {"rt_sigqueueinfo",
           [=](const Inmate&) {
             siginfo_t info{};
             info.si_code = SI_QUEUE;
             return Outcome(::syscall(SYS_rt_sigqueueinfo, pid, 0, &info));
           },
           signal},
          {"rt_tgsigqueueinfo",
           [=](const Inmate&) {
             siginfo_t info{};
             info.si_code = SI_QUEUE;
             return Outcome(::syscall(SYS_rt_tgsigqueueinfo, pid, pid, 0, &info));
           },
           signal},
          {"/proc/<pid>/mem",
           [=](const Inmate& in) { return OpenInProc(in, absl::StrCat(pid, "/mem"), O_RDWR); },
           {{kEveryWall, "ENOENT"},
            {kEveryWallOfChroot, "ENOENT"},
            {kEveryWallOfNone, "EACCES"},
            {kPids, "ENOENT"},
            {kCapabilities, "EACCES"},
            {kNoWalls, "done"}}},
          {"/proc/<pid>/fd",
           [=](const Inmate& in) { return OpenInProc(in, absl::StrCat(pid, "/fd/0"), O_PATH); },
           {{kEveryWall, "ENOENT"},
            {kEveryWallOfChroot, "ENOENT"},
            {kEveryWallOfNone, "EACCES"},
            {kPids, "ENOENT"},
            {kCapabilities, "EACCES"},
            {kNoWalls, "done"}}},
      });
}

TEST(OtherProcesses, TheKeepersMemoryIsClosed) {
  Prison prison;
  const std::vector<Behind> held = {{kEveryWall, "EACCES"},
                                    {kEveryWallOfChroot, "ENOENT"},
                                    {kEveryWallOfNone, "EACCES"},
                                    {kEveryWall & ~kLandlock, "EACCES"},
                                    {kEveryWall & ~kClosedProcess, "EACCES"},
                                    {kEveryWall & ~(kLandlock | kClosedProcess), "done"}};
  const auto open = [](const Inmate& in, const char* file) {
    return OpenInProc(in, absl::StrCat(in.keeper, "/", file), O_RDONLY);
  };
  ExpectTheyHold(
      prison, "the keeper",
      {
          {"its memory", [=](const Inmate& in) { return open(in, "mem"); }, held},
          {"its memory's map", [=](const Inmate& in) { return open(in, "maps"); }, held},
          {"its environment", [=](const Inmate& in) { return open(in, "environ"); }, held},
      });
}

TEST(OtherProcesses, TheHandleKeepersMemoryIsClosed) {
  Prison prison;
  // The second process of its namespace.
  const std::vector<Attempt> attempts = {
      [](const Inmate& in) { return OpenInProc(in, "2/mem", O_RDONLY); },
      [](const Inmate& in) { return OpenInProc(in, "2/maps", O_RDONLY); },
      [](const Inmate& in) { return OpenInProc(in, "2/fd/3", O_PATH); },
      [](const Inmate&) { return Outcome(::ptrace(PTRACE_SEIZE, 2, 0, 0)); },
  };
  EXPECT_EQ(prison.Run(kEveryWall, attempts),
            (std::vector<std::string>{"EACCES", "EACCES", "EACCES", "SIGSYS"}));
}

TEST(OtherProcesses, NoSignalReachesTheKeeper) {
  Prison prison;
  const std::vector<Attempt> attempts = {
      [](const Inmate& in) { return Outcome(::tgkill(in.keeper, in.keeper, SIGKILL)); },
      [](const Inmate& in) { return Outcome(::tgkill(in.keeper, in.keeper, SIGTERM)); },
      [](const Inmate&) { return std::string("the keeper lives"); },
  };
  for (const Walls walls : {kEveryWall, kEveryWallOfChroot, kEveryWallOfNone}) {
    EXPECT_EQ(prison.Run(walls, attempts),
              (std::vector<std::string>{"SIGSYS", "SIGSYS", "the keeper lives"}));
  }
  EXPECT_EQ(prison.Run(kEveryWall & ~kSystemCalls, attempts),
            (std::vector<std::string>{"EPERM", "EPERM", "the keeper lives"}));
  // To the first process of a namespace they are sent in vain.
  EXPECT_EQ(prison.Run(kEveryWall & ~(kSystemCalls | kLandlock), attempts),
            (std::vector<std::string>{"done", "done", "the keeper lives"}));
}

TEST(OtherProcesses, AProcessOfAnyModeCanAbort) {
  Prison prison;
  const Attempt abort = [](const Inmate&) -> std::string { std::abort(); };
  for (const Walls walls : {kEveryWall, kEveryWallOfChroot, kEveryWallOfNone}) {
    EXPECT_EQ(prison.Run(walls, abort), "SIGABRT") << walls;
  }
}

}  // namespace
}  // namespace fsd::security
