#include "server/supervisor/inflight_calls.h"

#include <algorithm>
#include <utility>

#include "server/ipc/worker_channel.h"
#include "server/supervisor/error_reason.h"

namespace fsd::supervisor {
namespace {

// Well below what counts as a flood when the worker answers.
constexpr absl::Duration kBetweenQuestions = absl::Milliseconds(10);

absl::Status Unanswered(std::string_view why) {
  return ReasonedError(absl::StatusCode::kUnavailable, ErrorReason::kWorkerFailed, why);
}

InflightRequests Checked(const internal::FromWorker::InflightRequests& answer) {
  InflightRequests list;
  for (const internal::InflightRequest& request : answer.requests()) {
    if (list.requests.size() == ipc::kMaxInflightRequests) break;
    list.requests.push_back(request);
  }
  std::stable_sort(list.requests.begin(), list.requests.end(),
                   [](const auto& a, const auto& b) { return a.age_nanos() > b.age_nanos(); });
  list.total = std::max<uint64_t>(answer.total(), list.requests.size());
  return list;
}

}  // namespace

InflightCalls::~InflightCalls() {
  loop_.Cancel(deadline_);
  loop_.Cancel(next_);
}

void InflightCalls::Add(Done done) {
  waiting_.push_back(std::move(done));
  AskIfNeeded();
}

void InflightCalls::AskIfNeeded() {
  if (waiting_.empty() || !asked_.empty() || next_ != kNoTimer) return;
  const absl::Duration since = absl::FromChrono(EventLoop::Clock::now() - asked_at_);
  if (number_ != 0 && since < kBetweenQuestions) {
    next_ = loop_.CallAfter(kBetweenQuestions - since, [this] {
      next_ = kNoTimer;
      AskIfNeeded();
    });
    return;
  }
  asked_.swap(waiting_);
  asked_at_ = EventLoop::Clock::now();
  deadline_ = loop_.CallAfter(patience_, [this] {
    deadline_ = kNoTimer;
    Finish(Unanswered("the worker does not answer; its log may say why"));
  });
  ask_(++number_);
}

void InflightCalls::OnAnswer(const internal::FromWorker::InflightRequests& answer) {
  if (asked_.empty() || answer.number() != number_) return;
  Finish(Checked(answer));
}

void InflightCalls::OnWorkerEnd() {
  waiting_.insert(waiting_.end(), std::make_move_iterator(asked_.begin()),
                  std::make_move_iterator(asked_.end()));
  asked_.swap(waiting_);
  waiting_.clear();
  loop_.Cancel(next_);
  Finish(Unanswered("the worker has ended; ask again when another is ready"));
}

void InflightCalls::Finish(const absl::StatusOr<InflightRequests>& result) {
  loop_.Cancel(deadline_);
  const std::vector<Done> asked = std::exchange(asked_, {});
  for (const Done& done : asked) done(result);
  AskIfNeeded();
}

}  // namespace fsd::supervisor
