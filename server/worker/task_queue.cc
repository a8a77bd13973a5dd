#include "server/worker/task_queue.h"

#include "server/errors/status_macros.h"

namespace fsd::worker {

ErrnoOr<std::unique_ptr<TaskQueue>> TaskQueue::Create() {
  FSD_ASSIGN_OR_RETURN_ERRNO(os::EventFd event, os::EventFd::Create());
  return std::unique_ptr<TaskQueue>(new TaskQueue(std::move(event)));
}

void TaskQueue::Post(Task task) {
  const os::MutexLock lock(mutex_);
  tasks_.push_back(std::move(task));
  // Under the lock: once the task has run, its poster no longer touches this queue.
  if (tasks_.size() == 1) event_.Signal();
}

void TaskQueue::Run() {
  std::vector<Task> tasks;
  {
    const os::MutexLock lock(mutex_);
    event_.Drain();
    tasks.swap(tasks_);
  }
  for (Task& task : tasks) task();
}

}  // namespace fsd::worker
