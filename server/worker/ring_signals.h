// RingSignals: what a queue thread sleeps for: the driver's kick, and a wake-up of our own.
//
// The kick's descriptor is the front-end's, so it is only waited for (edge-triggered) and never
// read: a read could block, or take what somebody else waits for. Nor need the wake-up be.
//
// One thread waits; any may call Wake.
#ifndef FSD_SERVER_WORKER_RING_SIGNALS_H_
#define FSD_SERVER_WORKER_RING_SIGNALS_H_

#include <chrono>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "server/os/event_fd.h"
#include "server/os/unique_fd.h"

namespace fsd::worker {

class RingSignals {
 public:
  // `kick` may be invalid: none comes. INVALID_ARGUMENT: it is no descriptor for this.
  // RESOURCE_EXHAUSTED: memory or descriptors.
  static absl::StatusOr<RingSignals> Create(os::UniqueFd kick);
  // Another kick; the wake-up stays. The errors leave it as it was. Nobody may be waiting.
  absl::Status SetKick(os::UniqueFd kick);

  bool has_kick() const { return kick_.valid(); }
  void Wake() const { wake_.Signal(); }
  // Until a kick, a wake-up or the timeout; -1: there is none.
  void Wait(int timeout_ms) const;
  // Until a wake-up or the timeout, however often the driver kicks.
  void WaitForWake(std::chrono::milliseconds timeout) const;

 private:
  RingSignals(os::EventFd wake, os::UniqueFd kick, os::UniqueFd epoll)
      : wake_(std::move(wake)), kick_(std::move(kick)), epoll_(std::move(epoll)) {}

  os::EventFd wake_;
  os::UniqueFd kick_;
  os::UniqueFd epoll_;  // of both
};

}  // namespace fsd::worker

#endif  // FSD_SERVER_WORKER_RING_SIGNALS_H_
