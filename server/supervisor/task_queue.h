// TaskQueue: work that other threads hand to the supervisor's thread.
//
// Shared by those who post, so that one who comes late, after the supervisor is gone, finds a
// closed queue.
#ifndef FSD_SERVER_SUPERVISOR_TASK_QUEUE_H_
#define FSD_SERVER_SUPERVISOR_TASK_QUEUE_H_

#include <functional>
#include <utility>
#include <vector>

#include "server/os/event_fd.h"
#include "server/os/mutex.h"

namespace fsd::supervisor {

using Task = std::function<void()>;

class TaskQueue {
 public:
  explicit TaskQueue(os::EventFd wake) : wake_(std::move(wake)) {}

  // Any thread. False if the queue has closed: the task will not run.
  bool Post(Task task);
  // Makes fd() readable. Any thread; also a signal handler.
  void Wake() const { wake_.Signal(); }

  // The rest is for the thread that runs the tasks.

  // Readable when tasks are waiting.
  int fd() const { return wake_.fd(); }
  // Runs what had been posted by now; what these post in turn waits for the next call.
  void RunPosted();
  // Takes no more tasks, and runs those that were taken.
  void Close();

 private:
  std::vector<Task> TakeAll();

  const os::EventFd wake_;
  os::Mutex mutex_;
  bool closed_ ABSL_GUARDED_BY(mutex_) = false;
  std::vector<Task> tasks_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace fsd::supervisor

#endif  // FSD_SERVER_SUPERVISOR_TASK_QUEUE_H_
