// QueueThread when its ring is empty: what comes before its thread sleeps.
#include <chrono>
#include <thread>

#include "server/os/cpu_relax.h"
#include "server/worker/queue_thread.h"

namespace fsd::worker {
namespace {

// At the ring, between two at the clock.
constexpr int kLooksPerClock = 16;

}  // namespace

void QueueThread::SetAwake(bool awake) {
  if (awake_.exchange(awake, std::memory_order_seq_cst) == awake || coalescing_.has_value()) return;
  services_.busy_rings.fetch_add(awake ? 1 : -1, std::memory_order_relaxed);
}

bool QueueThread::GiveWay() const {
  if (coalescing_.has_value() || services_.busy_rings.load(std::memory_order_relaxed) < 2) {
    return false;
  }
  std::this_thread::yield();
  return queue_->AnyAvailable();
}

bool QueueThread::Poll() {
  idle_since_ = std::chrono::steady_clock::now();
  const auto end = idle_since_ + poll_.window();
  // Kicks are not asked for until it is over: what comes meanwhile costs the guest none.
  for (auto now = idle_since_; now < end && Serving(); now = std::chrono::steady_clock::now()) {
    for (int look = 0; look < kLooksPerClock; ++look) {
      if (queue_->AnyAvailable()) return true;
      os::CpuRelax();
    }
  }
  return false;
}

}  // namespace fsd::worker
