#include "server/worker/ring_signals.h"

#include <sys/epoll.h>

#include <algorithm>
#include <array>
#include <string_view>

#include "server/errors/errno_or.h"
#include "server/errors/status_macros.h"
#include "server/worker/notifier.h"

namespace fsd::worker {
namespace {

absl::Status Exhausted(Errno error, std::string_view what) {
  return absl::ResourceExhaustedError(ErrnoStatus(error, what).message());
}

ErrnoOr<void> WatchEdges(int epoll, int fd) {
  epoll_event event{};
  event.events = EPOLLIN | EPOLLET;
  event.data.fd = fd;
  if (::epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event) != 0) return Errno::Last();
  return {};
}

// An epoll that wakes for each signal of the two.
ErrnoOr<os::UniqueFd> WatchBoth(int wake, int kick) {
  os::UniqueFd epoll(::epoll_create1(EPOLL_CLOEXEC));
  if (!epoll.valid()) return Errno::Last();
  FSD_RETURN_IF_ERRNO(WatchEdges(epoll.get(), wake));
  if (kick >= 0) FSD_RETURN_IF_ERRNO(WatchEdges(epoll.get(), kick));
  return epoll;
}

}  // namespace

absl::StatusOr<RingSignals> RingSignals::Create(os::UniqueFd kick) {
  ErrnoOr<os::EventFd> wake = os::EventFd::Create();
  if (!wake.ok()) return Exhausted(wake.error(), "make a queue's wake-up");
  RingSignals signals(*std::move(wake), os::UniqueFd(), os::UniqueFd());
  FSD_RETURN_IF_ERROR(signals.SetKick(std::move(kick)));
  return signals;
}

absl::Status RingSignals::SetKick(os::UniqueFd kick) {
  if (kick.valid()) FSD_RETURN_IF_ERROR(CheckNotificationFd(kick.get()));
  ErrnoOr<os::UniqueFd> epoll = WatchBoth(wake_.fd(), kick.get());
  if (!epoll.ok()) return Exhausted(epoll.error(), "watch a queue's kick");
  epoll_ = *std::move(epoll);
  kick_ = std::move(kick);
  return absl::OkStatus();
}

void RingSignals::Wait(int timeout_ms) const {
  std::array<epoll_event, 2> events;
  ::epoll_wait(epoll_.get(), events.data(), events.size(), timeout_ms);
}

void RingSignals::WaitForWake(std::chrono::milliseconds timeout) const {
  using Clock = std::chrono::steady_clock;
  const auto end = Clock::now() + timeout;
  for (auto left = timeout; left.count() > 0;
       left = std::chrono::ceil<std::chrono::milliseconds>(end - Clock::now())) {
    std::array<epoll_event, 2> events;
    const int count =
        ::epoll_wait(epoll_.get(), events.data(), events.size(), static_cast<int>(left.count()));
    if (std::any_of(events.begin(), events.begin() + std::max(count, 0),
                    [this](const epoll_event& event) { return event.data.fd == wake_.fd(); })) {
      return;
    }
  }
}

}  // namespace fsd::worker
