// QueueThread's side of the export's limits on requests.
#include <algorithm>
#include <chrono>
#include <utility>

#include "server/fuse/abi.h"
#include "server/worker/queue_thread.h"

namespace fsd::worker {
namespace {

// More is not charged for a copy before it is made: a guest that means all of a file asks for more
// than there is.
constexpr uint64_t kMostOfACopy = uint64_t{1} << 30;
// The longest sleep of a ring that its export's limits make wait: by then its wait is counted.
constexpr std::chrono::milliseconds kLongestThrottle{1000};

}  // namespace

bool QueueThread::MayTake(bool goes_on) {
  // Nothing to wait for, or to be let go for: a ring that is empty stands in nobody's way.
  if (!in_line_ && !queue_->AnyAvailable()) return true;
  throttled_until_ = limits_->Ask(*this, goes_on);
  in_line_ = throttled_until_.has_value();
  return !in_line_;
}

uint64_t QueueThread::Charge(const RequestSlot& slot) {
  const uint32_t opcode = slot.header().opcode;
  limits_->ChargeOperation(RequestKindOf(opcode));
  if (opcode != FUSE_COPY_FILE_RANGE && opcode != fuse::kOpcodeCopyFileRange64) return 0;
  const uint64_t bytes = std::min(slot.CopyLengthAtAGlance(), kMostOfACopy);
  limits_->ChargeBytes(RequestKind::kWrite, bytes);
  return bytes;
}

void QueueThread::WaitThrottled() {
  const RequestLimits::TimePoint now = limits_->Now();
  const auto wait =
      std::chrono::ceil<std::chrono::milliseconds>(std::clamp<std::chrono::nanoseconds>(
          *throttled_until_ - now, std::chrono::nanoseconds(0), kLongestThrottle));
  const auto begun = std::chrono::steady_clock::now();
  signals_.WaitForWake(wait);
  counters_.Throttle(std::chrono::steady_clock::now() - begun);
}

void QueueThread::LeaveLine() {
  if (std::exchange(in_line_, false)) limits_->Leave(*this);
}

}  // namespace fsd::worker
