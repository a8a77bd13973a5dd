#include "server/worker/gated_filesystem.h"

#include <chrono>
#include <utility>

#include "server/os/close_together.h"

namespace fsd::worker {
namespace {

constexpr std::chrono::milliseconds kPatience(60'000);

}  // namespace

void Gate::Close() {
  const os::MutexLock lock(mutex_);
  open_ = false;
}

void Gate::Open() {
  const os::MutexLock lock(mutex_);
  open_ = true;
  changed_.NotifyAll();
}

void Gate::Pass() {
  const os::MutexLock lock(mutex_);
  ++waiting_;
  changed_.NotifyAll();
  while (!open_) changed_.Wait(mutex_);
  --waiting_;
}

bool Gate::AwaitWaiting(size_t count) {
  const os::MutexLock lock(mutex_);
  while (waiting_ < count) {
    if (!changed_.WaitFor(mutex_, kPatience)) return false;
  }
  return true;
}

size_t Gate::waiting() {
  const os::MutexLock lock(mutex_);
  return waiting_;
}

void GatedFilesystem::Reset() {
  reset_gate.Pass();
  ++resets;
}

void GatedFilesystem::EndWaits() {
  std::vector<backends::Completion<backends::Attributes>> waiting;
  {
    const os::MutexLock lock(mutex_);
    waiting.swap(waiting_);
  }
  for (auto& completion : waiting) completion(Errno(EAGAIN));
}

backends::Outcome<backends::Attributes> GatedFilesystem::GetAttributes(
    backends::Call<backends::Attributes> call, backends::NodeId node,
    std::optional<backends::FileHandle>) {
  if (node == kPendingNode) {
    const os::MutexLock lock(mutex_);
    pending_.emplace(call.unique(), call.Defer());
    deferred_.NotifyAll();
    return backends::kPending;
  }
  if (node == kWaitingNode) {
    const os::MutexLock lock(mutex_);
    waiting_.push_back(call.Defer());
    deferred_.NotifyAll();
    return backends::kPending;
  }
  if (node == kBlockingNode) {
    blocking_gate.Pass();
  } else if (node == kOtherBlockingNode) {
    other_gate.Pass();
  } else if (node != backends::kRootNodeId) {
    return Errno(ENOENT);
  }
  backends::Attributes attributes{};
  attributes.stx_ino = 42;
  return attributes;
}

void GatedFilesystem::Forget(backends::NodeId, uint64_t) {
  if (const int fd = to_close.exchange(-1); fd >= 0) os::CloseSoon(fd);
}

backends::Outcome<void> GatedFilesystem::Fsync(backends::Call<void>, backends::NodeId,
                                               backends::FileHandle, bool) {
  fsync_gate.Pass();
  return ErrnoOr<void>();
}

bool GatedFilesystem::AwaitPending(uint64_t unique) {
  const os::MutexLock lock(mutex_);
  while (!pending_.contains(unique)) {
    if (!deferred_.WaitFor(mutex_, kPatience)) return false;
  }
  return true;
}

bool GatedFilesystem::AwaitWaiting() {
  const os::MutexLock lock(mutex_);
  while (waiting_.empty()) {
    if (!deferred_.WaitFor(mutex_, kPatience)) return false;
  }
  return true;
}

bool GatedFilesystem::CompletePending(uint64_t unique) {
  if (!AwaitPending(unique)) return false;
  std::optional<backends::Completion<backends::Attributes>> completion;
  {
    const os::MutexLock lock(mutex_);
    const auto found = pending_.find(unique);
    completion.emplace(std::move(found->second));
    pending_.erase(found);
  }
  backends::Attributes attributes{};
  attributes.stx_ino = unique;
  (*completion)(attributes);
  return true;
}

}  // namespace fsd::worker
