#include "backends/passthrough/lock_waiter.h"

#include <fcntl.h>

#include <algorithm>
#include <utility>

namespace fsd::passthrough {

using backends::NodeId;

LockWaiter::LockWaiter(absl::Duration limit, size_t max_waiters)
    : LockWaiter(limit, max_waiters, [](std::function<void()> body) {
        return os::Thread::Start("fsd-locks", std::move(body));
      }) {}

LockWaiter::LockWaiter(absl::Duration limit, size_t max_waiters, StartThread start_thread)
    : limit_(std::clamp<Clock::duration>(absl::ToChronoNanoseconds(limit), Clock::duration::zero(),
                                         std::chrono::hours(24))),
      max_waiters_(max_waiters),
      start_thread_(std::move(start_thread)) {}

LockWaiter::~LockWaiter() {
  std::optional<os::Thread> thread;
  {
    os::MutexLock lock(mutex_);
    stopping_ = true;
    thread.swap(thread_);
  }
  changed_.NotifyOne();
  if (thread) thread->Join();
  Reset();
}

backends::Outcome<void> LockWaiter::Wait(const backends::Call<void>& call, Claim claim,
                                         uint32_t epoch) {
  {
    os::MutexLock lock(mutex_);
    if (stopping_ || epoch != epoch_.load(std::memory_order_relaxed)) return Errno(EINTR);
    if (waiting_.load(std::memory_order_relaxed) >= max_waiters_) return Errno(ENOLCK);
    if (!thread_) {
      ErrnoOr<os::Thread> thread = start_thread_([this] { Run(); });
      if (!thread.ok()) return Errno(ENOLCK);
      thread_ = *std::move(thread);
    }
    const Clock::time_point now = Clock::now();
    const auto [queue, first] = queues_.try_emplace(claim.file);
    if (first) queue->second.next_round = now + kFirstPause;
    queue->second.waiters.try_emplace(next_number_++,
                                      Waiter{call.Defer(), std::move(claim), now + limit_});
    waiting_.fetch_add(1, std::memory_order_relaxed);
  }
  changed_.NotifyOne();
  return backends::kPending;
}

void LockWaiter::Retry(NodeId file) {
  if (waiting() == 0) return;
  {
    os::MutexLock lock(mutex_);
    const auto queue = queues_.find(file);
    if (queue == queues_.end()) return;
    queue->second.pause = kFirstPause;
    queue->second.next_round = Clock::now();
  }
  changed_.NotifyOne();
}

void LockWaiter::EndAll(Errno error) {
  Queues ended;
  {
    os::MutexLock lock(mutex_);
    ended.swap(queues_);
    for (auto& [file, queue] : ended) {
      auto tried = queue.waiters.extract(trying_);
      if (tried.empty()) continue;
      tried.mapped().ended = error;
      queues_[file].waiters.insert(std::move(tried));
    }
    waiting_.store(trying_ == 0 ? 0 : 1, std::memory_order_relaxed);
  }
  for (auto& [file, queue] : ended) {
    for (auto& [number, waiter] : queue.waiters) waiter.completion(error);
  }
}

void LockWaiter::Reset() {
  {
    os::MutexLock lock(mutex_);
    epoch_.fetch_add(1, std::memory_order_acq_rel);
  }
  EndAll(Errno(EINTR));
  os::MutexLock lock(mutex_);
  // For who has come since, others may follow.
  for (const uint64_t last = trying_; last != 0 && trying_ == last;) tried_.Wait(mutex_);
}

void LockWaiter::Run() {
  os::MutexLock lock(mutex_);
  while (!stopping_) {
    if (queues_.empty()) {
      changed_.Wait(mutex_);
      continue;
    }
    if (const Clock::duration pause = Pause(); pause > Clock::duration::zero()) {
      (void)changed_.WaitFor(mutex_, std::chrono::ceil<std::chrono::milliseconds>(pause));
      continue;
    }
    const auto due = std::min_element(queues_.begin(), queues_.end(), [](auto& a, auto& b) {
      return a.second.next_round < b.second.next_round;
    });
    Round(due->first);
  }
}

LockWaiter::Clock::duration LockWaiter::Pause() const {
  Clock::time_point next = Clock::time_point::max();
  for (const auto& [file, queue] : queues_) next = std::min(next, queue.next_round);
  return next - Clock::now();
}

bool LockWaiter::IsBehind(const Waiters& waiters, Waiters::const_iterator waiter) {
  const Claim& claim = waiter->second.claim;
  if (claim.holds_others) return false;
  return std::any_of(waiters.begin(), waiter, [&claim](const auto& before) {
    const Claim& other = before.second.claim;
    return claim.flock == other.flock && claim.lock.first <= other.lock.last &&
           other.lock.first <= claim.lock.last &&
           (claim.lock.type == F_WRLCK || other.lock.type == F_WRLCK);
  });
}

void LockWaiter::Round(NodeId file) {
  Queue& queue = queues_.at(file);
  queue.next_round = std::min(Clock::now() + queue.pause, queue.waiters.begin()->second.deadline);
  queue.pause = std::min<Clock::duration>(2 * queue.pause, kLastPause);
  for (uint64_t number = 0; !stopping_;) {
    const auto found = queues_.find(file);  // an EndAll() may have taken all away
    if (found == queues_.end()) return;
    const auto next = found->second.waiters.upper_bound(number);
    if (next == found->second.waiters.end()) return;
    number = next->first;
    if (IsBehind(found->second.waiters, next) && Clock::now() < next->second.deadline) continue;
    TryFor(file, next->second, number);
  }
}

void LockWaiter::TryFor(NodeId file, Waiter& waiter, uint64_t number) {
  const bool last = Clock::now() >= waiter.deadline;
  trying_ = number;  // keeps `waiter` in its file's queue
  mutex_.unlock();
  ErrnoOr<void> result = waiter.claim.attempt();
  mutex_.lock();
  trying_ = 0;
  tried_.NotifyAll();
  if (!result.ok() && result.error() == Errno(EAGAIN)) {
    if (!last && !waiter.ended) return;
    result = waiter.ended.value_or(Errno(ETIMEDOUT));
  }
  backends::Completion<void> completion = std::move(waiter.completion);
  const auto queue = queues_.find(file);
  queue->second.waiters.erase(number);
  // Who has had its turn may soon be done with it.
  queue->second.pause = kFirstPause;
  if (queue->second.waiters.empty()) queues_.erase(queue);
  waiting_.fetch_sub(1, std::memory_order_relaxed);
  mutex_.unlock();
  completion(result);
  mutex_.lock();
}

}  // namespace fsd::passthrough
