// EventLoop: the supervisor's one thread, waiting for descriptors, timers and posted tasks.
//
// All but queue() is for that thread. Handlers, timers and tasks must not block.
#ifndef FSD_SERVER_SUPERVISOR_EVENT_LOOP_H_
#define FSD_SERVER_SUPERVISOR_EVENT_LOOP_H_

#include <chrono>
#include <cstdint>
#include <map>
#include <memory>
#include <utility>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "server/os/epoll.h"
#include "server/supervisor/task_queue.h"

namespace fsd::supervisor {

// A timer of an EventLoop. One that has run out, or was never set, is no timer, and cancelling it
// does nothing.
struct TimerId {
  std::chrono::steady_clock::time_point when{};
  uint64_t number = 0;
  friend auto operator<=>(const TimerId&, const TimerId&) = default;
};
inline constexpr TimerId kNoTimer{};

class EventLoop {
 public:
  using Clock = std::chrono::steady_clock;

  static absl::StatusOr<std::unique_ptr<EventLoop>> Create();

  // For other threads to post to.
  const std::shared_ptr<TaskQueue>& queue() const { return queue_; }

  os::Epoll& epoll() { return epoll_; }
  TimerId CallAfter(absl::Duration delay, Task task);
  // Resets `timer` to kNoTimer.
  void Cancel(TimerId& timer);

  // Waits until something is there to do, and does it.
  void RunOnce();

 private:
  EventLoop(os::Epoll epoll, std::shared_ptr<TaskQueue> queue)
      : epoll_(std::move(epoll)), queue_(std::move(queue)) {}

  int TimeoutMs() const;
  void RunTimers();

  os::Epoll epoll_;
  const std::shared_ptr<TaskQueue> queue_;
  std::map<TimerId, Task> timers_;
  uint64_t timers_made_ = 0;
};

}  // namespace fsd::supervisor

#endif  // FSD_SERVER_SUPERVISOR_EVENT_LOOP_H_
