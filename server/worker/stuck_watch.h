// StuckWatch: the clock by which the control thread notices that a ring does not get on.
//
// Ticks every kTick while a ring is being served or something is waited for, and not at all while
// every ring sleeps: an idle export has no wake-ups. A queue thread pays for it when it wakes, not
// for each request.
//
// Owned by the device. Any thread may call Rouse; the rest is the control thread's.
#ifndef FSD_SERVER_WORKER_STUCK_WATCH_H_
#define FSD_SERVER_WORKER_STUCK_WATCH_H_

#include <atomic>
#include <memory>
#include <utility>

#include "absl/time/time.h"
#include "server/errors/errno_or.h"
#include "server/errors/status_macros.h"
#include "server/os/timer_fd.h"

namespace fsd::worker {

class StuckWatch {
 public:
  // A ring that is found in the same request by two ticks is stuck: for 10 ms at least, 20 ms at
  // most.
  static constexpr absl::Duration kTick = absl::Milliseconds(10);

  static ErrnoOr<std::unique_ptr<StuckWatch>> Create() {
    FSD_ASSIGN_OR_RETURN_ERRNO(os::TimerFd timer, os::TimerFd::Create());
    return std::unique_ptr<StuckWatch>(new StuckWatch(std::move(timer)));
  }

  // Readable when a tick is due.
  int fd() const { return timer_.fd(); }

  // Makes the clock run. Whoever calls it has made what is to be watched visible before, by a
  // sequentially consistent store.
  void Rouse() {
    if (running_.load(std::memory_order_seq_cst)) return;
    if (!running_.exchange(true, std::memory_order_seq_cst)) timer_.Set(kTick);
  }
  // At a tick: the next is to come.
  void GoOn() {
    timer_.Drain();
    timer_.Set(kTick);
  }
  // At a tick: there is nothing to watch. Look once more afterwards, and Rouse if there is.
  void Rest() {
    timer_.Drain();
    running_.store(false, std::memory_order_seq_cst);
  }

 private:
  explicit StuckWatch(os::TimerFd timer) : timer_(std::move(timer)) {}

  const os::TimerFd timer_;
  std::atomic<bool> running_ = false;
};

}  // namespace fsd::worker

#endif  // FSD_SERVER_WORKER_STUCK_WATCH_H_
