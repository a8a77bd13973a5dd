// LockWaiter: pending operations that wait for a lock.
//
// The host offers no wait that ends after a time and takes no thread, so waiting is trying again:
// one thread, started when first needed, does so for all who wait. It backs off from kFirstPause to
// kLastPause while nothing changes; Retry() has it try at once.
//
// Of those who wait for the same part of a file, who came first is first: nothing is tried for who
// came later, unless its owner holds locks on the file already and so may be what the first waits
// for. Two owners that wait for each other wait until their time is over: nothing here looks for
// deadlocks.
//
// Any thread. Tries and completions run without the lock held.
#ifndef FSD_BACKENDS_PASSTHROUGH_LOCK_WAITER_H_
#define FSD_BACKENDS_PASSTHROUGH_LOCK_WAITER_H_

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>

#include "absl/base/thread_annotations.h"
#include "absl/time/time.h"
#include "backends/filesystem.h"
#include "server/errors/errno_or.h"
#include "server/os/mutex.h"
#include "server/os/thread.h"

namespace fsd::passthrough {

class LockWaiter {
 public:
  static constexpr std::chrono::milliseconds kFirstPause{1};
  static constexpr std::chrono::milliseconds kLastPause{50};

  struct Claim {
    backends::NodeId file{};
    backends::FileLock lock;
    bool flock = false;
    bool holds_others = false;  // its owner has locks of the kind on the file
    // EAGAIN as long as the lock is not to be had; never blocks.
    std::function<ErrnoOr<void>()> attempt;
  };

  // Makes the thread; as os::Thread::Start.
  using StartThread = std::function<ErrnoOr<os::Thread>(std::function<void()> body)>;

  // Who has waited `limit` gets ETIMEDOUT.
  LockWaiter(absl::Duration limit, size_t max_waiters);
  LockWaiter(absl::Duration limit, size_t max_waiters, StartThread start_thread);
  // As Reset().
  ~LockWaiter();

  // Counts Reset()s; see SlotTable::epoch().
  uint32_t epoch() const { return epoch_.load(std::memory_order_acquire); }

  // Completes `call` with the first result of `claim.attempt` that is not EAGAIN. ENOLCK: too many
  // wait, or there is no thread to be had; EINTR: `epoch` has passed.
  backends::Outcome<void> Wait(const backends::Call<void>& call, Claim claim, uint32_t epoch);
  // Something was unlocked on `file`.
  void Retry(backends::NodeId file);
  // Completes all who wait now with `error`. Does not wait for a try, which may hang with the file
  // system: for whom one is being made, it is the last, and `error` is in place of its EAGAIN.
  void EndAll(Errno error);
  // The same with EINTR, and under a new epoch. Waits for the try that is being made.
  void Reset();

  size_t waiting() const { return waiting_.load(std::memory_order_relaxed); }

 private:
  using Clock = std::chrono::steady_clock;

  struct Waiter {
    backends::Completion<void> completion;
    Claim claim;
    Clock::time_point deadline;
    std::optional<Errno> ended;  // by an EndAll() while tried for
  };
  using Waiters = std::map<uint64_t, Waiter>;  // in the order in which they came
  struct Queue {
    Waiters waiters;
    Clock::duration pause = kFirstPause;
    Clock::time_point next_round;
  };
  using Queues = std::map<backends::NodeId, Queue>;  // none is empty

  void Run();
  // Whether somebody who came before waits for what `waiter` wants.
  static bool IsBehind(const Waiters& waiters, Waiters::const_iterator waiter);
  // Tries for each of the file's waiters whose turn it may be once.
  void Round(backends::NodeId file) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Tries for one, and completes it if that is the end of its waiting. Unlocks meanwhile.
  void TryFor(backends::NodeId file, Waiter& waiter, uint64_t number)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // How long nothing is to be done.
  Clock::duration Pause() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  const Clock::duration limit_;
  const size_t max_waiters_;
  const StartThread start_thread_;
  std::atomic<uint32_t> epoch_{0};
  std::atomic<size_t> waiting_{0};
  os::Mutex mutex_;
  os::CondVar changed_;  // for the thread
  os::CondVar tried_;    // for Reset()
  Queues queues_ ABSL_GUARDED_BY(mutex_);
  uint64_t next_number_ ABSL_GUARDED_BY(mutex_) = 1;
  uint64_t trying_ ABSL_GUARDED_BY(mutex_) = 0;  // for whom, or 0
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;
  std::optional<os::Thread> thread_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace fsd::passthrough

#endif  // FSD_BACKENDS_PASSTHROUGH_LOCK_WAITER_H_
