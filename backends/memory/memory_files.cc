// Open files of the memory file system, and locks on them.
#include <fcntl.h>
#include <linux/falloc.h>
#include <unistd.h>

#include <algorithm>
#include <utility>
#include <vector>

#include "backends/lock_ranges.h"
#include "backends/memory/inode.h"
#include "backends/memory/memory_filesystem.h"
#include "server/errors/status_macros.h"

namespace fsd::memory {

using backends::Call;
using backends::FileHandle;
using backends::NodeId;
using backends::Outcome;

namespace {

// Of one COPY_FILE_RANGE; the guest comes back for the rest.
constexpr uint64_t kMaxCopyBytes = uint64_t{1} << 20;

}  // namespace

ErrnoOr<MemoryFilesystem::Handle*> MemoryFilesystem::FindHandle(NodeId node, FileHandle handle,
                                                                bool directory) {
  FSD_ASSIGN_OR_RETURN_ERRNO(const InodeRef inode, Find(node));
  const auto found = handles_.find(static_cast<uint64_t>(handle));
  if (found == handles_.end() || found->second->inode != inode ||
      inode->is_directory() != directory) {
    return Errno(EBADF);
  }
  return found->second.get();
}

ErrnoOr<FileHandle> MemoryFilesystem::OpenInode(const InodeRef& inode, uint32_t flags) {
  if (handles_.size() >= limits_.handles) return Errno(ENFILE);
  if (inode->is_file() && (flags & O_TRUNC) != 0) {
    FSD_RETURN_IF_ERRNO(inode->data.Resize(0));
    inode->TouchContents();
  }
  const uint64_t handle = next_handle_++;
  handles_[handle] = std::make_unique<Handle>(Handle{.inode = inode, .flags = flags});
  return FileHandle{handle};
}

ErrnoOr<void> MemoryFilesystem::CloseHandle(NodeId node, FileHandle handle, bool directory) {
  FSD_RETURN_IF_ERRNO(FindHandle(node, handle, directory));
  handles_.erase(static_cast<uint64_t>(handle));
  return {};
}

Outcome<backends::OpenFile> MemoryFilesystem::Open(Call<backends::OpenFile>, NodeId node,
                                                   backends::OpenOptions options) {
  os::MutexLock lock(mutex_);
  FSD_ASSIGN_OR_RETURN_ERRNO(const InodeRef inode, Find(node));
  if (inode->is_directory()) return Errno(EISDIR);
  if (S_ISLNK(inode->mode)) return Errno(ELOOP);
  if (!inode->is_file()) return Errno(ENXIO);
  FSD_ASSIGN_OR_RETURN_ERRNO(const FileHandle handle, OpenInode(inode, options.flags));
  return backends::OpenFile{.handle = handle};
}

Outcome<backends::CreatedFile> MemoryFilesystem::Create(Call<backends::CreatedFile> call,
                                                        NodeId parent, std::string_view name,
                                                        uint32_t mode,
                                                        backends::OpenOptions options,
                                                        const backends::Creation& creation) {
  os::MutexLock lock(mutex_);
  ErrnoOr<InodeRef> inode =
      Make(parent, name, S_IFREG | (mode & kPermissions & ~creation.umask), call.caller());
  if (!inode.ok() && inode.error() == Errno(EEXIST) && (options.flags & O_EXCL) == 0) {
    FSD_ASSIGN_OR_RETURN_ERRNO(const InodeRef directory, Directory(parent));
    inode = Child(*directory, name);
    if (inode.ok() && S_ISLNK((*inode)->mode)) return Errno(ELOOP);
    if (inode.ok() && !(*inode)->is_file()) return Errno(EISDIR);
  }
  if (!inode.ok()) return inode.error();
  return OpenMade(*inode, options);
}

ErrnoOr<backends::CreatedFile> MemoryFilesystem::OpenMade(const InodeRef& inode,
                                                          const backends::OpenOptions& options) {
  FSD_ASSIGN_OR_RETURN_ERRNO(const FileHandle handle, OpenInode(inode, options.flags));
  const backends::Entry entry = EntryOf(inode);
  if (options.keep_open) return backends::CreatedFile{.entry = entry, .handle = handle};
  handles_.erase(static_cast<uint64_t>(handle));
  return backends::CreatedFile{.entry = entry, .handle = backends::kNoHandle};
}

Outcome<backends::CreatedFile> MemoryFilesystem::CreateTemporary(
    Call<backends::CreatedFile> call, NodeId parent, uint32_t mode, backends::OpenOptions options,
    const backends::Creation& creation) {
  os::MutexLock lock(mutex_);
  if ((options.flags & O_ACCMODE) == O_RDONLY) return Errno(EINVAL);
  FSD_ASSIGN_OR_RETURN_ERRNO(const InodeRef directory, Directory(parent));
  if (directory->nlink == 0) return Errno(ENOENT);
  FSD_ASSIGN_OR_RETURN_ERRNO(
      const InodeRef inode,
      MakeInode(*directory, S_IFREG | (mode & kPermissions & ~creation.umask), call.caller()));
  inode->nlink = 0;
  inode->may_get_name = (options.flags & O_EXCL) == 0;
  return OpenMade(inode, options);
}

Outcome<size_t> MemoryFilesystem::Read(Call<size_t>, NodeId node, FileHandle handle,
                                       uint64_t offset, backends::IoVectors destination) {
  os::MutexLock lock(mutex_);
  FSD_ASSIGN_OR_RETURN_ERRNO(const Handle* open, FindHandle(node, handle, false));
  if ((open->flags & O_ACCMODE) == O_WRONLY) return Errno(EBADF);
  return open->inode->data.Read(offset, destination);
}

Outcome<size_t> MemoryFilesystem::Write(Call<size_t>, NodeId node, FileHandle handle,
                                        uint64_t offset, backends::IoVectors source,
                                        backends::WriteOptions options) {
  os::MutexLock lock(mutex_);
  FSD_ASSIGN_OR_RETURN_ERRNO(const Handle* open, FindHandle(node, handle, false));
  if ((open->flags & O_ACCMODE) == O_RDONLY) return Errno(EBADF);
  Inode& inode = *open->inode;
  const bool append = options.append.value_or((open->flags & O_APPEND) != 0);
  if (append && !options.writeback) offset = inode.data.size();
  FSD_ASSIGN_OR_RETURN_ERRNO(const size_t written, inode.data.Write(offset, source));
  if (options.kill_suidgid) inode.mode &= ~(S_ISUID | S_ISGID);
  inode.TouchContents();
  return written;
}

Outcome<void> MemoryFilesystem::Flush(Call<void>, NodeId node, FileHandle handle,
                                      uint64_t lock_owner) {
  DueCompletions due;
  os::MutexLock lock(mutex_);
  FSD_ASSIGN_OR_RETURN_ERRNO(const Handle* open, FindHandle(node, handle, false));
  open->inode->locks.DropOwner(lock_owner, due);
  return ErrnoOr<void>();
}

Outcome<void> MemoryFilesystem::Release(Call<void>, NodeId node, FileHandle handle) {
  DueCompletions due;
  os::MutexLock lock(mutex_);
  FSD_ASSIGN_OR_RETURN_ERRNO(const Handle* open, FindHandle(node, handle, false));
  open->inode->locks.DropHandle(handle, due);
  return CloseHandle(node, handle, false);
}

Outcome<void> MemoryFilesystem::Fsync(Call<void>, NodeId node, FileHandle handle, bool) {
  os::MutexLock lock(mutex_);
  FSD_RETURN_IF_ERRNO(FindHandle(node, handle, false));
  return ErrnoOr<void>();
}

Outcome<void> MemoryFilesystem::Fallocate(Call<void>, NodeId node, FileHandle handle, uint32_t mode,
                                          uint64_t offset, uint64_t length) {
  os::MutexLock lock(mutex_);
  FSD_ASSIGN_OR_RETURN_ERRNO(const Handle* open, FindHandle(node, handle, false));
  if ((open->flags & O_ACCMODE) == O_RDONLY) return Errno(EBADF);
  if (length == 0) return Errno(EINVAL);
  if (length > SparseData::kMaxFileBytes || offset > SparseData::kMaxFileBytes - length) {
    return Errno(EFBIG);
  }
  SparseData& data = open->inode->data;
  switch (mode) {
    case 0:
      // Nothing is reserved: pages are taken when they are written.
      if (offset + length > data.size()) FSD_RETURN_IF_ERRNO(data.Resize(offset + length));
      break;
    case FALLOC_FL_KEEP_SIZE:
      break;
    case FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE:
      data.Punch(offset, length);
      break;
    case FALLOC_FL_ZERO_RANGE:
      if (offset + length > data.size()) FSD_RETURN_IF_ERRNO(data.Resize(offset + length));
      data.Punch(offset, length);
      break;
    case FALLOC_FL_ZERO_RANGE | FALLOC_FL_KEEP_SIZE:
      data.Punch(offset, length);
      break;
    default:
      return Errno(EOPNOTSUPP);
  }
  open->inode->TouchContents();
  return ErrnoOr<void>();
}

Outcome<uint64_t> MemoryFilesystem::Seek(Call<uint64_t>, NodeId node, FileHandle handle,
                                         uint64_t offset, uint32_t whence) {
  os::MutexLock lock(mutex_);
  FSD_ASSIGN_OR_RETURN_ERRNO(const Handle* open, FindHandle(node, handle, false));
  switch (whence) {
    case SEEK_DATA:
      return open->inode->data.SeekData(offset);
    case SEEK_HOLE:
      return open->inode->data.SeekHole(offset);
    default:
      return Errno(EINVAL);
  }
}

Outcome<uint64_t> MemoryFilesystem::CopyRange(Call<uint64_t>, backends::FileRange from,
                                              backends::FileRange to, uint64_t length,
                                              uint32_t flags) {
  os::MutexLock lock(mutex_);
  FSD_ASSIGN_OR_RETURN_ERRNO(const Handle* source, FindHandle(from.node, from.handle, false));
  FSD_ASSIGN_OR_RETURN_ERRNO(const Handle* target, FindHandle(to.node, to.handle, false));
  if ((source->flags & O_ACCMODE) == O_WRONLY) return Errno(EBADF);
  if ((target->flags & O_ACCMODE) == O_RDONLY) return Errno(EBADF);
  if (flags != 0 || from.offset > INT64_MAX || to.offset > INT64_MAX) return Errno(EINVAL);
  const uint64_t size = source->inode->data.size();
  if (from.offset >= size) return uint64_t{0};
  length = std::min({length, kMaxCopyBytes, size - from.offset});
  if (source->inode == target->inode && from.offset < to.offset + length &&
      to.offset < from.offset + length) {
    return Errno(EINVAL);
  }
  std::vector<char> bytes(length);
  const iovec buffer{bytes.data(), bytes.size()};
  source->inode->data.Read(from.offset, {&buffer, 1});
  FSD_ASSIGN_OR_RETURN_ERRNO(const size_t written,
                             target->inode->data.Write(to.offset, {&buffer, 1}));
  target->inode->TouchContents();
  return uint64_t{written};
}

Outcome<backends::FileLock> MemoryFilesystem::GetLock(Call<backends::FileLock>, NodeId node,
                                                      FileHandle handle, uint64_t owner,
                                                      const backends::FileLock& file_lock) {
  os::MutexLock lock(mutex_);
  FSD_ASSIGN_OR_RETURN_ERRNO(const Handle* open, FindHandle(node, handle, false));
  FSD_RETURN_IF_ERRNO(backends::CheckLock(file_lock));
  if (file_lock.type == F_UNLCK) return Errno(EINVAL);
  return open->inode->locks.Find(owner, file_lock);
}

Outcome<void> MemoryFilesystem::SetLock(Call<void> call, NodeId node, FileHandle handle,
                                        const backends::FileLock& file_lock,
                                        backends::LockOptions options) {
  DueCompletions due;
  os::MutexLock lock(mutex_);
  FSD_ASSIGN_OR_RETURN_ERRNO(const Handle* open, FindHandle(node, handle, false));
  FSD_RETURN_IF_ERRNO(backends::CheckLock(file_lock));
  const uint32_t access = open->flags & O_ACCMODE;
  if (!options.flock && ((file_lock.type == F_RDLCK && access == O_WRONLY) ||
                         (file_lock.type == F_WRLCK && access == O_RDONLY))) {
    return Errno(EBADF);
  }
  FileLocks& locks = open->inode->locks;
  const FileLocks::Request request{.handle = handle, .lock = file_lock, .options = options};
  const ErrnoOr<void> result = locks.Set(request, due);
  if (result.ok() || result.error() != Errno(EAGAIN) || !options.wait) return result;
  return locks.Wait(request, call);
}

}  // namespace fsd::memory
