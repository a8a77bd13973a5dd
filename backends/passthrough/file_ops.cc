// PassthroughFilesystem: OPEN, CREATE and what is done to an open file.
//
// An fd of ours never has O_APPEND: with it pwritev2(2) ignores the offset, also of the pages that
// the guest writes back from a shared mapping. A write that appends says so with RWF_APPEND, so
// that two guests' appends do not overwrite each other.
#include <fcntl.h>
#include <limits.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <utility>

#include "backends/passthrough/caller_credentials.h"
#include "backends/passthrough/passthrough_filesystem.h"
#include "backends/passthrough/safe_open.h"
#include "server/errors/status_macros.h"

namespace fsd::passthrough {

using backends::Call;
using backends::CreatedFile;
using backends::Entry;
using backends::IoVectors;
using backends::OpenFile;
using backends::Outcome;

namespace {

constexpr uint32_t kModeBits = 07777;
// How often CREATE starts over when the name comes and goes under it.
constexpr int kCreateAttempts = 16;

// The host's flags for a guest's: what reopening may not do is refused, what is the guest's own
// business (O_APPEND, O_CREAT, O_EXCL, O_NONBLOCK …) and O_DIRECT, which our buffers are not
// aligned for, is left out.
ErrnoOr<int> HostOpenFlags(uint32_t flags) {
  if ((flags & (O_PATH | (O_TMPFILE & ~O_DIRECTORY))) != 0) return Errno(EINVAL);
  if ((flags & O_ACCMODE) == O_ACCMODE) return Errno(EINVAL);
  if ((flags & O_DIRECTORY) != 0) return Errno(ENOTDIR);
  return static_cast<int>(flags & (O_ACCMODE | O_TRUNC | O_SYNC | O_DSYNC));
}

bool Writes(int host_flags) { return (host_flags & (O_ACCMODE | O_TRUNC)) != O_RDONLY; }

// Moves all of `vectors`, or as much as there is: `move(iovecs, count, offset)` is preadv2 or
// pwritev2. An error after the first bytes only ends the transfer.
template <typename Move>
ErrnoOr<size_t> Transfer(IoVectors vectors, uint64_t offset, Move move) {
  if (offset > INT64_MAX) return Errno(EINVAL);
  size_t done = 0;
  size_t skip = 0;  // bytes of the first vector that have been moved
  while (true) {
    while (!vectors.empty() && skip >= vectors[0].iov_len) {
      skip -= vectors[0].iov_len;
      vectors = vectors.subspan(1);
    }
    if (vectors.empty()) break;
    iovec rest{};
    const iovec* at = vectors.data();
    auto count = static_cast<int>(std::min<size_t>(vectors.size(), IOV_MAX));
    if (skip != 0) {
      rest = {static_cast<char*>(vectors[0].iov_base) + skip, vectors[0].iov_len - skip};
      at = &rest;
      count = 1;
    }
    const ssize_t moved = move(at, count, static_cast<off_t>(offset + done));
    if (moved < 0) {
      if (errno == EINTR) continue;
      if (done == 0) return Errno::Last();
      break;
    }
    if (moved == 0) break;
    done += static_cast<size_t>(moved);
    skip += static_cast<size_t>(moved);
  }
  return done;
}

// Whether a write has setuid or setgid to clear. It costs less than dropping a capability for each
// write of a guest's ordinary users would; and only the mode is asked for, because a write that
// follows a look at the times has to journal finer ones.
bool MayHaveSuidgid(int fd) {
  Attributes attributes;
  return ::statx(fd, "", AT_EMPTY_PATH, STATX_MODE, &attributes) != 0 ||
         (attributes.stx_mode & (S_ISUID | S_ISGID)) != 0;
}

}  // namespace

ErrnoOr<FileHandle> PassthroughFilesystem::InsertFile(os::UniqueFd file, NodeId node,
                                                      uint32_t flags, Epochs epochs) {
  return handles_.Insert(std::move(file),
                         {.node = node,
                          .kind = HandleKind::kFile,
                          .append = (flags & O_APPEND) != 0,
                          .writable = (flags & O_ACCMODE) != O_RDONLY},
                         epochs.handles);
}

Outcome<OpenFile> PassthroughFilesystem::Open(Call<OpenFile>, NodeId node,
                                              backends::OpenOptions options) {
  const uint32_t flags = options.flags;
  const Epochs epochs = Begin();
  FSD_ASSIGN_OR_RETURN_ERRNO(const int host_flags, HostOpenFlags(flags));
  if (read_only_ && Writes(host_flags)) return Errno(EROFS);
  FSD_ASSIGN_OR_RETURN_ERRNO(const InodeTable::Pin inode, PinNode(node));
  if (inode->type == S_IFDIR) return Errno(EISDIR);
  os::UniqueFd file;
  {
    const WithoutFsetid without_fsetid(options.kill_suidgid && (host_flags & O_TRUNC) != 0);
    FSD_RETURN_IF_ERRNO(without_fsetid.status());
    FSD_ASSIGN_OR_RETURN_ERRNO(file,
                               Reopen(proc_self_fd_.get(), inode->fd, inode->type, host_flags));
  }
  FSD_ASSIGN_OR_RETURN_ERRNO(const FileHandle handle,
                             InsertFile(std::move(file), node, flags, epochs));
  return OpenFile{.handle = handle};
}

Outcome<CreatedFile> PassthroughFilesystem::Create(Call<CreatedFile> call, NodeId parent,
                                                   std::string_view raw_name, uint32_t mode,
                                                   backends::OpenOptions options,
                                                   const backends::Creation& creation) {
  const uint32_t flags = options.flags;
  const Epochs epochs = Begin();
  if (read_only_) return Errno(EROFS);
  const ComponentName name(raw_name);
  FSD_RETURN_IF_ERRNO(name.status());
  const bool exclusive = (flags & O_EXCL) != 0;
  if (name.IsDot() || name.IsDotDot()) return Errno(exclusive ? EEXIST : EISDIR);
  if ((mode & ~kModeBits) != 0 && (mode & ~kModeBits) != S_IFREG) return Errno(EINVAL);
  FSD_ASSIGN_OR_RETURN_ERRNO(const InodeTable::Pin directory, PinDirectory(parent));

  for (int attempt = 0; attempt < kCreateAttempts; ++attempt) {
    ErrnoOr<CreatedFile> created = CreateNew(call.caller(), directory->fd, name,
                                             mode & kModeBits & ~creation.umask, flags, epochs);
    if (created.ok() || created.error() != Errno(EEXIST) || exclusive) return created;
    ErrnoOr<CreatedFile> existing =
        CreateExisting(call.caller(), directory->fd, name, flags, options.kill_suidgid, epochs);
    if (existing.ok() || existing.error() != Errno(ENOENT)) return existing;
  }
  return Errno(EBUSY);
}

ErrnoOr<CreatedFile> PassthroughFilesystem::CreateNew(const backends::Caller& caller, int directory,
                                                      const ComponentName& name, mode_t mode,
                                                      uint32_t flags, Epochs epochs) {
  FSD_ASSIGN_OR_RETURN_ERRNO(const int host_flags, HostOpenFlags(flags));
  os::UniqueFd file;
  {
    const CallerCredentials credentials(caller, CallerCredentials::Permissions::kCheckedByGuest);
    FSD_RETURN_IF_ERRNO(credentials.status());
    FSD_ASSIGN_OR_RETURN_ERRNO(file, CreateChild(directory, name, host_flags, mode));
  }
  FSD_ASSIGN_OR_RETURN_ERRNO(os::UniqueFd path, ReopenAsPath(proc_self_fd_.get(), file.get()));
  FSD_ASSIGN_OR_RETURN_ERRNO(const Entry entry, InsertOpened(std::move(path), epochs));
  ErrnoOr<FileHandle> handle = InsertFile(std::move(file), entry.node, flags, epochs);
  if (!handle.ok()) {
    inodes_.Forget(entry.node, 1);
    return handle.error();
  }
  return CreatedFile{.entry = entry, .handle = *handle};
}

ErrnoOr<CreatedFile> PassthroughFilesystem::CreateExisting(const backends::Caller& caller,
                                                           int directory, const ComponentName& name,
                                                           uint32_t flags, bool kill_suidgid,
                                                           Epochs epochs) {
  FSD_ASSIGN_OR_RETURN_ERRNO(const int host_flags, HostOpenFlags(flags));
  FSD_ASSIGN_OR_RETURN_ERRNO(os::UniqueFd path, OpenChild(directory, name));
  FSD_ASSIGN_OR_RETURN_ERRNO(const Attributes found, StatFd(path.get()));
  if (S_ISDIR(found.stx_mode)) return Errno(EISDIR);
  os::UniqueFd file;
  {
    // The guest thought the name was free and so has not checked permissions of what bears it.
    const CallerCredentials credentials(caller, CallerCredentials::Permissions::kCheckedByHost);
    FSD_RETURN_IF_ERRNO(credentials.status());
    const WithoutFsetid without_fsetid(kill_suidgid);
    FSD_RETURN_IF_ERRNO(without_fsetid.status());
    FSD_ASSIGN_OR_RETURN_ERRNO(
        file, Reopen(proc_self_fd_.get(), path.get(), found.stx_mode & S_IFMT, host_flags));
  }
  FSD_ASSIGN_OR_RETURN_ERRNO(const Entry entry, InsertOpened(std::move(path), epochs));
  ErrnoOr<FileHandle> handle = InsertFile(std::move(file), entry.node, flags, epochs);
  if (!handle.ok()) {
    inodes_.Forget(entry.node, 1);
    return handle.error();
  }
  return CreatedFile{.entry = entry, .handle = *handle};
}

Outcome<size_t> PassthroughFilesystem::Read(Call<size_t>, NodeId node, FileHandle handle,
                                            uint64_t offset, IoVectors destination) {
  FSD_ASSIGN_OR_RETURN_ERRNO(const HandleTable::Pin open,
                             PinHandle(node, handle, HandleKind::kFile));
  return Transfer(destination, offset, [&](const iovec* vectors, int count, off_t at) {
    return ::preadv2(open->fd, vectors, count, at, 0);
  });
}

Outcome<size_t> PassthroughFilesystem::Write(Call<size_t>, NodeId node, FileHandle handle,
                                             uint64_t offset, IoVectors source,
                                             backends::WriteOptions options) {
  if (read_only_) return Errno(EROFS);
  FSD_ASSIGN_OR_RETURN_ERRNO(const HandleTable::Pin open,
                             PinHandle(node, handle, HandleKind::kFile));
  // A page of the guest's cache has its place in the file, whichever handle brings it.
  const bool append = options.append.value_or(open->append) && !options.writeback;
  const WithoutFsetid without_fsetid(options.kill_suidgid && MayHaveSuidgid(open->fd));
  FSD_RETURN_IF_ERRNO(without_fsetid.status());
  return Transfer(source, append ? 0 : offset, [&](const iovec* vectors, int count, off_t at) {
    return ::pwritev2(open->fd, vectors, count, at, append ? RWF_APPEND : 0);
  });
}

Outcome<void> PassthroughFilesystem::Flush(Call<void>, NodeId node, FileHandle handle,
                                           uint64_t /*lock_owner*/) {
  FSD_ASSIGN_OR_RETURN_ERRNO(const HandleTable::Pin open,
                             PinHandle(node, handle, HandleKind::kFile));
  // Closing a duplicate makes the host's file system report what it would at close(2).
  const int duplicate = ::fcntl(open->fd, F_DUPFD_CLOEXEC, 0);
  if (duplicate < 0 || ::close(duplicate) != 0) return Errno::Last();
  return ErrnoOr<void>();
}

Outcome<void> PassthroughFilesystem::Release(Call<void>, NodeId node, FileHandle handle) {
  FSD_ASSIGN_OR_RETURN_ERRNO(const HandleTable::Pin open,
                             PinHandle(node, handle, HandleKind::kFile));
  handles_.Release(open);
  return ErrnoOr<void>();
}

Outcome<void> PassthroughFilesystem::Fsync(Call<void>, NodeId node, FileHandle handle,
                                           bool data_only) {
  FSD_ASSIGN_OR_RETURN_ERRNO(const HandleTable::Pin open,
                             PinHandle(node, handle, HandleKind::kFile));
  if ((data_only ? ::fdatasync(open->fd) : ::fsync(open->fd)) != 0) return Errno::Last();
  return ErrnoOr<void>();
}

Outcome<void> PassthroughFilesystem::Fallocate(Call<void>, NodeId node, FileHandle handle,
                                               uint32_t mode, uint64_t offset, uint64_t length) {
  if (read_only_) return Errno(EROFS);
  FSD_ASSIGN_OR_RETURN_ERRNO(const HandleTable::Pin open,
                             PinHandle(node, handle, HandleKind::kFile));
  if (offset > INT64_MAX || length > INT64_MAX) return Errno(EINVAL);
  while (::fallocate(open->fd, static_cast<int>(mode), static_cast<off_t>(offset),
                     static_cast<off_t>(length)) != 0) {
    if (errno != EINTR) return Errno::Last();
  }
  return ErrnoOr<void>();
}

Outcome<uint64_t> PassthroughFilesystem::Seek(Call<uint64_t>, NodeId node, FileHandle handle,
                                              uint64_t offset, uint32_t whence) {
  FSD_ASSIGN_OR_RETURN_ERRNO(const HandleTable::Pin open,
                             PinHandle(node, handle, HandleKind::kFile));
  // SEEK_CUR would be relative to a position the guest keeps, not we.
  if (whence != SEEK_SET && whence != SEEK_END && whence != SEEK_DATA && whence != SEEK_HOLE) {
    return Errno(EINVAL);
  }
  const off_t found = ::lseek(open->fd, static_cast<off_t>(offset), static_cast<int>(whence));
  if (found < 0) return Errno::Last();
  return static_cast<uint64_t>(found);
}

}  // namespace fsd::passthrough
