// PassthroughFilesystem: GETATTR, SETATTR, ACCESS, STATFS.
//
// fchmod(2), futimens(2) and ftruncate(2) refuse an O_PATH fd; its name in /proc/self/fd takes
// chmod(2) and utimensat(2), and leads to the inode itself even if that is a symlink.
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "backends/passthrough/caller_credentials.h"
#include "backends/passthrough/passthrough_filesystem.h"
#include "backends/passthrough/safe_open.h"
#include "server/errors/status_macros.h"

namespace fsd::passthrough {

using backends::AttributeChanges;
using backends::Call;
using backends::Outcome;

namespace {

constexpr uint32_t kModeBits = 07777;
constexpr uint32_t kNoId = UINT32_MAX;
constexpr int64_t kNanosecondsPerSecond = 1'000'000'000;

bool ValidTime(const std::optional<AttributeChanges::Time>& time) {
  return !time || time->now ||
         (time->time.tv_nsec >= 0 && time->time.tv_nsec < kNanosecondsPerSecond);
}

timespec ToTimespec(const std::optional<AttributeChanges::Time>& time) {
  if (!time) return {.tv_sec = 0, .tv_nsec = UTIME_OMIT};
  if (time->now) return {.tv_sec = 0, .tv_nsec = UTIME_NOW};
  return time->time;
}

// What can be refused before anything is changed.
ErrnoOr<void> Check(const AttributeChanges& changes) {
  if (changes.mode && (*changes.mode & ~(kModeBits | S_IFMT)) != 0) return Errno(EINVAL);
  // To the kernel these would mean "leave it".
  if (changes.uid == kNoId || changes.gid == kNoId) return Errno(EINVAL);
  if (changes.size && *changes.size > INT64_MAX) return Errno(EFBIG);
  if (!ValidTime(changes.access_time) || !ValidTime(changes.modification_time)) {
    return Errno(EINVAL);
  }
  return {};
}

ErrnoOr<void> Truncate(int fd, uint64_t size) {
  while (::ftruncate(fd, static_cast<off_t>(size)) != 0) {
    if (errno != EINTR) return Errno::Last();
  }
  return {};
}

}  // namespace

Outcome<Attributes> PassthroughFilesystem::GetAttributes(Call<Attributes>, NodeId node,
                                                         std::optional<FileHandle> handle) {
  Attributes attributes{Attributes::ToBeFilled()};
  if (handle && !Unopened(*handle)) {
    FSD_ASSIGN_OR_RETURN_ERRNO(const HandleTable::Pin open, PinHandle(node, *handle));
    FSD_RETURN_IF_ERRNO(StatFd(open->fd, attributes));
  } else {
    FSD_ASSIGN_OR_RETURN_ERRNO(const InodeTable::Pin inode, PinNode(node));
    FSD_RETURN_IF_ERRNO(StatFd(inode->fd, attributes));
  }
  return ForGuest(attributes);
}

ErrnoOr<AttributeChanges> PassthroughFilesystem::ForHost(AttributeChanges changes) const {
  if (changes.uid) {
    FSD_ASSIGN_OR_RETURN_ERRNO(changes.uid, uids_.ToHost(*changes.uid));
  }
  if (changes.gid) {
    FSD_ASSIGN_OR_RETURN_ERRNO(changes.gid, gids_.ToHost(*changes.gid));
  }
  return changes;
}

ErrnoOr<void> PassthroughFilesystem::ChangeMode(const InodeTable::Pin& inode, uint32_t mode) {
  if (inode->type == S_IFLNK) return Errno(EOPNOTSUPP);
  if (::fchmodat(proc_self_fd_.get(), FdName(inode->fd).c_str(), mode & kModeBits, 0) != 0) {
    return Errno::Last();
  }
  return {};
}

ErrnoOr<void> PassthroughFilesystem::ChangeOwner(const InodeTable::Pin& inode,
                                                 const AttributeChanges& changes) {
  FSD_RETURN_IF_ERRNO(DropStoredCapability(inode->fd));
  if (::fchownat(inode->fd, "", changes.uid.value_or(kNoId), changes.gid.value_or(kNoId),
                 AT_EMPTY_PATH | AT_SYMLINK_NOFOLLOW) != 0) {
    const Errno error = Errno::Last();
    // An id that our user namespace has none for.
    return error == Errno(EINVAL) ? Errno(EPERM) : error;
  }
  return {};
}

ErrnoOr<void> PassthroughFilesystem::ChangeSize(const InodeTable::Pin& inode,
                                                const HandleTable::Pin& handle, uint64_t size,
                                                bool kill_suidgid) {
  const WithoutFsetid without_fsetid(kill_suidgid);
  FSD_RETURN_IF_ERRNO(without_fsetid.status());
  FSD_RETURN_IF_ERRNO(DropStoredCapability(inode->fd));
  if (handle && handle->writable) return Truncate(handle->fd, size);
  if (inode->type == S_IFDIR) return Errno(EISDIR);
  if (inode->type != S_IFREG) return Errno(EINVAL);
  FSD_ASSIGN_OR_RETURN_ERRNO(const os::UniqueFd file,
                             WithRoom([&] { return ReopenNode(inode, O_WRONLY); }));
  return Truncate(file.get(), size);
}

ErrnoOr<void> PassthroughFilesystem::ChangeTimes(const InodeTable::Pin& inode,
                                                 const AttributeChanges& changes) {
  const timespec times[2] = {ToTimespec(changes.access_time),
                             ToTimespec(changes.modification_time)};
  if (::utimensat(proc_self_fd_.get(), FdName(inode->fd).c_str(), times, 0) != 0) {
    return Errno::Last();
  }
  return {};
}

Outcome<Attributes> PassthroughFilesystem::SetAttributes(Call<Attributes>, NodeId node,
                                                         std::optional<FileHandle> handle,
                                                         const AttributeChanges& wanted) {
  if (read_only_) return Errno(EROFS);
  FSD_RETURN_IF_ERRNO(Check(wanted));
  FSD_ASSIGN_OR_RETURN_ERRNO(const AttributeChanges changes, ForHost(wanted));
  FSD_ASSIGN_OR_RETURN_ERRNO(const InodeTable::Pin inode, PinNode(node));
  HandleTable::Pin open;
  if (handle && !Unopened(*handle)) {
    FSD_ASSIGN_OR_RETURN_ERRNO(open, PinHandle(node, *handle));
  }
  if (changes.mode) FSD_RETURN_IF_ERRNO(ChangeMode(inode, *changes.mode));
  if (changes.uid || changes.gid) FSD_RETURN_IF_ERRNO(ChangeOwner(inode, changes));
  if (changes.size) {
    FSD_RETURN_IF_ERRNO(ChangeSize(inode, open, *changes.size, changes.kill_suidgid));
  }
  // Last, because every other change moves a time.
  if (changes.access_time || changes.modification_time) {
    FSD_RETURN_IF_ERRNO(ChangeTimes(inode, changes));
  }
  FSD_ASSIGN_OR_RETURN_ERRNO(Attributes attributes, StatFd(inode->fd));
  return ForGuest(attributes);
}

Outcome<void> PassthroughFilesystem::Access(Call<void> call, NodeId node, uint32_t mask) {
  if ((mask & ~uint32_t{R_OK | W_OK | X_OK}) != 0) return Errno(EINVAL);
  FSD_ASSIGN_OR_RETURN_ERRNO(const InodeTable::Pin inode, PinNode(node));
  if (read_only_ && (mask & W_OK) != 0) return Errno(EROFS);
  FSD_ASSIGN_OR_RETURN_ERRNO(const backends::Caller caller, HostCaller(call.caller()));
  const CallerCredentials credentials(caller, CallerCredentials::Permissions::kCheckedByHost);
  // Not EPERM: who mounts without default_permissions goes on without asking.
  if (!credentials.status().ok() && !impersonates_) return Errno(ENOSYS);
  FSD_RETURN_IF_ERRNO(credentials.status());
  if (::syscall(SYS_faccessat2, inode->fd, "", mask, AT_EMPTY_PATH | AT_EACCESS) != 0) {
    return Errno::Last();
  }
  return ErrnoOr<void>();
}

Outcome<struct ::statvfs> PassthroughFilesystem::StatFilesystem(Call<struct ::statvfs>,
                                                                NodeId node) {
  FSD_ASSIGN_OR_RETURN_ERRNO(const InodeTable::Pin inode, PinNode(node));
  struct ::statvfs statistics;
  if (::fstatvfs(inode->fd, &statistics) != 0) return Errno::Last();
  return statistics;
}

}  // namespace fsd::passthrough
