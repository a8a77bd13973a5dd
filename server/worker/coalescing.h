// Coalescing: for how long requests that nobody waits for (FORGETs) are left to gather before they
// are served together, without a kick.
//
// One millisecond, but less the more of them come: a driver whose ring is full holds others back.
// With a ring of 128, a fixed millisecond let 120,000 LOOKUPs of new names a second pass, half of
// what there can be.
//
// Of one thread at a time.
#ifndef FSD_SERVER_WORKER_COALESCING_H_
#define FSD_SERVER_WORKER_COALESCING_H_

#include <algorithm>
#include <chrono>
#include <cstddef>

namespace fsd::worker {

class Coalescing {
 public:
  using Duration = std::chrono::microseconds;

  static constexpr Duration kLeast{125};
  static constexpr Duration kMost{1000};

  explicit Coalescing(size_t ring_size) : ring_size_(ring_size) {}

  // How long to wait after `served` requests, so that seven eighths of the ring gather meanwhile:
  // waking up costs as much as ten of them.
  Duration After(size_t served) {
    const auto wanted = static_cast<Duration::rep>(std::max(ring_size_ * 7 / 8, size_t{1}));
    const auto gathered = static_cast<Duration::rep>(std::max(served, size_t{1}));
    pause_ = std::clamp(pause_ * wanted / gathered, kLeast, kMost);
    return pause_;
  }

 private:
  const size_t ring_size_;
  Duration pause_ = kMost;
};

}  // namespace fsd::worker

#endif  // FSD_SERVER_WORKER_COALESCING_H_
