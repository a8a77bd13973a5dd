// EventFd: a non-blocking eventfd(2) counter that one side signals and another waits for.
#ifndef FSD_SERVER_OS_EVENT_FD_H_
#define FSD_SERVER_OS_EVENT_FD_H_

#include <utility>

#include "server/errors/errno_or.h"
#include "server/os/unique_fd.h"

namespace fsd::os {

class EventFd {
 public:
  static ErrnoOr<EventFd> Create();
  explicit EventFd(UniqueFd fd) : fd_(std::move(fd)) {}

  int fd() const { return fd_.get(); }
  void Signal() const { SignalFd(fd_.get()); }
  void Drain() const { DrainFd(fd_.get()); }

  // The same on a borrowed fd. A full counter, or a peer's fd that is no eventfd, is no error: the
  // other side has been told, or does not want to be.
  static void SignalFd(int fd);
  static void DrainFd(int fd);

 private:
  UniqueFd fd_;
};

}  // namespace fsd::os

#endif  // FSD_SERVER_OS_EVENT_FD_H_
