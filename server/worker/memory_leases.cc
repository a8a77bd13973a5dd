#include "server/worker/memory_leases.h"

#include <utility>

#include "server/errors/status_macros.h"

namespace fsd::worker {

MemoryLeases::MemoryLeases(TaskQueue& tasks)
    : tasks_(tasks), table_(std::make_shared<virtqueue::GuestMemory>()) {
  MemoryLease first = MakeLease(0);
  const os::MutexLock lock(mutex_);
  lease_ = std::move(first);
}

MemoryLease MemoryLeases::MakeLease(uint64_t generation) {
  live_.emplace(generation, table_);
  const virtqueue::GuestMemory* table = table_.get();
  // The last holder, on whatever thread, unmaps what no other table has and then reports.
  return MemoryLease(table,
                     [this, generation, held = table_](const virtqueue::GuestMemory*) mutable {
                       held.reset();
                       tasks_.Post([this, generation] { Released(generation); });
                     });
}

MemoryLease MemoryLeases::Take(uint64_t& generation) {
  const os::MutexLock lock(mutex_);
  generation = generation_.load(std::memory_order_relaxed);
  return lease_;
}

void MemoryLeases::Replace(std::shared_ptr<const virtqueue::GuestMemory> memory,
                           std::function<void()> done) {
  const uint64_t next = generation_.load(std::memory_order_relaxed) + 1;
  const bool grows = memory->Includes(*table_);
  waiting_.push_back({grows ? 0 : next, std::move(done)});
  if (grows) tasks_.Post([this] { AnswerWaiting(); });
  table_ = std::move(memory);
  MemoryLease lease = MakeLease(next);
  {
    const os::MutexLock lock(mutex_);
    lease_.swap(lease);
    generation_.store(next, std::memory_order_release);
  }
  // `lease` is the old one; if nobody else holds it, this releases it.
}

absl::Status MemoryLeases::Renew() {
  FSD_ASSIGN_OR_RETURN(std::shared_ptr<const virtqueue::GuestMemory> renewed,
                       table_->MappedAgain());
  const uint64_t waits = waiting_.empty() ? 0 : waiting_.back().generation;
  Replace(std::move(renewed), [] {});
  // Nobody waits for this one, but whoever waited before goes on to.
  waiting_.back().generation = waits;
  return absl::OkStatus();
}

ErrnoOr<void> MemoryLeases::RevokeEarlier() {
  const auto present = live_.find(generation_.load(std::memory_order_relaxed));
  for (auto earlier = live_.begin(); earlier != present; ++earlier) {
    if (const auto table = earlier->second.lock()) {
      FSD_RETURN_IF_ERRNO(table->Revoke(*table_));
    }
  }
  live_.erase(live_.begin(), present);
  AnswerWaiting();
  return {};
}

void MemoryLeases::Released(uint64_t generation) {
  live_.erase(generation);
  AnswerWaiting();
}

void MemoryLeases::AnswerWaiting() {
  while (!waiting_.empty() && live_.begin()->first >= waiting_.front().generation) {
    const std::function<void()> done = std::move(waiting_.front().done);
    waiting_.pop_front();
    done();
  }
}

}  // namespace fsd::worker
