// AdaptivePoll: for how long a queue thread that has nothing to do looks at its ring before it
// sleeps.
//
// A request found so costs the guest no kick and the thread no wake-up, some 20 µs of latency; time
// spent looking in vain costs a processor. The window follows what would have been worth it: it
// opens after a pause that the limit would have covered, and halves after a longer one, down to
// nothing, so that an idle queue or a slow one is not looked at. With a limit of zero, the default,
// nothing here costs anything.
//
// Of one thread at a time.
#ifndef FSD_SERVER_WORKER_ADAPTIVE_POLL_H_
#define FSD_SERVER_WORKER_ADAPTIVE_POLL_H_

#include <algorithm>
#include <chrono>

namespace fsd::worker {

class AdaptivePoll {
 public:
  using Duration = std::chrono::nanoseconds;

  explicit AdaptivePoll(Duration limit) : limit_(limit) {}

  bool on() const { return limit_ > Duration::zero(); }
  // How long to look before sleeping.
  Duration window() const { return window_; }

  // Work came after a pause that long, found by looking or by a wake-up.
  void OnPause(Duration pause) {
    if (pause <= window_) return;
    if (pause <= limit_) {
      window_ = std::min(limit_, std::max(2 * window_, limit_ / kFirst));
    } else {
      window_ = window_ <= limit_ / kFirst ? Duration::zero() : window_ / 2;
    }
  }

 private:
  // The smallest window but nothing, as a part of the limit.
  static constexpr int kFirst = 8;

  const Duration limit_;
  Duration window_{0};
};

}  // namespace fsd::worker

#endif  // FSD_SERVER_WORKER_ADAPTIVE_POLL_H_
