#include "server/worker/request_limits.h"

#include <algorithm>
#include <utility>

#include "server/fuse/abi.h"

namespace fsd::worker {

RequestKind RequestKindOf(uint32_t opcode) {
  switch (opcode) {
    case FUSE_READ:
      return RequestKind::kRead;
    case FUSE_WRITE:
    case FUSE_COPY_FILE_RANGE:
    case fuse::kOpcodeCopyFileRange64:
      return RequestKind::kWrite;
    case FUSE_INIT:
    case FUSE_DESTROY:
      return RequestKind::kFree;
    default:
      return RequestKind::kOther;
  }
}

void RequestLimits::Change(Bucket& bucket, uint64_t per_second, uint64_t burst, TimePoint now) {
  if (per_second == 0) {
    bucket.reset();
  } else if (!bucket.has_value()) {
    bucket.emplace(per_second, burst, now);
  } else if (bucket->per_second() != per_second || bucket->burst() != burst) {
    bucket->Earn(now);
    bucket->Change(per_second, burst);
  }
}

void RequestLimits::Set(const Rates& rates) {
  const os::MutexLock lock(mutex_);
  const TimePoint now = clock_();
  const std::pair<size_t, const Rate&> all[] = {
      {kReads, rates.read}, {kWrites, rates.write}, {kTotal, rates.total}};
  bool on = false;
  for (const auto& [of, rate] : all) {
    Buckets& buckets = buckets_[of];
    Change(buckets.operations, rate.operations_per_second, rate.burst_operations, now);
    Change(buckets.bytes, rate.bytes_per_second, rate.burst_bytes, now);
    on = on || buckets.operations.has_value() || buckets.bytes.has_value();
  }
  on_.store(on, std::memory_order_release);
  for (Ring* const ring : line_) {
    ring->OnTurn();
    if (!on) ring->in_line_ = false;
  }
  if (!on) line_.clear();
}

std::optional<RequestLimits::TimePoint> RequestLimits::Ask(Ring& ring, bool goes_on) {
  const os::MutexLock lock(mutex_);
  const bool others_wait = line_.size() > (ring.in_line_ ? 1 : 0);
  const bool is_next = ring.in_line_ ? line_.front() == &ring : goes_on || !others_wait;
  const TimePoint now = clock_();
  auto wait = TokenBucket::Duration::zero();
  const auto overflow = line_.empty() ? TokenBucket::Duration::zero() : kLateness;
  for (Buckets& buckets : buckets_) {
    for (Bucket* const bucket : {&buckets.operations, &buckets.bytes}) {
      if (!bucket->has_value()) continue;
      (*bucket)->Earn(now, overflow);
      wait = std::max(wait, (*bucket)->UntilToken());
    }
  }
  if (is_next && wait == TokenBucket::Duration::zero()) {
    if (ring.in_line_) Remove(ring);
    return std::nullopt;
  }
  if (!std::exchange(ring.in_line_, true)) line_.push_back(&ring);
  // Before the first has gone, there is nothing to look for.
  if (line_.front() != &ring || wait > TimePoint::max() - now) return TimePoint::max();
  return now + wait;
}

void RequestLimits::Leave(Ring& ring) {
  const os::MutexLock lock(mutex_);
  if (ring.in_line_) Remove(ring);
}

void RequestLimits::Remove(Ring& ring) {
  const bool was_first = line_.front() == &ring;
  line_.erase(std::ranges::find(line_, &ring));
  ring.in_line_ = false;
  if (was_first && !line_.empty()) line_.front()->OnTurn();
}

void RequestLimits::ChargeOperation(RequestKind kind) {
  if (kind == RequestKind::kFree) return;
  const os::MutexLock lock(mutex_);
  const auto charge = [](Bucket& bucket) {
    if (bucket.has_value()) bucket->Charge(1);
  };
  charge(buckets_[kTotal].operations);
  if (kind == RequestKind::kRead) charge(buckets_[kReads].operations);
  if (kind == RequestKind::kWrite) charge(buckets_[kWrites].operations);
}

std::array<RequestLimits::Bucket*, 2> RequestLimits::BytesOf(RequestKind kind) {
  return {&buckets_[kind == RequestKind::kRead ? kReads : kWrites].bytes, &buckets_[kTotal].bytes};
}

void RequestLimits::ChargeBytes(RequestKind kind, uint64_t bytes) { Settle(kind, 0, bytes); }

void RequestLimits::Settle(RequestKind kind, uint64_t charged, uint64_t moved) {
  if ((kind != RequestKind::kRead && kind != RequestKind::kWrite) || charged == moved) return;
  const os::MutexLock lock(mutex_);
  for (Bucket* const bucket : BytesOf(kind)) {
    if (!bucket->has_value()) continue;
    if (moved > charged) {
      (*bucket)->Charge(moved - charged);
    } else {
      (*bucket)->Refund(charged - moved);
    }
  }
  // It waits for what is not so any more.
  if (moved < charged && !line_.empty()) line_.front()->OnTurn();
}

size_t RequestLimits::waiting() const {
  const os::MutexLock lock(mutex_);
  return line_.size();
}

}  // namespace fsd::worker
