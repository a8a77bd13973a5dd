#include "server/worker/keeper.h"

#include <sched.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdlib>

#include "server/errors/check.h"
#include "server/errors/status_macros.h"
#include "server/os/pid_fd.h"
#include "server/telemetry/log.h"

namespace fsd::worker {

absl::StatusOr<pid_t> ForkDataPlane(const std::function<int()>& data_plane) {
  // The raw call: fork(3) cannot share descriptors, clone(3) wants a stack of its own. With one
  // thread there is no lock of libc's that another could hold.
  const long pid = ::syscall(SYS_clone, CLONE_FILES | SIGCHLD, nullptr, nullptr, nullptr, nullptr);
  if (pid < 0) return ErrnoStatus(Errno::Last(), "clone of the data plane");
  // No destructors: they would close the keeper's copies of the descriptors.
  if (pid == 0) ::_exit(data_plane());
  return static_cast<pid_t>(pid);
}

int AwaitDataPlane(pid_t data_plane, std::string_view export_name) {
  siginfo_t info{};
  int result;
  do {
    result = ::waitid(P_PID, static_cast<id_t>(data_plane), &info, WEXITED);
  } while (result != 0 && errno == EINTR);
  FSD_CHECK(result == 0);
  const os::ExitStatus status{.signaled = info.si_code != CLD_EXITED, .code = info.si_status};
  if (status.signaled) {
    FSD_LOG(kError, export_name, "the data plane was %s", status.Describe());
    return 128 + status.code;
  }
  if (status.code != EXIT_SUCCESS) {
    FSD_LOG(kError, export_name, "the data plane %s", status.Describe());
  }
  return status.code;
}

}  // namespace fsd::worker
