#include "server/os/epoll.h"

#include <sys/epoll.h>

#include <array>
#include <utility>

namespace fsd::os {

ErrnoOr<Epoll> Epoll::Create() {
  UniqueFd fd(::epoll_create1(EPOLL_CLOEXEC));
  if (!fd.valid()) return Errno::Last();
  return Epoll(std::move(fd));
}

ErrnoOr<void> Epoll::Add(int fd, uint32_t events, Handler handler) {
  epoll_event event{};
  event.events = events;
  event.data.fd = fd;
  if (::epoll_ctl(fd_.get(), EPOLL_CTL_ADD, fd, &event) != 0) return Errno::Last();
  handlers_[fd] = std::make_shared<Handler>(std::move(handler));
  return {};
}

ErrnoOr<void> Epoll::Modify(int fd, uint32_t events) {
  epoll_event event{};
  event.events = events;
  event.data.fd = fd;
  if (::epoll_ctl(fd_.get(), EPOLL_CTL_MOD, fd, &event) != 0) return Errno::Last();
  return {};
}

void Epoll::Remove(int fd) {
  if (handlers_.erase(fd) != 0) ::epoll_ctl(fd_.get(), EPOLL_CTL_DEL, fd, nullptr);
}

void Epoll::Wait(int timeout_ms) {
  std::array<epoll_event, 64> events;
  const int ready = ::epoll_wait(fd_.get(), events.data(), events.size(), timeout_ms);
  // The handler of each event as it was when the wait ended: an fd number that a handler closes and
  // re-adds in this round must not get the old one's event.
  std::array<std::shared_ptr<Handler>, 64> handlers;
  for (int i = 0; i < ready; ++i) {
    if (const auto it = handlers_.find(events[i].data.fd); it != handlers_.end()) {
      handlers[i] = it->second;
    }
  }
  for (int i = 0; i < ready; ++i) {
    const auto it = handlers_.find(events[i].data.fd);
    if (it != handlers_.end() && it->second == handlers[i]) (*handlers[i])(events[i].events);
  }
}

}  // namespace fsd::os
