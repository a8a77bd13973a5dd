// The jail of a worker: what it gives up before it reads a guest's first byte.
//
// The supervisor starts a worker as one process, the keeper. The order of the walls:
//
//   1. Enter(), while it is single-threaded: by the export's mode (below), then capabilities,
//      no_new_privs. No way back.
//   2. the keeper forks the data plane and, if host handles are used, the handle keeper; each gives
//   up the capabilities that are not its own: ReduceCapabilities(). The data plane confines itself
//   to the export's tree: ConfineToTree() (landlock.h).
//   3. each installs its own seccomp list, compiled before the forks: CompileSeccompFilter().
//
// Every function fails closed: on an error the worker exits and serves nobody.
#ifndef FSD_SERVER_SANDBOX_SANDBOX_H_
#define FSD_SERVER_SANDBOX_SANDBOX_H_

#include "absl/status/statusor.h"
#include "server/os/unique_fd.h"
#include "server/sandbox/capability_set.h"
#include "server/sandbox/id_mappings.h"
#include "server/sandbox/seccomp_filter.h"
#include "server/sandbox/worker_syscalls.h"

namespace fsd::sandbox {

enum class Mode {
  // For PID 1 of a pid namespace, which the supervisor has made: new mount, net, ipc, uts and
  // cgroup namespaces, and pivot_root into the export. Needs CAP_SYS_ADMIN.
  kNamespace,
  // chroot(2) into the export, nothing else. The data plane needs its "self/fd" of the host's
  // proc, and must not find the host by it, so that is cut off. Needs CAP_SYS_CHROOT and, for that,
  // CAP_SYS_ADMIN.
  kChroot,
  // The host as the supervisor sees it. Needs nothing.
  kNone,
};

struct JailOptions {
  Mode mode = Mode::kNamespace;
  // This process is in a user namespace of its own and has its capabilities in there only.
  bool in_user_namespace = false;
  // O_PATH, the directory that becomes "/". In a jail that has a root of its own, Enter closes it:
  // its ".." leads out, as does that of any other directory fd of the host's.
  os::UniqueFd source_directory;
  // In a mount namespace, the mount itself is read-only too, and stays as it is: what the host
  // mounts below the directory later is not seen. In a writable export it is.
  bool read_only = false;
  // The worker's cgroup keeps it from opening devices.
  bool has_device_wall = false;
  // One of the processes to come opens host handles, if this one may.
  bool host_handles = false;
  // The guest may set extended attributes.
  bool xattr = false;
  // Beyond what the export needs, and what it is to do without: an operator's (capabilities.h).
  CapabilitySet add_capabilities = {};
  CapabilitySet drop_capabilities = {};
  // The mount itself translates owners: see id_mappings.h. It then stays as it is, as a read-only
  // one does, since what the host mounts later would not translate. For kNamespace, and not in a
  // user namespace.
  IdMappings ids = {};
};

struct Jail {
  // In kChroot, every process of the worker has CAP_SYS_ADMIN still until ReduceCapabilities: the
  // data plane cuts its self/fd off with it.
  Mode mode = Mode::kNamespace;
  // The export, opened O_PATH|O_DIRECTORY inside the jail: what the backend serves.
  os::UniqueFd root;
  // A proc of the worker's pid namespace, for TakeProcSelfFd.
  os::UniqueFd proc;
  // Whether the capability to open host handles was asked for and is there.
  bool host_handles = false;
  // Whether the data plane lacks CAP_MKNOD for no other reason than that a mount may appear in the
  // jail on which it could open devices.
  bool devices_refused = false;
  // The data plane's.
  CapabilitySet capabilities;
  // Empty without host_handles.
  CapabilitySet handle_keeper_capabilities;
};

// Wall 1. Call once, single-threaded. The error names the step that failed, e.g. "pivot_root:
// Operation not permitted"; the process is then neither out nor in and must exit.
absl::StatusOr<Jail> Enter(JailOptions options);

// In the data plane, before it reduces its capabilities, as "self" is whoever opens it: the
// directory by which it re-opens its O_PATH fds. The proc is closed.
absl::StatusOr<os::UniqueFd> TakeProcSelfFd(Jail& jail);

enum class Process { kKeeper, kDataPlane, kHandleKeeper };

// Wall 2, in each process: its own capabilities and no other's. The keeper has none.
absl::Status ReduceCapabilities(Process process, const Jail& jail);

// What the data plane has of the jail once it has confined itself.
struct DataPlaneConfinement {
  // The directory by which it re-opens its O_PATH fds.
  os::UniqueFd proc_self_fd;
  // Whether Landlock is among the walls.
  bool has_landlock = false;
};

// The data plane's part before it makes threads: takes its self/fd, reduces its capabilities,
// confines itself to the export's tree.
absl::StatusOr<DataPlaneConfinement> ConfineDataPlane(Jail& jail, bool read_only);

// Another process's part, all of it.
absl::Status Confine(Process process, const Jail& jail, const SeccompFilter& filter);

// Wall 3: from here on a system call that is not on the process's list, in any of its threads, is
// what `otherwise` says. For the data plane, install it before it reads a guest's first byte.
// `needs` says what the export's data plane does; the keeper's list is always the same.
absl::StatusOr<SeccompFilter> CompileSeccompFilter(Process process,
                                                   SeccompAction otherwise = SeccompAction::kKill,
                                                   const DataPlaneNeeds& needs = {});
// Both steps at once.
absl::Status InstallSeccompFilter(Process process);

}  // namespace fsd::sandbox

#endif  // FSD_SERVER_SANDBOX_SANDBOX_H_
