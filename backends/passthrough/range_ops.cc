// PassthroughFilesystem: what is done to ranges of files, and to files and file systems as a whole:
// FALLOCATE, LSEEK, COPY_FILE_RANGE, IOCTL, SYNCFS.
#include <fcntl.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <utility>

#include "backends/passthrough/caller_credentials.h"
#include "backends/passthrough/inode.h"
#include "backends/passthrough/passthrough_filesystem.h"
#include "backends/passthrough/safe_open.h"
#include "backends/passthrough/scatter.h"
#include "server/errors/status_macros.h"

namespace fsd::passthrough {

using backends::Call;
using backends::FileRange;
using backends::IoVectors;
using backends::Outcome;

namespace {

// A copy holds one of our threads; the guest comes back for the rest.
constexpr uint64_t kMaxCopyBytes = uint64_t{1} << 30;

// One of the ioctls served. The number of the flags' says "long"; the kernel means an int.
struct ServedIoctl {
  uint32_t command;
  bool sets;
  size_t bytes;
  size_t number_bytes;  // as the command's number has it
};
constexpr ServedIoctl kServedIoctls[] = {
    {FS_IOC_GETFLAGS, false, sizeof(int), _IOC_SIZE(FS_IOC_GETFLAGS)},
    {FS_IOC_SETFLAGS, true, sizeof(int), _IOC_SIZE(FS_IOC_SETFLAGS)},
    {FS_IOC_FSGETXATTR, false, sizeof(fsxattr), sizeof(fsxattr)},
    {FS_IOC_FSSETXATTR, true, sizeof(fsxattr), sizeof(fsxattr)},
};
static_assert(sizeof(fsxattr) == 28);

// FALLOCATE and COPY_FILE_RANGE have no flag that says whether setuid and setgid are to be cleared,
// and a guest that has agreed to HANDLE_KILLPRIV_V2 leaves it to us. Its root alone may keep them.
bool IsOrdinary(const backends::Caller& caller) { return caller.uid != 0; }

}  // namespace

Outcome<void> PassthroughFilesystem::Fallocate(Call<void> call, NodeId node, FileHandle handle,
                                               uint32_t mode, uint64_t offset, uint64_t length) {
  if (read_only_) return Errno(EROFS);
  FSD_ASSIGN_OR_RETURN_ERRNO(const FileInUse file, UseFile(node, handle, Use::kWrite));
  if (offset > INT64_MAX || length > INT64_MAX) return Errno(EINVAL);
  FSD_RETURN_IF_ERRNO(DropStoredCapability(file.fd));
  const WithoutFsetid without_fsetid(IsOrdinary(call.caller()) && MayHaveSuidgid(file.fd));
  FSD_RETURN_IF_ERRNO(without_fsetid.status());
  while (::fallocate(file.fd, static_cast<int>(mode), static_cast<off_t>(offset),
                     static_cast<off_t>(length)) != 0) {
    if (errno != EINTR) return Errno::Last();
  }
  return ErrnoOr<void>();
}

Outcome<uint64_t> PassthroughFilesystem::Seek(Call<uint64_t>, NodeId node, FileHandle handle,
                                              uint64_t offset, uint32_t whence) {
  FSD_ASSIGN_OR_RETURN_ERRNO(const FileInUse file, UseFile(node, handle, Use::kRead));
  // SEEK_CUR would be relative to a position the guest keeps, not we.
  if (whence != SEEK_SET && whence != SEEK_END && whence != SEEK_DATA && whence != SEEK_HOLE) {
    return Errno(EINVAL);
  }
  const off_t found = ::lseek(file.fd, static_cast<off_t>(offset), static_cast<int>(whence));
  if (found < 0) return Errno::Last();
  return static_cast<uint64_t>(found);
}

Outcome<uint64_t> PassthroughFilesystem::CopyRange(Call<uint64_t> call, FileRange from,
                                                   FileRange to, uint64_t length, uint32_t flags) {
  if (read_only_) return Errno(EROFS);
  if (from.offset > INT64_MAX || to.offset > INT64_MAX) return Errno(EINVAL);
  FSD_ASSIGN_OR_RETURN_ERRNO(const FileInUse source, UseFile(from.node, from.handle, Use::kRead));
  FSD_ASSIGN_OR_RETURN_ERRNO(const FileInUse target, UseFile(to.node, to.handle, Use::kWrite));
  FSD_RETURN_IF_ERRNO(DropStoredCapability(target.fd));
  const WithoutFsetid without_fsetid(IsOrdinary(call.caller()) && MayHaveSuidgid(target.fd));
  FSD_RETURN_IF_ERRNO(without_fsetid.status());
  while (true) {
    auto source_offset = static_cast<off64_t>(from.offset);
    auto target_offset = static_cast<off64_t>(to.offset);
    const ssize_t copied =
        ::copy_file_range(source.fd, &source_offset, target.fd, &target_offset,
                          static_cast<size_t>(std::min(length, kMaxCopyBytes)), flags);
    if (copied >= 0) return static_cast<uint64_t>(copied);
    if (errno != EINTR) return Errno::Last();
  }
}

Outcome<size_t> PassthroughFilesystem::Ioctl(Call<size_t>, NodeId node, FileHandle handle,
                                             uint32_t command, std::span<const char> input,
                                             IoVectors output) {
  const auto* served = std::ranges::find(kServedIoctls, command, &ServedIoctl::command);
  if (served == std::end(kServedIoctls)) return Errno(ENOTTY);
  if (served->sets && read_only_) return Errno(EROFS);
  char argument[sizeof(fsxattr)] = {};
  if (served->sets) {
    if (input.size() != served->bytes && input.size() != served->number_bytes) {
      return Errno(EINVAL);
    }
    std::memcpy(argument, input.data(), served->bytes);
  } else if (!input.empty() || BytesOf(output) < served->bytes) {
    return Errno(EINVAL);
  }

  // A directory has its ioctls too.
  int fd = -1;
  HandleTable::Pin open;
  OpenFileCache::Reference cached;
  if (Unopened(handle)) {
    FSD_ASSIGN_OR_RETURN_ERRNO(cached, UseUnopened(node, Use::kRead));
    fd = cached->fd.get();
  } else {
    FSD_ASSIGN_OR_RETURN_ERRNO(open, PinHandle(node, handle));
    fd = open->fd;
  }
  if (::ioctl(fd, command, argument) != 0) return Errno::Last();
  if (served->sets) return size_t{0};
  return Scatter({argument, served->bytes}, output);
}

Outcome<void> PassthroughFilesystem::SyncFilesystem(Call<void>, NodeId node) {
  FSD_ASSIGN_OR_RETURN_ERRNO(InodeTable::Pin inode, PinNode(node));
  // What cannot be opened stands for the share: a guest asks for the root of a mount.
  if (inode->type != S_IFDIR && inode->type != S_IFREG) {
    FSD_ASSIGN_OR_RETURN_ERRNO(inode, PinNode(backends::kRootNodeId));
  }
  FSD_ASSIGN_OR_RETURN_ERRNO(const os::UniqueFd file,
                             WithRoom([&] { return ReopenNode(inode, O_RDONLY); }));
  if (::syncfs(file.get()) != 0) return Errno::Last();
  return ErrnoOr<void>();
}

}  // namespace fsd::passthrough
