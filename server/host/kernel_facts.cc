#include <fcntl.h>
#include <linux/capability.h>
#include <linux/close_range.h>
#include <linux/landlock.h>
#include <linux/seccomp.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "server/host/host_facts.h"
#include "server/os/capabilities.h"
#include "server/os/unique_fd.h"
#include "server/os/user_namespace.h"

#ifndef SYS_statmount
#define SYS_statmount 457
#endif

namespace fsd::host {
namespace {

// Calls with arguments that do nothing: they fail with something else where the call is there.
bool IsThere(long result) { return result >= 0 || (errno != ENOSYS && errno != EPERM); }

std::set<std::string> MissingCalls() {
  std::set<std::string> missing;
  const auto probe = [&missing](const char* name, long result) {
    if (!IsThere(result)) missing.insert(name);
  };
  probe("close_range", ::syscall(SYS_close_range, ~0U, ~0U, 0));
  probe("mount_setattr", ::syscall(SYS_mount_setattr, -1, nullptr, ~0U, nullptr, 0));
  probe("open_tree", ::syscall(SYS_open_tree, -1, nullptr, 0));
  const long process = ::syscall(SYS_pidfd_open, ::getpid(), 0);
  probe("pidfd_open", process);
  const os::UniqueFd closed(static_cast<int>(process));
  return missing;
}

bool SeccompKills() {
  const unsigned action = SECCOMP_RET_KILL_PROCESS;
  return ::syscall(SYS_seccomp, SECCOMP_GET_ACTION_AVAIL, 0, &action) == 0;
}

int LandlockAbi() {
  return static_cast<int>(std::max(
      0L, ::syscall(SYS_landlock_create_ruleset, nullptr, 0, LANDLOCK_CREATE_RULESET_VERSION)));
}

std::string UserNamespaceError() {
  const os::UniqueFd proc(::open("/proc", O_PATH | O_CLOEXEC));
  const auto made =
      os::MakeUserNamespace({.uids = {{0, ::geteuid(), 1}}, .gids = {{0, ::getegid(), 1}}},
                            os::MapWriter::kOwner, proc.get());
  return made.ok() ? "" : std::string(made.status().message());
}

}  // namespace

KernelFacts ReadKernelFacts() {
  utsname names{};
  ::uname(&names);
  return {.release = names.release,
          .missing_calls = MissingCalls(),
          .has_statmount = IsThere(::syscall(SYS_statmount, nullptr, nullptr, 0, 0)),
          .landlock_abi = LandlockAbi(),
          .seccomp_kills = SeccompKills(),
          .has_sys_admin = os::HasCapability(CAP_SYS_ADMIN),
          .user_namespace_error = UserNamespaceError()};
}

}  // namespace fsd::host
