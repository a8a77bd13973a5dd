// WorkerLauncher: starts fsd-worker by clone and execve.
//
// The worker leads a session of its own and may be PID 1 of a new pid namespace and uid and gid 0
// of a user namespace, without supplementary groups as far as those can be given up there. It is
// born with exactly 0 (/dev/null), 1 and 2 (ours) and the descriptors of ipc/inherited_fds.h, no
// signal blocked or ignored, an empty environment and "/" as working directory, and as who listens
// on its control socket. Nothing ties its life to ours.
//
// The calling process may have threads: everything is prepared before the clone, and the child
// makes nothing but async-signal-safe calls on it.
#ifndef FSD_SERVER_SUPERVISOR_WORKER_LAUNCHER_H_
#define FSD_SERVER_SUPERVISOR_WORKER_LAUNCHER_H_

#include <sys/types.h>

#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "server/os/pid_fd.h"

namespace fsd::supervisor {

// The descriptors are borrowed for the call.
struct WorkerLaunch {
  std::string binary;     // absolute path; a program, not a script
  std::string export_id;  // for the process list
  int spec = -1;
  int control_listener = -1;
  int vhost_listener = -1;
  int source_directory = -1;
  int counters = -1;
  // Whether it becomes PID 1 of a pid namespace of its own.
  bool pid_namespace = true;
  // Unless -1, a user namespace that it is to live in, as uid and gid 0: it then has every
  // capability in there. Ours to enter: we own it, or have CAP_SYS_ADMIN.
  int user_namespace = -1;
  // Unless -1, the open cgroup.procs of the cgroup that it is to live in.
  int cgroup_procs = -1;
};

// The first argument of an export's worker, for the process list.
std::string WorkerTitle(std::string_view export_id);

struct LaunchedWorker {
  pid_t pid = 0;  // in our pid namespace
  os::PidFd process;
};

// Returns when the binary runs. SANDBOX_UNAVAILABLE: a pid namespace cannot be made, or the user
// namespace not be entered.
// WORKER_FAILED: the process or the binary could not be started.
absl::StatusOr<LaunchedWorker> LaunchWorker(const WorkerLaunch& launch);

}  // namespace fsd::supervisor

#endif  // FSD_SERVER_SUPERVISOR_WORKER_LAUNCHER_H_
