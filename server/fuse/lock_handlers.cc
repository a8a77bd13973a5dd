#include "server/fuse/lock_handlers.h"

#include <fcntl.h>

#include <cstdint>

#include "server/fuse/abi.h"
#include "server/fuse/operation.h"

namespace fsd::fuse {
namespace {

using backends::Call;
using backends::FileHandle;
using backends::FileLock;
using backends::LockOptions;

ErrnoOr<FileLock> DecodeLock(const fuse_file_lock& lock) {
  if (lock.end > INT64_MAX || lock.start > lock.end) return Errno(EINVAL);
  if (lock.type != F_RDLCK && lock.type != F_WRLCK && lock.type != F_UNLCK) return Errno(EINVAL);
  return FileLock{.first = lock.start, .last = lock.end, .type = lock.type, .pid = lock.pid};
}

void ReplyLock(Request& request, const FileLock& lock) {
  request.Reply([&] {
    return fuse_lk_out{
        .lk = {.start = lock.first, .end = lock.last, .type = lock.type, .pid = lock.pid}};
  });
}

void SetLock(Request& request, bool wait) {
  const auto in = request.arguments().Take<fuse_lk_in>();
  const bool flock = (in.lk_flags & FUSE_LK_FLOCK) != 0;
  ErrnoOr<FileLock> lock = DecodeLock(in.lk);
  if (!lock.ok()) return request.ReplyError(lock.error());
  if (flock) {
    lock->first = 0;
    lock->last = INT64_MAX;
  }
  RunOperation<void, ReplyEmpty>(request, [&](Call<void> call) {
    return request.filesystem().SetLock(call, request.node(), FileHandle{in.fh}, *lock,
                                        {.owner = in.owner, .flock = flock, .wait = wait});
  });
}

}  // namespace

void HandleGetLock(Request& request) {
  const auto in = request.arguments().Take<fuse_lk_in>();
  const ErrnoOr<FileLock> lock = DecodeLock(in.lk);
  if (!lock.ok()) return request.ReplyError(lock.error());
  // flock(2) cannot ask, and nothing hinders an unlock.
  if ((in.lk_flags & FUSE_LK_FLOCK) != 0 || lock->type == F_UNLCK) {
    return request.ReplyError(Errno(EINVAL));
  }
  RunOperation<FileLock, ReplyLock>(request, [&](Call<FileLock> call) {
    return request.filesystem().GetLock(call, request.node(), FileHandle{in.fh}, in.owner, *lock);
  });
}

void HandleSetLock(Request& request) { SetLock(request, /*wait=*/false); }

void HandleSetLockWait(Request& request) { SetLock(request, /*wait=*/true); }

}  // namespace fsd::fuse
