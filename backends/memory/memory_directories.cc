// Open directories of the memory file system.
#include <dirent.h>

#include "backends/memory/inode.h"
#include "backends/memory/memory_filesystem.h"
#include "server/errors/status_macros.h"

namespace fsd::memory {

using backends::Call;
using backends::FileHandle;
using backends::NodeId;
using backends::Outcome;

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
