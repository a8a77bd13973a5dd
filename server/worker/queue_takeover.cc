// QueueThread's control thread side: taking a ring away from its thread, and from its requests.
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <utility>
#include <vector>

#include "server/errors/status_macros.h"
#include "server/fuse/init.h"
#include "server/worker/queue_thread.h"

namespace fsd::worker {
namespace {

// What a request reads of its arguments at most: a WRITE's data, or a BATCH_FORGET's list, and what
// comes before it.
constexpr size_t kMostArguments = fuse::kMaxWriteBytes + 4096;

}  // namespace

void QueueThread::HandOverIfStuck() {
  const uint64_t word = word_.load(std::memory_order_acquire);
  const bool stuck = word % 2 != 0 && word == seen_word_;
  seen_word_ = word;
  if (!stuck) return;
  {
    const os::MutexLock lock(custody_mutex_);
    if (!TakeAway(word)) return;
    Submit();
  }
  // For what the batch had done: there may be no thread left that would.
  CallIfNeeded();
}

bool QueueThread::Quiesce() {
  const uint64_t word = word_.load(std::memory_order_acquire);
  bool taken = false;
  {
    const os::MutexLock lock(custody_mutex_);
    if (custody_ == Custody::kRunning) {
      taken = TakeAway(word);
      if (!taken) return false;
    }
    custody_ = Custody::kNone;
  }
  if (taken) CallIfNeeded();
  // Whose thread was stuck, or is yet to come, does not leave by itself.
  LeaveLine();
  SetAwake(false);
  services_.session.EndWaits();
  return true;
}

bool QueueThread::MayUseEarlier(uint64_t generation) {
  const os::MutexLock lock(custody_mutex_);
  return custody_ == Custody::kRunning &&
         memory_generation_.load(std::memory_order_acquire) < generation;
}

bool QueueThread::Suspend() {
  const os::MutexLock lock(publish_mutex_);
  if (publishing_ == Publishing::kSuspended) return true;
  size_t holds = holds_.load(std::memory_order_acquire);
  do {
    if (holds == 0) return false;
  } while (!holds_.compare_exchange_weak(holds, holds + 1, std::memory_order_acq_rel));
  publishing_ = Publishing::kSuspended;
  return true;
}

void QueueThread::KeepArguments() {
  const auto page = static_cast<uintptr_t>(::sysconf(_SC_PAGESIZE));
  slots_.VisitTaken([page](RequestSlot& slot) {
    if (!slot.memory().revoked()) return;
    // Not all that the guest calls readable: that may be all of its memory.
    size_t left = std::min<size_t>(slot.header().len, kMostArguments);
    for (const iovec& piece : slot.chain().readable) {
      const size_t bytes = std::min(piece.iov_len, left);
      if (bytes == 0) break;
      left -= bytes;
      const auto begin = reinterpret_cast<uintptr_t>(piece.iov_base);
      const uintptr_t first = begin & ~(page - 1);
      const uintptr_t last = (begin + bytes + page - 1) & ~(page - 1);
      // At best: on a kernel before 5.14 the pages stay the guest's until they are read.
      ::madvise(reinterpret_cast<void*>(first), last - first, MADV_POPULATE_WRITE);
    }
  });
}

bool QueueThread::ContinuedBy(const virtqueue::Virtqueue& queue) {
  uint16_t unanswered = 0;
  slots_.VisitTaken([&unanswered](RequestSlot&) { ++unanswered; });
  return unanswered > 0 && queue.size() == queue_->size() &&
         queue.next_available() == queue_->next_available() && queue.unanswered() == unanswered;
}

absl::Status QueueThread::Resume(QueueSetup setup) {
  FSD_RETURN_IF_ERROR(signals_.SetKick(std::move(setup.kick)));
  refused_ = false;
  enabled_.store(setup.enabled, std::memory_order_release);
  stopping_.store(false, std::memory_order_release);
  std::vector<MemoryLease> leases;
  {
    const os::MutexLock lock(publish_mutex_);
    queue_ = std::move(setup.queue);
    log_ = std::move(setup.log);
    leases = FinishCompleted();
  }
  CallIfNeeded();
  {
    const os::MutexLock lock(custody_mutex_);
    Submit();
  }
  ReleaseSuspended(std::move(leases));
  return absl::OkStatus();
}

void QueueThread::Unsuspend() {
  std::vector<MemoryLease> leases;
  {
    const os::MutexLock lock(publish_mutex_);
    leases = FinishCompleted();
  }
  CallIfNeeded();
  ReleaseSuspended(std::move(leases));
}

std::vector<MemoryLease> QueueThread::FinishCompleted() {
  publishing_ = Publishing::kOn;
  std::vector<MemoryLease> leases;
  const uint64_t now = services_.clock.Now();
  for (const Completed& completed : std::exchange(completed_, {})) {
    const RequestSlot& slot = *completed.slot;
    leases.push_back(Finish(*completed.slot, completed.written,
                            services_.clock.NanosecondsBetween(slot.since(), now)));
  }
  return leases;
}

void QueueThread::ReleaseSuspended(std::vector<MemoryLease> leases) {
  const size_t holds = leases.size();
  leases.clear();
  for (size_t i = 0; i < holds; ++i) Release();
  Release();
}

void QueueThread::Discard(std::function<void()> gone) {
  stopped_ = std::move(gone);
  std::vector<MemoryLease> leases;
  {
    const os::MutexLock lock(publish_mutex_);
    publishing_ = Publishing::kDiscarded;
    // The ring's next thread counts in the same place.
    counters_.ForgetTaken();
    for (const Completed& completed : std::exchange(completed_, {})) {
      leases.push_back(completed.slot->Free());
    }
  }
  ReleaseSuspended(std::move(leases));
}

bool QueueThread::TakeAway(uint64_t word) {
  if (custody_ != Custody::kRunning || word % 2 == 0) return false;
  if (!word_.compare_exchange_strong(word, word + 1, std::memory_order_acq_rel)) return false;
  // It may have been replied to meanwhile, or be pending.
  if (turn_->slot != nullptr) Detach(*turn_->slot, *turn_);
  turn_ = nullptr;
  return true;
}

}  // namespace fsd::worker
