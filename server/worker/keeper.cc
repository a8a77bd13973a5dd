#include "server/worker/keeper.h"

#include <sched.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <string>

#include "server/errors/check.h"
#include "server/errors/status_macros.h"
#include "server/ipc/worker_exit.h"
#include "server/os/parent_death.h"
#include "server/os/pid_fd.h"
#include "server/telemetry/log.h"

namespace fsd::worker {
namespace {

struct Ended {
  pid_t pid;
  os::ExitStatus status;
};

Ended AwaitChild() {
  siginfo_t info{};
  int result;
  do {
    result = ::waitid(P_ALL, 0, &info, WEXITED);
  } while (result != 0 && errno == EINTR);
  FSD_CHECK(result == 0);
  return {.pid = info.si_pid,
          .status = {.signaled = info.si_code != CLD_EXITED, .code = info.si_status}};
}

std::string Predicate(const os::ExitStatus& status) {
  return (status.signaled ? "was " : "") + status.Describe();
}

}  // namespace

absl::StatusOr<pid_t> ForkDataPlane(const std::function<int()>& data_plane) {
  const pid_t keeper = ::getpid();
  // The raw call: fork(3) cannot share descriptors, clone(3) wants a stack of its own. With one
  // thread there is no lock of libc's that another could hold.
  const long pid = ::syscall(SYS_clone, CLONE_FILES | SIGCHLD, nullptr, nullptr, nullptr, nullptr);
  if (pid < 0) return ErrnoStatus(Errno::Last(), "clone of the data plane");
  if (pid > 0) return static_cast<pid_t>(pid);
  if (!os::DieWithParent(keeper).ok()) ::_exit(ipc::kWorkerSetUpFailed);
  // No destructors: they would close the keeper's copies of the descriptors.
  ::_exit(data_plane());
}

int AwaitEnd(pid_t data_plane, std::optional<pid_t> handle_keeper, std::string_view export_name) {
  while (true) {
    const Ended ended = AwaitChild();
    if (ended.pid == data_plane) {
      if (ended.status.signaled || ended.status.code != EXIT_SUCCESS) {
        FSD_LOG(kError, export_name, "the data plane %s", Predicate(ended.status));
      }
      return ended.status.signaled ? ipc::kWorkerKilledBySignal + ended.status.code
                                   : ended.status.code;
    }
    const bool let_go = !ended.status.signaled && ended.status.code == EXIT_SUCCESS;
    if (ended.pid != handle_keeper || let_go) continue;
    FSD_LOG(kError, export_name, "the worker ends, as its handle keeper %s",
            Predicate(ended.status));
    return ended.status.signaled ? ipc::kWorkerHandleKeeperDied : ended.status.code;
  }
}

}  // namespace fsd::worker
