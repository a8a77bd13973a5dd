// SlowLane: a few threads for what is known to block. (Rings are served by a lane of their own, as
// any request may block.)
//
// First in, first out, without allocation: a job is linked through itself. How many can wait is
// bounded by how many jobs exist, one for each slot of a ring. Threads are made when all others are
// busy, up to the limit, and stay.
#ifndef FSD_SERVER_WORKER_SLOW_LANE_H_
#define FSD_SERVER_WORKER_SLOW_LANE_H_

#include <cstddef>
#include <memory>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "server/os/mutex.h"
#include "server/os/thread.h"

namespace fsd::worker {

class SlowLane {
 public:
  class Job {
   public:
    // On one of the lane's threads, which does not touch the job once Run has begun: it may submit
    // it again or destroy it.
    virtual void Run() = 0;

   protected:
    ~Job() = default;

   private:
    friend class SlowLane;
    Job* next_ = nullptr;
  };

  // `name` is its threads' (os::Thread). RESOURCE_EXHAUSTED: not even the first `threads` (≥ 1, or
  // Reserve has to be called before Submit) could be made.
  static absl::StatusOr<std::unique_ptr<SlowLane>> Create(const char* name, size_t max_threads,
                                                          size_t threads = 1);
  SlowLane(const SlowLane&) = delete;
  SlowLane& operator=(const SlowLane&) = delete;
  // Runs every job that was submitted, then ends the threads.
  ~SlowLane();

  // Makes threads until there are that many. Any thread. RESOURCE_EXHAUSTED.
  absl::Status Reserve(size_t threads);
  // Any thread. `job` is not in the lane.
  void Submit(Job& job);

 private:
  SlowLane(const char* name, size_t max_threads);
  bool AddThread() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Work();
  // The job to run next, waiting for one; nullptr when the lane ends.
  Job* Next();

  const char* const name_;
  const size_t max_threads_;
  os::Mutex mutex_;
  os::CondVar wake_;
  Job* first_ ABSL_GUARDED_BY(mutex_) = nullptr;
  Job* last_ ABSL_GUARDED_BY(mutex_) = nullptr;
  size_t waiting_ ABSL_GUARDED_BY(mutex_) = 0;  // jobs
  size_t idle_ ABSL_GUARDED_BY(mutex_) = 0;     // threads, those that start included
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;
  std::vector<os::Thread> threads_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace fsd::worker

#endif  // FSD_SERVER_WORKER_SLOW_LANE_H_
