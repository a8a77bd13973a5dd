#include "server/supervisor/event_loop.h"

#include <sys/epoll.h>

#include <algorithm>

#include "server/errors/status_macros.h"
#include "server/os/event_fd.h"

namespace fsd::supervisor {

absl::StatusOr<std::unique_ptr<EventLoop>> EventLoop::Create() {
  auto epoll = os::Epoll::Create();
  if (!epoll.ok()) return ErrnoStatus(epoll.error(), "make an epoll instance");
  auto wake = os::EventFd::Create();
  if (!wake.ok()) return ErrnoStatus(wake.error(), "make an eventfd");
  std::unique_ptr<EventLoop> loop(
      new EventLoop(*std::move(epoll), std::make_shared<TaskQueue>(*std::move(wake))));
  TaskQueue* queue = loop->queue_.get();
  const auto added =
      loop->epoll_.Add(queue->fd(), EPOLLIN, [queue](uint32_t) { queue->RunPosted(); });
  if (!added.ok()) return ErrnoStatus(added.error(), "watch the task queue");
  return loop;
}

TimerId EventLoop::CallAfter(absl::Duration delay, Task task) {
  const TimerId id{.when = Clock::now() + absl::ToChronoNanoseconds(delay),
                   .number = ++timers_made_};
  timers_.emplace(id, std::move(task));
  return id;
}

void EventLoop::Cancel(TimerId& timer) { timers_.erase(std::exchange(timer, kNoTimer)); }

void EventLoop::RunOnce() {
  epoll_.Wait(TimeoutMs());
  RunTimers();
}

int EventLoop::TimeoutMs() const {
  if (timers_.empty()) return -1;
  const auto left = timers_.begin()->first.when - Clock::now();
  // Rounded up: a timer that is not quite due would make the loop spin.
  const int64_t ms = std::chrono::ceil<std::chrono::milliseconds>(left).count();
  return static_cast<int>(std::clamp<int64_t>(ms, 0, 60'000));
}

void EventLoop::RunTimers() {
  const TimerId due{.when = Clock::now(), .number = timers_made_};
  while (!timers_.empty() && timers_.begin()->first <= due) {
    // Out of the table first: the task may cancel or set timers.
    const Task task = std::move(timers_.begin()->second);
    timers_.erase(timers_.begin());
    task();
  }
}

}  // namespace fsd::supervisor
