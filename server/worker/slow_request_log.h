// SlowRequestLog: a line of the log for each request that took too long, but not for too many.
//
// Waiting for a lock is what SETLKW is for, and counts as slow never. Any thread.
#ifndef FSD_SERVER_WORKER_SLOW_REQUEST_LOG_H_
#define FSD_SERVER_WORKER_SLOW_REQUEST_LOG_H_

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "server/fuse/abi.h"
#include "server/os/mutex.h"
#include "server/telemetry/rate_limit.h"

namespace fsd::worker {

struct SlowRequest {
  size_t queue = 0;
  uint32_t opcode = 0;
  uint64_t node = 0;
  uint64_t unique = 0;
  std::chrono::nanoseconds took{0};
};

class SlowRequestLog {
 public:
  static constexpr int kBurst = 10;
  static constexpr std::chrono::seconds kInterval{1};

  // Slow is what takes longer than `threshold`; 0: nothing is.
  SlowRequestLog(std::string export_name, std::chrono::nanoseconds threshold)
      : export_name_(std::move(export_name)) {
    SetThreshold(threshold);
  }

  void SetThreshold(std::chrono::nanoseconds threshold) {
    threshold_nanoseconds_.store(
        threshold.count() > 0 ? static_cast<uint64_t>(threshold.count()) : UINT64_MAX,
        std::memory_order_relaxed);
  }

  bool IsSlow(uint32_t opcode, uint64_t nanoseconds) const {
    return nanoseconds > threshold_nanoseconds_.load(std::memory_order_relaxed) &&
           opcode != FUSE_SETLKW;
  }
  // A line, or one more of those that the next line says are missing.
  void Tell(const SlowRequest& request);

 private:
  const std::string export_name_;
  std::atomic<uint64_t> threshold_nanoseconds_;
  os::Mutex mutex_;
  telemetry::RateLimit limit_ ABSL_GUARDED_BY(mutex_){kBurst, kInterval};
  uint64_t missing_ ABSL_GUARDED_BY(mutex_) = 0;
};

}  // namespace fsd::worker

#endif  // FSD_SERVER_WORKER_SLOW_REQUEST_LOG_H_
