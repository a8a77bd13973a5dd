#include "server/sandbox/sandbox.h"

#include <fcntl.h>
#include <linux/capability.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

#include "server/errors/status_macros.h"
#include "server/os/capabilities.h"
#include "server/os/unique_fd.h"
#include "server/sandbox/capabilities.h"
#include "server/sandbox/id_mappings.h"
#include "server/sandbox/landlock.h"
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

absl::StatusOr<os::UniqueFd> OpenDirectory(const char* path, const char* what) {
  os::UniqueFd directory(::open(path, O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (!directory.valid()) return ErrnoStatus(Errno::Last(), what);
  return directory;
}

absl::StatusOr<Jail> EnterNamespaces(JailOptions& options) {
  if (::getpid() != 1) {
    return absl::FailedPreconditionError("not the first process of a pid namespace");
  }
  if (options.in_user_namespace && !options.ids.empty()) {
    return absl::FailedPreconditionError(
        "a mount that translates ids cannot be made in a user namespace: it takes CAP_SYS_ADMIN "
        "over the file system");
  }
  os::UniqueFd mapping;
  if (!options.ids.empty()) {
    FSD_ASSIGN_OR_RETURN(mapping, MakeMappingNamespace(options.ids));
  }
  FSD_RETURN_IF_ERROR(StepInto(std::move(options.source_directory)));
  FSD_RETURN_IF_ERROR(UnshareNamespaces());
  FSD_ASSIGN_OR_RETURN(os::UniqueFd tree, CloneTree());
  Jail jail;
  FSD_ASSIGN_OR_RETURN(jail.proc, MountProc());
  FSD_ASSIGN_OR_RETURN(jail.root, PivotInto(std::move(tree), options.read_only, mapping.get()));
  return jail;
}

absl::Status RefuseIdMappings(const JailOptions& options) {
  if (options.ids.empty()) return absl::OkStatus();
  return absl::FailedPreconditionError(
      "a mount that translates ids needs a mount namespace: the mode NAMESPACE");
}

absl::StatusOr<Jail> EnterChroot(JailOptions& options) {
  FSD_RETURN_IF_ERROR(RefuseIdMappings(options));
  Jail jail;
  jail.cut_proc = os::HasCapability(CAP_SYS_ADMIN);
  if (!jail.cut_proc && LandlockAbi() < 1) {
    return absl::FailedPreconditionError(
        "chroot is no jail here: .. of the proc that the worker needs would lead to the host, as "
        "there is neither CAP_SYS_ADMIN to cut it off nor Landlock in the kernel");
  }
  FSD_ASSIGN_OR_RETURN(jail.proc, OpenDirectory("/proc", "open of /proc"));
  FSD_RETURN_IF_ERROR(StepInto(std::move(options.source_directory)));
  if (::chroot(".") != 0) {
    const Errno error = Errno::Last();
    return ErrnoStatus(error, error == Errno(EPERM) ? "chroot (needs CAP_SYS_CHROOT)" : "chroot");
  }
  if (::chdir("/") != 0) return ErrnoStatus(Errno::Last(), "chdir to the new root");
  FSD_ASSIGN_OR_RETURN(jail.root, OpenDirectory("/", "open of the new root"));
  return jail;
}

absl::StatusOr<Jail> StayOutside(JailOptions& options) {
  FSD_RETURN_IF_ERROR(RefuseIdMappings(options));
  Jail jail;
  jail.root = std::move(options.source_directory);
  FSD_ASSIGN_OR_RETURN(jail.proc, OpenDirectory("/proc", "open of /proc"));
  return jail;
}

}  // namespace

absl::StatusOr<Jail> Enter(JailOptions options) {
  FSD_ASSIGN_OR_RETURN(Jail jail, options.mode == Mode::kNamespace ? EnterNamespaces(options)
                                  : options.mode == Mode::kChroot  ? EnterChroot(options)
                                                                   : StayOutside(options));
  // The kernel opens handles for the host's own capability only.
  jail.host_handles = options.host_handles && !options.in_user_namespace && MayOpenHandles();
  const Capabilities kept =
      jail.host_handles ? Capabilities::kFilesAndHandles : Capabilities::kFiles;
  FSD_RETURN_IF_ERROR(options.mode == Mode::kNamespace
                          ? DropCapabilities(kept)
                          : DropAllCapabilitiesBut(kept, jail.cut_proc));
  FSD_RETURN_IF_ERROR(CloseProcess());
  return jail;
}

absl::StatusOr<os::UniqueFd> TakeProcSelfFd(Jail& jail) {
  const os::UniqueFd proc = std::move(jail.proc);
  os::UniqueFd self_fd(jail.cut_proc
                           ? ::open_tree(proc.get(), "self/fd", OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC)
                           : ::openat(proc.get(), "self/fd", O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (!self_fd.valid()) {
    return ErrnoStatus(Errno::Last(),
                       jail.cut_proc ? "open_tree of self/fd in /proc" : "open of self/fd in proc");
  }
  return self_fd;
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
