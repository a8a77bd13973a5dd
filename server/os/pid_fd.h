// PidFd: a process, by a descriptor that cannot come to mean another one (pidfd_open(2)).
//
// Readable (for poll) when the process has ended. How a process that is not our child has ended the
// kernel tells from Linux 6.15 on, once its parent knows.
#ifndef FSD_SERVER_OS_PID_FD_H_
#define FSD_SERVER_OS_PID_FD_H_

#include <sys/types.h>

#include <optional>
#include <string>
#include <utility>

#include "server/errors/errno_or.h"
#include "server/os/unique_fd.h"

namespace fsd::os {

// How a process ended.
struct ExitStatus {
  bool signaled = false;
  int code = 0;  // the exit status, or the signal's number

  // "exited with status 3" or "killed by signal 11 (Segmentation fault)".
  std::string Describe() const;
};

class PidFd {
 public:
  explicit PidFd(UniqueFd fd) : fd_(std::move(fd)) {}

  // The process of this id in our pid namespace, which must be its main thread's. ESRCH: there is
  // none.
  static ErrnoOr<PidFd> Open(pid_t pid);

  int fd() const { return fd_.get(); }
  // ESRCH if it has ended.
  ErrnoOr<void> SendSignal(int signal) const;
  // Reaps an ended child; nothing if it still runs. ECHILD if it is not our child.
  ErrnoOr<std::optional<ExitStatus>> Reap() const;
  // How a process that is not our child has ended; nothing if it runs, or its parent has not waited
  // for it yet. ENOTTY, or another error: the kernel does not tell (PIDFD_GET_INFO).
  ErrnoOr<std::optional<ExitStatus>> Exit() const;

 private:
  UniqueFd fd_;
};

}  // namespace fsd::os

#endif  // FSD_SERVER_OS_PID_FD_H_
