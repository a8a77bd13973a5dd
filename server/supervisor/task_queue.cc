#include "server/supervisor/task_queue.h"

namespace fsd::supervisor {

bool TaskQueue::Post(Task task) {
  {
    const os::MutexLock lock(mutex_);
    if (closed_) return false;
    tasks_.push_back(std::move(task));
  }
  wake_.Signal();
  return true;
}

std::vector<Task> TaskQueue::TakeAll() {
  const os::MutexLock lock(mutex_);
  return std::exchange(tasks_, {});
}

void TaskQueue::RunPosted() {
  // Before taking: a task posted in between signals again.
  wake_.Drain();
  for (const Task& task : TakeAll()) task();
}

void TaskQueue::Close() {
  {
    const os::MutexLock lock(mutex_);
    closed_ = true;
  }
  RunPosted();
}

}  // namespace fsd::supervisor
