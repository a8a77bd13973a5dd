// InflightCalls: calls that wait until a worker has listed its requests in flight.
//
// However many there are, one question at a time is put to the worker, and not too many a second. A
// worker that does not answer costs its callers a time-out, and nobody else anything.
//
// For the loop's thread.
#ifndef FSD_SERVER_SUPERVISOR_INFLIGHT_CALLS_H_
#define FSD_SERVER_SUPERVISOR_INFLIGHT_CALLS_H_

#include <functional>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "proto/fsd/internal/worker.pb.h"
#include "server/supervisor/event_loop.h"
#include "server/supervisor/export_sample.h"

namespace fsd::supervisor {

class InflightCalls {
 public:
  using Done = std::function<void(const absl::StatusOr<InflightRequests>&)>;

  // `ask` puts the question; the answer comes as OnAnswer.
  InflightCalls(EventLoop& loop, absl::Duration patience, std::function<void(uint64_t number)> ask)
      : loop_(loop), patience_(patience), ask_(std::move(ask)) {}
  // Leaves calls unanswered.
  ~InflightCalls();
  InflightCalls(const InflightCalls&) = delete;
  InflightCalls& operator=(const InflightCalls&) = delete;

  // `done` is told what is in flight at a moment from now on. UNAVAILABLE: the worker does not
  // answer, or has ended.
  void Add(Done done);
  // From the worker; one that answers no question of now is ignored.
  void OnAnswer(const internal::FromWorker::InflightRequests& answer);
  void OnWorkerEnd();

 private:
  void AskIfNeeded();
  void Finish(const absl::StatusOr<InflightRequests>& result);

  EventLoop& loop_;
  const absl::Duration patience_;
  const std::function<void(uint64_t)> ask_;
  std::vector<Done> waiting_;  // for the next question
  std::vector<Done> asked_;    // for the answer to this one
  uint64_t number_ = 0;        // of the last question
  EventLoop::Clock::time_point asked_at_;
  TimerId deadline_ = kNoTimer;  // of the answer
  TimerId next_ = kNoTimer;      // question
};

}  // namespace fsd::supervisor

#endif  // FSD_SERVER_SUPERVISOR_INFLIGHT_CALLS_H_
