#include "server/control/host_check_calls.h"

#include <system_error>
#include <thread>
#include <utility>

namespace fsd::control {

std::shared_ptr<HostCheckCalls> HostCheckCalls::Create(Look look) {
  return std::shared_ptr<HostCheckCalls>(new HostCheckCalls(std::move(look)));
}

void HostCheckCalls::Check(std::vector<std::string> export_sources,
                           supervisor::Cancellation& cancellation, Done done) {
  uint64_t number = 0;
  bool start = false;
  {
    const os::MutexLock lock(mutex_);
    number = ++last_number_;
    waiting_.emplace(number, std::move(done));
    export_sources_ = std::move(export_sources);
    start = !std::exchange(running_, true);
  }
  cancellation.SetListener([self = shared_from_this(), number] { self->Forget(number); });
  if (!start) return;
  try {
    std::thread([self = shared_from_this()] { self->Run(); }).detach();
  } catch (const std::system_error&) {
    std::map<uint64_t, Done> refused;
    {
      const os::MutexLock lock(mutex_);
      running_ = false;
      refused.swap(waiting_);
    }
    for (const auto& [_, told] : refused) {
      told(absl::ResourceExhaustedError(
          "the server can start no thread to look at the host; raise the limit of tasks of its "
          "cgroup or user"));
    }
  }
}

void HostCheckCalls::Forget(uint64_t number) {
  Done forgotten;  // goes after the lock does
  const os::MutexLock lock(mutex_);
  const auto found = waiting_.find(number);
  if (found == waiting_.end()) return;
  forgotten = std::move(found->second);
  waiting_.erase(found);
}

void HostCheckCalls::Run() {
  while (true) {
    uint64_t last = 0;
    std::vector<std::string> export_sources;
    {
      const os::MutexLock lock(mutex_);
      if (waiting_.empty()) {
        running_ = false;
        return;
      }
      last = last_number_;
      export_sources = export_sources_;
    }
    const std::vector<host::HostCheck> checks = look_(export_sources);
    for (const auto& [_, done] : TakeAnswered(last)) done(checks);
  }
}

std::map<uint64_t, HostCheckCalls::Done> HostCheckCalls::TakeAnswered(uint64_t last) {
  std::map<uint64_t, Done> answered;
  const os::MutexLock lock(mutex_);
  while (!waiting_.empty() && waiting_.begin()->first <= last) {
    answered.insert(waiting_.extract(waiting_.begin()));
  }
  return answered;
}

}  // namespace fsd::control
