#include "server/os/timer_fd.h"

#include <sys/timerfd.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>

namespace fsd::os {

ErrnoOr<TimerFd> TimerFd::Create() {
  UniqueFd fd(::timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK));
  if (!fd.valid()) return Errno::Last();
  return TimerFd(std::move(fd));
}

void TimerFd::Set(absl::Duration delay) const {
  itimerspec spec{};
  // An all-zero time would disarm the timer.
  spec.it_value = absl::ToTimespec(std::max(delay, absl::Nanoseconds(1)));
  ::timerfd_settime(fd_.get(), 0, &spec, nullptr);
}

void TimerFd::Cancel() const {
  const itimerspec spec{};
  ::timerfd_settime(fd_.get(), 0, &spec, nullptr);
}

void TimerFd::Drain() const {
  uint64_t expirations;
  [[maybe_unused]] const ssize_t got = ::read(fd_.get(), &expirations, sizeof expirations);
}

}  // namespace fsd::os
