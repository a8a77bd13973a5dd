// PassthroughFilesystem: OPEN, READ, WRITE, FLUSH, RELEASE, FSYNC.
//
// An fd of ours has no O_APPEND: with it pwritev2(2) ignores the offset, also of the pages that the
// guest writes back from a shared mapping. A write that appends says so with RWF_APPEND, so that
// two guests' appends do not overwrite each other. An append-only file can be opened for writing
// with O_APPEND only: until it is no longer append-only, a write through it that has a place is
// EPERM.
//
// A handle with O_DIRECT has a second fd for transfers. What it refuses because it is not aligned
// (a file's last page, a guest's buffer) goes through the first: the host keeps the two coherent.
#include <fcntl.h>
#include <limits.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <utility>

#include "backends/passthrough/bounced_transfer.h"
#include "backends/passthrough/caller_credentials.h"
#include "backends/passthrough/passthrough_filesystem.h"
#include "backends/passthrough/safe_open.h"
#include "server/errors/status_macros.h"
#include "server/os/uncancelled.h"

namespace fsd::passthrough {

using backends::Call;
using backends::IoVectors;
using backends::OpenFile;
using backends::Outcome;

namespace {

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

ErrnoOr<os::UniqueFd> Duplicate(int fd) {
  os::UniqueFd duplicate(::fcntl(fd, F_DUPFD_CLOEXEC, 0));
  if (!duplicate.valid()) return Errno::Last();
  return duplicate;
}

// Makes `fd` of an append-only file one as any other, EPERM as long as the file is append-only.
ErrnoOr<void> ClearAppend(int fd) {
  const int flags = ::fcntl(fd, F_GETFL);
  if (flags < 0 || ::fcntl(fd, F_SETFL, flags & ~O_APPEND) != 0) return Errno::Last();
  return {};
}

}  // namespace

ErrnoOr<OpenFileCache::Reference> PassthroughFilesystem::UseUnopened(NodeId node, Use use) {
  const bool write = use != Use::kRead;
  if (OpenFileCache::Reference found = cached_files_.Find(node, write)) return found;
  FSD_ASSIGN_OR_RETURN_ERRNO(const InodeTable::Pin inode, PinNode(node));
  if (write && inode->type == S_IFDIR) return Errno(EISDIR);
  bool writable = inode->type == S_IFREG && !read_only_;
  ErrnoOr<os::UniqueFd> file =
      WithRoom([&] { return ReopenNode(inode, writable ? O_RDWR : O_RDONLY); });
  if (!file.ok() && writable && !write) {
    writable = false;
    file = ReopenNode(inode, O_RDONLY);
  }
  if (!file.ok() && writable && use == Use::kAppend && file.error() == Errno(EPERM)) {
    // Not kept: once the file is no longer append-only, its writes would go to the wrong place.
    auto once = std::make_shared<OpenFileCache::File>();
    FSD_ASSIGN_OR_RETURN_ERRNO(once->fd,
                               WithRoom([&] { return ReopenNode(inode, O_WRONLY | O_APPEND); }));
    return OpenFileCache::Reference(std::move(once));
  }
  if (!file.ok()) return file.error();
  OpenFileCache::Reference kept = cached_files_.Insert(node, *std::move(file), writable);
  if (!PinNode(node).ok()) {
    cached_files_.Drop(node);
    return Errno(ESTALE);
  }
  return kept;
}

ErrnoOr<PassthroughFilesystem::FileInUse> PassthroughFilesystem::UseFile(NodeId node,
                                                                         FileHandle handle,
                                                                         Use use) {
  if (Unopened(handle)) {
    FSD_ASSIGN_OR_RETURN_ERRNO(OpenFileCache::Reference cached, UseUnopened(node, use));
    return FileInUse{.fd = cached->fd.get(), .open = {}, .cached = std::move(cached)};
  }
  FSD_ASSIGN_OR_RETURN_ERRNO(HandleTable::Pin open, PinHandle(node, handle, HandleKind::kFile));
  return FileInUse{.fd = open->fd,
                   .direct_fd = open->direct_fd,
                   .append = open->append,
                   .append_only = open->append_only,
                   .open = std::move(open),
                   .cached = {}};
}

ErrnoOr<FileHandle> PassthroughFilesystem::InsertFile(OpenFds fds, NodeId node, uint32_t flags,
                                                      Epochs epochs) {
  return handles_.Insert(std::move(fds.file),
                         {.node = node,
                          .kind = HandleKind::kFile,
                          .append = (flags & O_APPEND) != 0,
                          .writable = (flags & O_ACCMODE) != O_RDONLY,
                          .append_only = fds.append_only},
                         epochs.handles, std::move(fds.direct));
}

Outcome<OpenFile> PassthroughFilesystem::Open(Call<OpenFile>, NodeId node,
                                              backends::OpenOptions options) {
  const Epochs epochs = Begin();
  FSD_ASSIGN_OR_RETURN_ERRNO(const HostOpen open, HostOpenOf(options.flags, open_policy_));
  if (read_only_ && open.Changes()) return Errno(EROFS);
  FSD_ASSIGN_OR_RETURN_ERRNO(const InodeTable::Pin inode, PinNode(node));
  if (inode->type == S_IFDIR) return Errno(EISDIR);
  OpenFds fds;
  {
    const bool truncates = (open.flags & O_TRUNC) != 0;
    const WithoutFsetid without_fsetid(options.kill_suidgid && truncates);
    FSD_RETURN_IF_ERRNO(without_fsetid.status());
    FSD_ASSIGN_OR_RETURN_ERRNO(fds, WithRoom([&] {
                                 return OpenForGuest(
                                     [&](int flags) { return ReopenNode(inode, flags); }, open);
                               }));
    if (truncates) FSD_RETURN_IF_ERRNO(DropStoredCapability(inode->fd));
  }
  FSD_ASSIGN_OR_RETURN_ERRNO(const FileHandle handle,
                             InsertFile(std::move(fds), node, options.flags, epochs));
  return OpenFile{.handle = handle};
}

Outcome<size_t> PassthroughFilesystem::Read(Call<size_t>, NodeId node, FileHandle handle,
                                            uint64_t offset, IoVectors destination) {
  FSD_ASSIGN_OR_RETURN_ERRNO(const FileInUse file, UseFile(node, handle, Use::kRead));
  return Transfer(destination, offset, [&](const iovec* vectors, int count, off_t at) {
    if (file.direct_fd >= 0) {
      const ssize_t moved = BouncedRead(file.direct_fd, vectors, count, at);
      if (moved >= 0 || errno != EINVAL) return moved;
    }
    if (bounces_) return BouncedRead(file.fd, vectors, count, at);
    return os::PReadV2(file.fd, vectors, count, at, 0);
  });
}

Outcome<size_t> PassthroughFilesystem::Write(Call<size_t>, NodeId node, FileHandle handle,
                                             uint64_t offset, IoVectors source,
                                             backends::WriteOptions options) {
  if (read_only_) return Errno(EROFS);
  // A page of the guest's cache has its place in the file, whichever handle brings it.
  const bool says_append = options.append.value_or(false) && !options.writeback;
  FSD_ASSIGN_OR_RETURN_ERRNO(const FileInUse file,
                             UseFile(node, handle, says_append ? Use::kAppend : Use::kWrite));
  const bool append = options.append.value_or(file.append) && !options.writeback;
  if (file.append_only && !append) {
    FSD_RETURN_IF_ERRNO(ClearAppend(file.fd));
    if (file.direct_fd >= 0) FSD_RETURN_IF_ERRNO(ClearAppend(file.direct_fd));
  }
  const WithoutFsetid without_fsetid(options.kill_suidgid && MayHaveSuidgid(file.fd));
  FSD_RETURN_IF_ERRNO(without_fsetid.status());
  FSD_RETURN_IF_ERRNO(DropStoredCapability(file.fd));
  const int flags = append ? RWF_APPEND : 0;
  return Transfer(source, append ? 0 : offset, [&](const iovec* vectors, int count, off_t at) {
    if (file.direct_fd >= 0) {
      const ssize_t moved = BouncedWrite(file.direct_fd, vectors, count, at, flags);
      if (moved >= 0 || errno != EINVAL) return moved;
    }
    if (bounces_) return BouncedWrite(file.fd, vectors, count, at, flags);
    return os::PWriteV2(file.fd, vectors, count, at, flags);
  });
}

Outcome<void> PassthroughFilesystem::Flush(Call<void>, NodeId node, FileHandle handle,
                                           uint64_t lock_owner) {
  OpenFileCache::Reference cached;
  HandleTable::Pin open;
  if (Unopened(handle)) {
    cached = cached_files_.Find(node, false);
    if (cached == nullptr) return ErrnoOr<void>();  // nothing of it is open
  } else {
    FSD_ASSIGN_OR_RETURN_ERRNO(open, PinHandle(node, handle, HandleKind::kFile));
  }
  EndLocks(node, lock_owner);
  // Closing a duplicate makes the host's file system report what it would at close(2).
  ErrnoOr<os::UniqueFd> duplicate =
      WithRoom([&] { return Duplicate(open ? open->fd : cached->fd.get()); });
  if (!duplicate.ok()) {
    // Without room for one nothing is known to have failed.
    if (duplicate.error() == Errno(EMFILE)) return ErrnoOr<void>();
    return duplicate.error();
  }
  if (os::Close(duplicate->release()) != 0) return Errno::Last();
  return ErrnoOr<void>();
}

Outcome<void> PassthroughFilesystem::Release(Call<void>, NodeId node, FileHandle handle) {
  if (Unopened(handle)) return ErrnoOr<void>();
  FSD_ASSIGN_OR_RETURN_ERRNO(const HandleTable::Pin open,
                             PinHandle(node, handle, HandleKind::kFile));
  handles_.Release(open);
  EndLocks(node, open);
  return ErrnoOr<void>();
}

Outcome<void> PassthroughFilesystem::Fsync(Call<void>, NodeId node, FileHandle handle,
                                           bool data_only) {
  FSD_ASSIGN_OR_RETURN_ERRNO(const FileInUse file, UseFile(node, handle, Use::kRead));
  if ((data_only ? ::fdatasync(file.fd) : ::fsync(file.fd)) != 0) return Errno::Last();
  return ErrnoOr<void>();
}

}  // namespace fsd::passthrough
