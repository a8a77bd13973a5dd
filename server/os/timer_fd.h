// TimerFd: a one-shot timerfd(2) on the monotonic clock; readable (for poll) when it has run out.
#ifndef FSD_SERVER_OS_TIMER_FD_H_
#define FSD_SERVER_OS_TIMER_FD_H_

#include <utility>

#include "absl/time/time.h"
#include "server/errors/errno_or.h"
#include "server/os/unique_fd.h"

namespace fsd::os {

class TimerFd {
 public:
  static ErrnoOr<TimerFd> Create();

  int fd() const { return fd_.get(); }
  // Runs out once after `delay` (at once if it is not positive), replacing what was set.
  void Set(absl::Duration delay) const;
  void Cancel() const;
  void Drain() const;

 private:
  explicit TimerFd(UniqueFd fd) : fd_(std::move(fd)) {}

  UniqueFd fd_;
};

}  // namespace fsd::os

#endif  // FSD_SERVER_OS_TIMER_FD_H_
