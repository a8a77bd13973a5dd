// PassthroughFilesystem: GETLK, SETLK and SETLKW, and what ends locks.
//
// POSIX locks are the lock table's; a flock(2) lock is on the handle's own open file description,
// of which each open of the guest has one.
#include <fcntl.h>
#include <sys/file.h>

#include "backends/lock_ranges.h"
#include "backends/passthrough/passthrough_filesystem.h"
#include "server/errors/status_macros.h"

namespace fsd::passthrough {

using backends::Call;
using backends::FileLock;
using backends::LockOptions;
using backends::Outcome;

namespace {

ErrnoOr<void> SetFlock(int file, uint32_t type) {
  const int operation = type == F_UNLCK ? LOCK_UN : type == F_RDLCK ? LOCK_SH : LOCK_EX;
  while (::flock(file, operation | LOCK_NB) != 0) {
    if (errno != EINTR) return Errno::Last();
  }
  return {};
}

}  // namespace

ErrnoOr<void> PassthroughFilesystem::TryLock(NodeId node, FileHandle handle, const FileLock& lock,
                                             const LockOptions& options, uint32_t epoch) {
  FSD_ASSIGN_OR_RETURN_ERRNO(const HandleTable::Pin open,
                             PinHandle(node, handle, HandleKind::kFile));
  if (options.flock) return SetFlock(open->fd, lock.type);
  const LockTable::Locker locker{.node = node,
                                 .owner = options.owner,
                                 .handle = handle,
                                 .file = open->fd,
                                 .reopen = [&](int flags) -> ErrnoOr<os::UniqueFd> {
                                   FSD_ASSIGN_OR_RETURN_ERRNO(const InodeTable::Pin inode,
                                                              PinNode(node));
                                   return ReopenNode(inode, flags);
                                 },
                                 .is_open = [&] { return handles_.Acquire(node, handle).ok(); }};
  const ErrnoOr<void> result = WithRoom([&] { return locks_->Set(locker, lock, epoch); });
  if (!result.ok() && (result.error() == Errno(EMFILE) || result.error() == Errno(ENFILE))) {
    return Errno(ENOLCK);
  }
  return result;
}

Outcome<FileLock> PassthroughFilesystem::GetLock(Call<FileLock>, NodeId node, FileHandle handle,
                                                 uint64_t owner, const FileLock& lock) {
  if (!locks_) return Errno(ENOSYS);
  FSD_ASSIGN_OR_RETURN_ERRNO(const HandleTable::Pin open,
                             PinHandle(node, handle, HandleKind::kFile));
  const LockTable::Locker locker{.node = node, .owner = owner, .handle = handle, .file = open->fd};
  return locks_->Get(locker, lock);
}

Outcome<void> PassthroughFilesystem::SetLock(Call<void> call, NodeId node, FileHandle handle,
                                             const FileLock& lock, LockOptions options) {
  if (!locks_) return Errno(ENOSYS);
  const uint32_t lock_epoch = locks_->epoch();
  const uint32_t wait_epoch = lock_waiter_->epoch();
  FSD_RETURN_IF_ERRNO(backends::CheckLock(lock));
  const ErrnoOr<void> result = TryLock(node, handle, lock, options, lock_epoch);
  if (result.ok()) {
    // It may have replaced one that hindered more. A flock(2) lock that is to change is lost first.
    lock_waiter_->Retry(node);
    return result;
  }
  if (result.error() != Errno(EAGAIN)) return result;
  if (options.flock) lock_waiter_->Retry(node);
  if (!options.wait) return result;
  return lock_waiter_->Wait(
      call,
      {.file = node,
       .lock = lock,
       .flock = options.flock,
       .holds_others = !options.flock && locks_->Holds(node, options.owner),
       .attempt = [=, this] { return TryLock(node, handle, lock, options, lock_epoch); }},
      wait_epoch);
}

void PassthroughFilesystem::EndWaits() {
  if (lock_waiter_) lock_waiter_->EndAll(Errno(EAGAIN));
}

void PassthroughFilesystem::EndLocks(NodeId node, uint64_t owner) {
  if (!locks_) return;
  locks_->DropOwner(node, owner);
  lock_waiter_->Retry(node);
}

void PassthroughFilesystem::EndLocks(NodeId node, const HandleTable::Pin& handle) {
  if (!locks_) return;
  // The descriptor may stay open for a while yet, for those that still use it.
  (void)SetFlock(handle->fd, F_UNLCK);
  locks_->DropHandle(node, FileHandle{handle.id()});
  lock_waiter_->Retry(node);
}

}  // namespace fsd::passthrough
