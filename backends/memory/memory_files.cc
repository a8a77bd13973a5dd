// Open files and directories of the memory file system.
#include <dirent.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <unistd.h>

#include <utility>

#include "backends/memory/inode.h"
#include "backends/memory/memory_filesystem.h"
#include "server/errors/status_macros.h"

namespace fsd::memory {

using backends::Call;
using backends::FileHandle;
using backends::NodeId;
using backends::Outcome;

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
      Make(parent, name, S_IFREG | (mode & 07777 & ~creation.umask), call.caller());
  if (!inode.ok() && inode.error() == Errno(EEXIST) && (options.flags & O_EXCL) == 0) {
    FSD_ASSIGN_OR_RETURN_ERRNO(const InodeRef directory, Directory(parent));
    inode = Child(*directory, name);
    if (inode.ok() && S_ISLNK((*inode)->mode)) return Errno(ELOOP);
    if (inode.ok() && !(*inode)->is_file()) return Errno(EISDIR);
  }
  if (!inode.ok()) return inode.error();
  FSD_ASSIGN_OR_RETURN_ERRNO(const FileHandle handle, OpenInode(*inode, options.flags));
  return backends::CreatedFile{.entry = EntryOf(*inode), .handle = handle};
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

Outcome<void> MemoryFilesystem::Flush(Call<void>, NodeId node, FileHandle handle, uint64_t) {
  os::MutexLock lock(mutex_);
  FSD_RETURN_IF_ERRNO(FindHandle(node, handle, false));
  return ErrnoOr<void>();
}

Outcome<void> MemoryFilesystem::Release(Call<void>, NodeId node, FileHandle handle) {
  os::MutexLock lock(mutex_);
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

Outcome<backends::OpenFile> MemoryFilesystem::OpenDirectory(Call<backends::OpenFile>, NodeId node,
                                                            uint32_t flags) {
  os::MutexLock lock(mutex_);
  FSD_ASSIGN_OR_RETURN_ERRNO(const InodeRef inode, Directory(node));
  FSD_ASSIGN_OR_RETURN_ERRNO(const FileHandle handle, OpenInode(inode, flags));
  return backends::OpenFile{.handle = handle};
}

ErrnoOr<void> MemoryFilesystem::List(NodeId node, FileHandle handle, uint64_t offset,
                                     backends::DirectorySink& sink, bool plus) {
  FSD_ASSIGN_OR_RETURN_ERRNO(const Handle* open, FindHandle(node, handle, true));
  const Inode& directory = *open->inode;
  if (offset < 1) {
    if (!sink.Fits(".")) return {};
    sink.Add({.name = ".", .ino = directory.ino, .next_offset = 1, .type = DT_DIR}, nullptr);
  }
  if (offset < 2) {
    if (!sink.Fits("..")) return {};
    const InodeRef above = directory.parent.lock();
    sink.Add({.name = "..",
              .ino = above != nullptr ? above->ino : directory.ino,
              .next_offset = 2,
              .type = DT_DIR},
             nullptr);
  }
  for (auto item = directory.items.upper_bound(offset); item != directory.items.end(); ++item) {
    const auto& [cookie, child] = *item;
    if (!sink.Fits(child.name)) break;
    const backends::DirectoryEntry entry{.name = child.name,
                                         .ino = child.inode->ino,
                                         .next_offset = cookie,
                                         .type = static_cast<uint32_t>(IFTODT(child.inode->mode))};
    if (plus) {
      const backends::Entry looked_up = EntryOf(child.inode);
      sink.Add(entry, &looked_up);
    } else {
      sink.Add(entry, nullptr);
    }
  }
  return {};
}

Outcome<void> MemoryFilesystem::ReadDirectory(Call<void>, NodeId node, FileHandle handle,
                                              uint64_t offset, backends::DirectorySink& sink) {
  os::MutexLock lock(mutex_);
  return List(node, handle, offset, sink, false);
}

Outcome<void> MemoryFilesystem::ReadDirectoryPlus(Call<void>, NodeId node, FileHandle handle,
                                                  uint64_t offset, backends::DirectorySink& sink) {
  os::MutexLock lock(mutex_);
  return List(node, handle, offset, sink, true);
}

Outcome<void> MemoryFilesystem::ReleaseDirectory(Call<void>, NodeId node, FileHandle handle) {
  os::MutexLock lock(mutex_);
  return CloseHandle(node, handle, true);
}

Outcome<void> MemoryFilesystem::FsyncDirectory(Call<void>, NodeId node, FileHandle handle, bool) {
  os::MutexLock lock(mutex_);
  FSD_RETURN_IF_ERRNO(FindHandle(node, handle, true));
  return ErrnoOr<void>();
}

}  // namespace fsd::memory
