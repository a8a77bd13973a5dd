// TaskQueue: work that other threads hand to the control thread.
//
// Any thread may Post; tasks run in the order of their posts. Outlives every thread that posts.
#ifndef FSD_SERVER_WORKER_TASK_QUEUE_H_
#define FSD_SERVER_WORKER_TASK_QUEUE_H_

#include <functional>
#include <memory>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "server/errors/errno_or.h"
#include "server/os/event_fd.h"
#include "server/os/mutex.h"

namespace fsd::worker {

class TaskQueue {
 public:
  using Task = std::function<void()>;

  static ErrnoOr<std::unique_ptr<TaskQueue>> Create();

  void Post(Task task);

  // Of the control thread: readable when there are tasks to Run.
  int fd() const { return event_.fd(); }
  // Runs what was posted before the call. What these tasks post waits for the next.
  void Run();

 private:
  explicit TaskQueue(os::EventFd event) : event_(std::move(event)) {}

  const os::EventFd event_;
  os::Mutex mutex_;
  std::vector<Task> tasks_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace fsd::worker

#endif  // FSD_SERVER_WORKER_TASK_QUEUE_H_
