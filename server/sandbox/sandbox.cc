#include "server/sandbox/sandbox.h"

#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <utility>

#include "server/errors/status_macros.h"
#include "server/sandbox/capabilities.h"
#include "server/sandbox/mount_jail.h"
#include "server/sandbox/namespaces.h"
#include "server/sandbox/seccomp_filter.h"
#include "server/sandbox/worker_syscalls.h"

namespace fsd::sandbox {
namespace {

// No core file, no ptrace, and no terminal's signals.
absl::Status CloseProcess() {
  // Fails only for a session's or group's leader, which a terminal does not reach either, or which
  // was started by hand.
  static_cast<void>(::setsid());
  const rlimit no_core{0, 0};
  if (::setrlimit(RLIMIT_CORE, &no_core) != 0) {
    return ErrnoStatus(Errno::Last(), "setrlimit(RLIMIT_CORE)");
  }
  // After the capabilities: changing those may reset it.
  if (::prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) != 0) {
    return ErrnoStatus(Errno::Last(), "prctl(PR_SET_DUMPABLE)");
  }
  // The guest has applied its own umask to every mode it sends.
  ::umask(0);
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<Jail> Enter(JailOptions options) {
  if (::getpid() != 1) {
    return absl::FailedPreconditionError("not the first process of a pid namespace");
  }
  os::UniqueFd user_namespace;
  if (!options.ids.empty()) {
    FSD_ASSIGN_OR_RETURN(user_namespace, MakeUserNamespace(options.ids));
  }
  // A tree of the host's mount namespace can only be cloned from inside it.
  FSD_ASSIGN_OR_RETURN(os::UniqueFd tree, CloneTree(options.source_directory.get()));
  // Through this one, ".." would still lead to the host's whole tree.
  options.source_directory.reset();
  FSD_RETURN_IF_ERROR(UnshareNamespaces());
  Jail jail;
  jail.host_handles = options.host_handles && MayOpenHandles();
  FSD_ASSIGN_OR_RETURN(jail.proc, MountProc());
  FSD_ASSIGN_OR_RETURN(jail.root,
                       PivotInto(std::move(tree), options.read_only, user_namespace.get()));
  FSD_RETURN_IF_ERROR(
      DropCapabilities(jail.host_handles ? Capabilities::kFilesAndHandles : Capabilities::kFiles));
  FSD_RETURN_IF_ERROR(CloseProcess());
  return jail;
}

absl::Status ReduceCapabilities(Process process) {
  return process == Process::kHandleKeeper ? KeepHandleCapability() : KeepFileCapabilities();
}

absl::StatusOr<SeccompFilter> CompileSeccompFilter(Process process) {
  switch (process) {
    case Process::kKeeper:
      return SeccompFilter::Compile(KeeperSyscalls());
    case Process::kDataPlane:
      return SeccompFilter::Compile(DataPlaneSyscalls());
    case Process::kHandleKeeper:
      return SeccompFilter::Compile(HandleKeeperSyscalls());
  }
  return absl::InvalidArgumentError("no such process");
}

absl::Status InstallSeccompFilter(Process process) {
  FSD_ASSIGN_OR_RETURN(const SeccompFilter filter, CompileSeccompFilter(process));
  return filter.Install();
}

}  // namespace fsd::sandbox
