#include "server/worker/slow_lane.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "server/errors/errno_or.h"
#include "server/errors/status_macros.h"

namespace fsd::worker {

absl::StatusOr<std::unique_ptr<SlowLane>> SlowLane::Create(const char* name, size_t max_threads,
                                                           size_t threads) {
  std::unique_ptr<SlowLane> lane(new SlowLane(name, max_threads));
  // The others may fail to come, these may not: somebody has to run what was submitted.
  FSD_RETURN_IF_ERROR(lane->Reserve(threads));
  return lane;
}

absl::Status SlowLane::Reserve(size_t threads) {
  const os::MutexLock lock(mutex_);
  while (threads_.size() < threads) {
    if (!AddThread()) {
      return absl::ResourceExhaustedError(absl::StrCat("no thread left for ", name_));
    }
  }
  return absl::OkStatus();
}

SlowLane::SlowLane(const char* name, size_t max_threads) : name_(name), max_threads_(max_threads) {
  const os::MutexLock lock(mutex_);
  threads_.reserve(max_threads);
}

SlowLane::~SlowLane() {
  std::vector<os::Thread> threads;
  {
    const os::MutexLock lock(mutex_);
    stopping_ = true;
    threads.swap(threads_);
  }
  wake_.NotifyAll();
}

bool SlowLane::AddThread() {
  ErrnoOr<os::Thread> thread = os::Thread::Start(name_, [this] { Work(); });
  if (!thread.ok()) return false;
  threads_.push_back(*std::move(thread));
  ++idle_;
  return true;
}

void SlowLane::Submit(Job& job) {
  {
    const os::MutexLock lock(mutex_);
    job.next_ = nullptr;
    (first_ == nullptr ? first_ : last_->next_) = &job;
    last_ = &job;
    ++waiting_;
    if (waiting_ > idle_ && threads_.size() < max_threads_) AddThread();
  }
  wake_.NotifyOne();
}

void SlowLane::Work() {
  while (Job* job = Next()) {
    job->Run();
    const os::MutexLock lock(mutex_);
    ++idle_;
  }
}

SlowLane::Job* SlowLane::Next() {
  const os::MutexLock lock(mutex_);
  while (first_ == nullptr && !stopping_) wake_.Wait(mutex_);
  Job* const job = first_;
  if (job != nullptr) {
    first_ = job->next_;
    --waiting_;
    --idle_;
  }
  return job;
}

}  // namespace fsd::worker
