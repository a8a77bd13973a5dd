// StatusPacer: tells the supervisor a worker's status when it changes, but not as often as a guest
// can change it, which mounts and unmounts thousands of times a second if it likes: every export's
// supervisor would have to listen. A status is what is, not what happened, so the last one will do.
//
// Control thread.
#ifndef FSD_SERVER_WORKER_STATUS_PACER_H_
#define FSD_SERVER_WORKER_STATUS_PACER_H_

#include <chrono>
#include <functional>
#include <memory>
#include <utility>

#include "absl/status/statusor.h"
#include "server/os/epoll.h"
#include "server/os/timer_fd.h"
#include "server/telemetry/rate_limit.h"

namespace fsd::worker {

class StatusPacer {
 public:
  static constexpr int kBurst = 32;
  static constexpr std::chrono::milliseconds kInterval{100};

  // RESOURCE_EXHAUSTED or the like: no timer.
  static absl::StatusOr<std::unique_ptr<StatusPacer>> Create(os::Epoll& epoll,
                                                             std::function<void()> push);
  ~StatusPacer();
  StatusPacer(const StatusPacer&) = delete;
  StatusPacer& operator=(const StatusPacer&) = delete;

  // Has the status pushed: now, or within kInterval together with what changes until then.
  void Push();

 private:
  StatusPacer(os::Epoll& epoll, os::TimerFd timer, std::function<void()> push)
      : epoll_(epoll), timer_(std::move(timer)), push_(std::move(push)) {}

  os::Epoll& epoll_;
  const os::TimerFd timer_;
  const std::function<void()> push_;
  telemetry::RateLimit limit_{kBurst, kInterval};
  bool waiting_ = false;
};

}  // namespace fsd::worker

#endif  // FSD_SERVER_WORKER_STATUS_PACER_H_
