// The wall against new namespaces, in which a process would have every capability again.
#include <fcntl.h>
#include <linux/sched.h>
#include <sched.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <csignal>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "server/os/unique_fd.h"
#include "tests/security/climb.h"
#include "tests/security/prison.h"

namespace fsd::security {
namespace {

struct Kind {
  const char* name;
  unsigned long flag;
};
constexpr Kind kKinds[] = {{"mnt", CLONE_NEWNS},        {"net", CLONE_NEWNET},
                           {"ipc", CLONE_NEWIPC},       {"uts", CLONE_NEWUTS},
                           {"cgroup", CLONE_NEWCGROUP}, {"pid", CLONE_NEWPID},
                           {"time", CLONE_NEWTIME}};

// What it takes a capability to do.
const std::vector<Behind> kHeld = {
    {kEveryMode, "SIGSYS"}, {kSystemCalls, "SIGSYS"}, {kCapabilities, "EPERM"}, {kNoWalls, "done"}};
// What anyone may do: for a user namespace there is the list of system calls alone.
const std::vector<Behind> kHeldByTheList = {
    {kEveryMode, "SIGSYS"}, {kSystemCalls, "SIGSYS"}, {kNoWalls, "done"}};

std::string Clone(unsigned long flags) {
  const long child = ::syscall(SYS_clone, flags | SIGCHLD, nullptr, nullptr, nullptr, 0);
  if (child == 0) ::_exit(0);
  return Outcome(child);
}

std::string Clone3(unsigned long flags) {
  clone_args arguments{};
  arguments.flags = flags;
  arguments.exit_signal = SIGCHLD;
  const long child = ::syscall(SYS_clone3, &arguments, sizeof arguments);
  if (child == 0) ::_exit(0);
  return Outcome(child);
}

TEST(Namespaces, NoneIsMade) {
  Prison prison;
  std::vector<Climb> climbs;
  for (const Kind& kind : kKinds) {
    climbs.push_back(
        {absl::StrCat("unshare ", kind.name),
         [=](const Inmate&) { return Outcome(::unshare(static_cast<int>(kind.flag))); }, kHeld});
    // CLONE_NEWTIME lies among the bits of the exit signal: only clone3 takes it.
    if (kind.flag == CLONE_NEWTIME) continue;
    climbs.push_back({absl::StrCat("clone ", kind.name),
                      [=](const Inmate&) { return Clone(kind.flag); }, kHeld});
  }
  climbs.push_back({"unshare user", [](const Inmate&) { return Outcome(::unshare(CLONE_NEWUSER)); },
                    kHeldByTheList});
  climbs.push_back(
      {"clone user", [](const Inmate&) { return Clone(CLONE_NEWUSER); }, kHeldByTheList});
  climbs.push_back({"a thread in a new one",
                    [](const Inmate&) {
                      return Outcome(::syscall(
                          SYS_clone, CLONE_THREAD | CLONE_SIGHAND | CLONE_VM | CLONE_NEWUSER));
                    },
                    {{kEveryMode, "SIGSYS"}, {kSystemCalls, "SIGSYS"}, {kNoWalls, "EINVAL"}}});
  climbs.push_back({"clone3 user",
                    [](const Inmate&) { return Clone3(CLONE_NEWUSER); },
                    {{kEveryMode, "ENOSYS"}, {kSystemCalls, "ENOSYS"}, {kNoWalls, "done"}}});
  climbs.push_back({"a process", [](const Inmate&) { return Clone(0); }, kHeldByTheList});
  ExpectTheyHold(prison, "new namespaces", climbs);
}

TEST(Namespaces, NoneIsEntered) {
  Prison prison;
  std::vector<os::UniqueFd> of_the_host;
  std::vector<Climb> climbs;
  for (const char* kind : {"mnt", "net", "ipc", "uts", "cgroup"}) {
    of_the_host.emplace_back(
        ::open(absl::StrCat("/proc/self/ns/", kind).c_str(), O_RDONLY | O_CLOEXEC));
    const int fd = of_the_host.back().get();
    prison.LetIn(fd);
    climbs.push_back({absl::StrCat("setns ", kind),
                      [=](const Inmate&) { return Outcome(::setns(fd, 0)); }, kHeld});
  }
  ExpectTheyHold(prison, "the host's namespaces", climbs);
}

}  // namespace
}  // namespace fsd::security
