#include "server/sandbox/sandbox.h"

#include <fcntl.h>
#include <linux/capability.h>
#include <sys/mount.h>
#include <sys/prctl.h>
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
#include "server/sandbox/resource_limits.h"
#include "server/sandbox/seccomp_filter.h"
#include "server/sandbox/worker_capabilities.h"

namespace fsd::sandbox {
namespace {

// No ptrace, and no terminal's signals.
absl::Status CloseProcess() {
  // Fails only for a session's or group's leader, which a terminal does not reach either, or which
  // was started by hand.
  static_cast<void>(::setsid());
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

// Whether nothing but the capability stands before making devices: none that is made can be opened.
absl::StatusOr<bool> DevicesStayClosed(const JailOptions& options, const Jail& jail) {
  // Elsewhere there is no nodev mount.
  if (options.mode != Mode::kNamespace) return false;
  if (options.has_device_wall) return true;
  FSD_ASSIGN_OR_RETURN(const bool takes_in_mounts, TakesInMounts(jail.proc.get()));
  return !takes_in_mounts;
}

// All but what one of the processes to come needs. Fills in `jail` which that is.
absl::Status GiveUpCapabilities(const JailOptions& options, Jail& jail) {
  FSD_ASSIGN_OR_RETURN(const bool devices, DevicesStayClosed(options, jail));
  FSD_ASSIGN_OR_RETURN(
      jail.capabilities,
      ChooseCapabilities(
          {.needed = DataPlaneCapabilities(
               {.read_only = options.read_only, .xattr = options.xattr, .devices = devices}),
           .added = options.add_capabilities,
           .dropped = options.drop_capabilities,
           .content_with_less = options.in_user_namespace || options.mode == Mode::kNone}));
  jail.devices_refused = !devices && options.mode == Mode::kNamespace && !options.read_only &&
                         !options.in_user_namespace &&
                         !(jail.capabilities | options.drop_capabilities).Has(CAP_MKNOD);
  // Containers are rarely given it, and a user namespace's own opens none. Without a mount
  // namespace the data plane can name files of the host's, which only Landlock keeps it from
  // opening, and the handle keeper is not behind that. And who opens handles reads any file, so
  // that one who is to do without CAP_DAC_OVERRIDE is not to have them opened.
  jail.host_handles =
      options.host_handles && options.mode == Mode::kNamespace && !options.in_user_namespace &&
      jail.capabilities.Has(CAP_DAC_OVERRIDE) &&
      (PermittedCapabilities() - options.drop_capabilities).Has(CAP_DAC_READ_SEARCH);
  if (jail.host_handles) {
    jail.handle_keeper_capabilities =
        HandleKeeperCapabilities(options.read_only, jail.capabilities);
  }
  return DropCapabilities(
      jail.capabilities | jail.handle_keeper_capabilities,
      jail.mode == Mode::kChroot ? CapabilitySet{CAP_SYS_ADMIN} : CapabilitySet(),
      options.mode == Mode::kNamespace ? Locking::kAlways : Locking::kIfPossible);
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
  if (!os::HasCapability(CAP_SYS_ADMIN)) {
    return absl::FailedPreconditionError(
        "chroot is no jail without CAP_SYS_ADMIN: .. of the proc that the worker needs would lead "
        "to the host if it cannot be cut off, and Landlock guards no owners, modes and attributes");
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
  jail.mode = options.mode;
  // While it may be raised.
  FSD_RETURN_IF_ERROR(PreventCoreFiles());
  FSD_RETURN_IF_ERROR(GiveUpCapabilities(options, jail));
  FSD_RETURN_IF_ERROR(CloseProcess());
  return jail;
}

absl::StatusOr<os::UniqueFd> TakeProcSelfFd(Jail& jail) {
  const os::UniqueFd proc = std::move(jail.proc);
  const bool cut_off = jail.mode == Mode::kChroot;
  os::UniqueFd self_fd(cut_off
                           ? ::open_tree(proc.get(), "self/fd", OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC)
                           : ::openat(proc.get(), "self/fd", O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (!self_fd.valid()) {
    return ErrnoStatus(Errno::Last(),
                       cut_off ? "open_tree of self/fd in /proc" : "open of self/fd in proc");
  }
  return self_fd;
}

absl::Status ReduceCapabilities(Process process, const Jail& jail) {
  switch (process) {
    case Process::kKeeper:
      return ReduceCapabilities({});
    case Process::kDataPlane:
      return ReduceCapabilities(jail.capabilities);
    case Process::kHandleKeeper:
      return ReduceCapabilities(jail.handle_keeper_capabilities);
  }
  return absl::InvalidArgumentError("no such process");
}

absl::StatusOr<DataPlaneConfinement> ConfineDataPlane(Jail& jail, bool read_only) {
  DataPlaneConfinement confinement;
  FSD_ASSIGN_OR_RETURN(confinement.proc_self_fd, TakeProcSelfFd(jail));
  FSD_RETURN_IF_ERROR(ReduceCapabilities(Process::kDataPlane, jail));
  FSD_ASSIGN_OR_RETURN(confinement.has_landlock, ConfineToTree(jail.root.get(), read_only));
  return confinement;
}

absl::Status Confine(Process process, const Jail& jail, const SeccompFilter& filter) {
  FSD_RETURN_IF_ERROR(ReduceCapabilities(process, jail));
  return filter.Install();
}

absl::StatusOr<SeccompFilter> CompileSeccompFilter(Process process, SeccompAction otherwise,
                                                   const DataPlaneNeeds& needs) {
  switch (process) {
    case Process::kKeeper:
      return SeccompFilter::Compile(KeeperSyscalls(), otherwise);
    case Process::kDataPlane:
      return SeccompFilter::Compile(DataPlaneSyscalls(needs), otherwise);
    case Process::kHandleKeeper:
      return SeccompFilter::Compile(HandleKeeperSyscalls(needs), otherwise);
  }
  return absl::InvalidArgumentError("no such process");
}

absl::Status InstallSeccompFilter(Process process) {
  FSD_ASSIGN_OR_RETURN(const SeccompFilter filter, CompileSeccompFilter(process));
  return filter.Install();
}

}  // namespace fsd::sandbox
