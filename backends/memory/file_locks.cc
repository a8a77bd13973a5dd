#include "backends/memory/file_locks.h"

#include <fcntl.h>

#include <iterator>
#include <optional>

namespace fsd::memory {

using backends::FileHandle;
using backends::FileLock;

ErrnoOr<void> FileLocks::Set(const Request& request, DueCompletions& due) {
  const ErrnoOr<void> result = Try(request);
  // Also what failed may have made room: a flock(2) lock is dropped before it changes.
  Grant(due);
  return result;
}

ErrnoOr<void> FileLocks::Try(const Request& request) {
  return request.options.flock ? TryFlock(request) : TryPosix(request);
}

ErrnoOr<void> FileLocks::TryFlock(const Request& request) {
  const uint32_t type = request.lock.type;
  const auto held = flocks_.find(request.handle);
  if (held != flocks_.end()) {
    if (held->second == type) return {};
    flocks_.erase(held);
    --budget_.used;
  }
  if (type == F_UNLCK) return {};
  for (const auto& [handle, other] : flocks_) {
    if (type == F_WRLCK || other == F_WRLCK) return Errno(EAGAIN);
  }
  if (budget_.used >= budget_.limit) return Errno(ENOLCK);
  ++budget_.used;
  flocks_[request.handle] = type;
  return {};
}

ErrnoOr<void> FileLocks::TryPosix(const Request& request) {
  const FileLock& lock = request.lock;
  for (const auto& [id, owner] : owners_) {
    if (id != request.options.owner && owner.ranges.FirstConflict(lock)) return Errno(EAGAIN);
  }
  auto owner = owners_.find(request.options.owner);
  if (owner == owners_.end()) {
    if (lock.type == F_UNLCK) return {};
    owner = owners_.try_emplace(request.options.owner).first;
    owner->second.handle = request.handle;
  }
  backends::LockRanges& ranges = owner->second.ranges;
  const size_t before = ranges.size();
  const int64_t growth = ranges.GrowthOf(lock);
  if (growth > 0 && budget_.used + static_cast<size_t>(growth) > budget_.limit) {
    if (ranges.empty()) owners_.erase(owner);
    return Errno(ENOLCK);
  }
  ranges.Set(lock);
  owner->second.pid = lock.pid;
  budget_.used = budget_.used - before + ranges.size();
  if (ranges.empty()) owners_.erase(owner);
  return {};
}

backends::Outcome<void> FileLocks::Wait(const Request& request, const backends::Call<void>& call) {
  if (budget_.used >= budget_.limit) return Errno(ENOLCK);
  ++budget_.used;
  waiters_.push_back({.request = request, .completion = call.Defer()});
  return backends::kPending;
}

void FileLocks::Grant(DueCompletions& due) {
  for (auto waiter = waiters_.begin(); waiter != waiters_.end();) {
    const ErrnoOr<void> result = Try(waiter->request);
    if (!result.ok() && result.error() == Errno(EAGAIN)) {
      ++waiter;
      continue;
    }
    due.Add(std::move(waiter->completion), result);
    waiter = waiters_.erase(waiter);
    --budget_.used;
  }
}

FileLock FileLocks::Find(uint64_t owner, const FileLock& lock) const {
  std::optional<FileLock> first;
  for (const auto& [id, other] : owners_) {
    if (id == owner) continue;
    std::optional<FileLock> conflict = other.ranges.FirstConflict(lock);
    if (!conflict || (first && first->first <= conflict->first)) continue;
    conflict->pid = other.pid;
    first = conflict;
  }
  if (first) return *first;
  FileLock free = lock;
  free.type = F_UNLCK;
  return free;
}

FileLocks::Owners::iterator FileLocks::Erase(Owners::iterator owner) {
  budget_.used -= owner->second.ranges.size();
  return owners_.erase(owner);
}

void FileLocks::DropOwner(uint64_t owner, DueCompletions& due) {
  const auto found = owners_.find(owner);
  if (found == owners_.end()) return;
  Erase(found);
  Grant(due);
}

void FileLocks::DropHandle(FileHandle handle, DueCompletions& due) {
  budget_.used -= flocks_.erase(handle);
  for (auto owner = owners_.begin(); owner != owners_.end();) {
    owner = owner->second.handle == handle ? Erase(owner) : std::next(owner);
  }
  for (auto waiter = waiters_.begin(); waiter != waiters_.end();) {
    if (waiter->request.handle != handle) {
      ++waiter;
      continue;
    }
    due.Add(std::move(waiter->completion), Errno(EBADF));
    waiter = waiters_.erase(waiter);
    --budget_.used;
  }
  Grant(due);
}

void FileLocks::EndWaits(Errno error, DueCompletions& due) {
  for (Waiter& waiter : waiters_) due.Add(std::move(waiter.completion), error);
  budget_.used -= waiters_.size();
  waiters_.clear();
}

}  // namespace fsd::memory
