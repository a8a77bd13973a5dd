#include "server/supervisor/slow_writes.h"

#include <unistd.h>

#include <cerrno>
#include <system_error>
#include <thread>
#include <utility>

namespace fsd::supervisor {
namespace {

ErrnoOr<void> WriteWhole(int file, const std::string& text) {
  const ssize_t written = ::write(file, text.data(), text.size());
  if (written < 0) return Errno::Last();
  if (static_cast<size_t>(written) != text.size()) return Errno(EIO);
  return {};
}

}  // namespace

std::shared_ptr<SlowWrites> SlowWrites::Create() {
  return std::shared_ptr<SlowWrites>(new SlowWrites);
}

void SlowWrites::Write(os::UniqueFd file, std::string text, Done done) {
  {
    const os::MutexLock lock(mutex_);
    tasks_.push_back({std::move(file), std::move(text), std::move(done)});
    if (std::exchange(running_, true)) return;
  }
  try {
    std::thread([self = shared_from_this()] { self->Run(); }).detach();
  } catch (const std::system_error&) {
    Run();
  }
}

void SlowWrites::Run() {
  while (true) {
    Task task;
    {
      const os::MutexLock lock(mutex_);
      if (tasks_.empty()) {
        running_ = false;
        return;
      }
      task = std::move(tasks_.front());
      tasks_.pop_front();
    }
    task.done(WriteWhole(task.file.get(), task.text));
  }
}

}  // namespace fsd::supervisor
