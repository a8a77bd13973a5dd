// PidFd: a process, by a descriptor that cannot come to mean another one (pidfd_open(2)).
//
// Readable (for poll) when the process has ended.
#ifndef FSD_SERVER_OS_PID_FD_H_
#define FSD_SERVER_OS_PID_FD_H_

#include <sys/types.h>

#include <optional>
#include <string>
#include <utility>

#include "server/errors/errno_or.h"
#include "server/os/unique_fd.h"

namespace fsd::os {

// How a child ended.
struct ExitStatus {
  bool signaled = false;
  int code = 0;  // the exit status, or the signal's number

  // "exited with status 3" or "killed by signal 11 (Segmentation fault)".
  std::string Describe() const;
};

class PidFd {
 public:
  explicit PidFd(UniqueFd fd) : fd_(std::move(fd)) {}

  int fd() const { return fd_.get(); }
  // ESRCH if it has ended.
  ErrnoOr<void> SendSignal(int signal) const;
  // Reaps an ended child; nothing if it still runs. ECHILD if it is not our child.
  ErrnoOr<std::optional<ExitStatus>> Reap() const;

 private:
  UniqueFd fd_;
};

}  // namespace fsd::os

#endif  // FSD_SERVER_OS_PID_FD_H_
