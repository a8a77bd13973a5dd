// Epoll: a set of file descriptors, each with the function to call when it is ready.
//
// For one thread. A handler may add and remove descriptors, its own included: a handler that was
// removed is not called again, even for an event of the same round.
#ifndef FSD_SERVER_OS_EPOLL_H_
#define FSD_SERVER_OS_EPOLL_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <unordered_map>

#include "server/errors/errno_or.h"
#include "server/os/unique_fd.h"

namespace fsd::os {

class Epoll {
 public:
  using Handler = std::function<void(uint32_t events)>;  // EPOLL* bits

  static ErrnoOr<Epoll> Create();
  Epoll(Epoll&&) = default;
  Epoll& operator=(Epoll&&) = default;

  // Watches `fd` (borrowed; Remove it before closing it) for `events`.
  ErrnoOr<void> Add(int fd, uint32_t events, Handler handler);
  ErrnoOr<void> Modify(int fd, uint32_t events);
  void Remove(int fd);

  // Waits up to `timeout_ms` (-1: for ever) and calls the handlers of what is ready.
  void Wait(int timeout_ms);

 private:
  explicit Epoll(UniqueFd fd) : fd_(std::move(fd)) {}

  UniqueFd fd_;
  // Shared with the running Wait, so that a handler may remove itself.
  std::unordered_map<int, std::shared_ptr<Handler>> handlers_;
};

}  // namespace fsd::os

#endif  // FSD_SERVER_OS_EPOLL_H_
