// The tree and its inodes; the operations on names are in memory_names.cc, those on files in
// memory_files.cc, on directories in memory_directories.cc, on extended attributes in
// memory_xattrs.cc.
#include "backends/memory/memory_filesystem.h"

#include <sys/stat.h>

#include <algorithm>
#include <utility>

#include "backends/memory/inode.h"
#include "server/errors/status_macros.h"

namespace fsd::memory {

using backends::Call;
using backends::Entry;
using backends::FileHandle;
using backends::NodeId;
using backends::Outcome;

MemoryFilesystem::MemoryFilesystem(MemoryLimits limits) : limits_(limits) {
  os::MutexLock lock(mutex_);
  budget_.limit = limits.pages;
  lock_budget_.limit = limits.locks;
  root_ = std::make_shared<Inode>(next_ino_++, S_IFDIR | 0755, budget_, lock_budget_, inode_count_);
  root_->nlink = 2;
  root_->birth_time = Now();
  root_->access_time = root_->birth_time;
  root_->TouchContents();
  root_->parent = root_;
  root_->node = static_cast<uint64_t>(backends::kRootNodeId);
  known_[root_->node] = root_;
}

MemoryFilesystem::~MemoryFilesystem() { Reset(); }

void MemoryFilesystem::Reset() {
  DueCompletions due;
  os::MutexLock lock(mutex_);
  for (const auto& [handle, open] : handles_) {
    open->inode->locks.EndWaits(Errno(EINTR), due);
    open->inode->locks.DropHandle(FileHandle{handle}, due);
  }
  handles_.clear();
  for (auto& [node, inode] : known_) {
    inode->lookups = 0;
    if (inode != root_) inode->node = 0;
  }
  known_.clear();
  known_[root_->node] = root_;
}

void MemoryFilesystem::EndWaits() {
  DueCompletions due;
  os::MutexLock lock(mutex_);
  for (const auto& [handle, open] : handles_) open->inode->locks.EndWaits(Errno(EAGAIN), due);
}

backends::FilesystemUsage MemoryFilesystem::Usage() const {
  os::MutexLock lock(mutex_);
  return {.inodes = known_.size(), .open_files = handles_.size()};
}

ErrnoOr<MemoryFilesystem::InodeRef> MemoryFilesystem::Find(NodeId node) const {
  const auto found = known_.find(static_cast<uint64_t>(node));
  if (found == known_.end()) return Errno(ESTALE);
  return found->second;
}

ErrnoOr<MemoryFilesystem::InodeRef> MemoryFilesystem::Directory(NodeId node) const {
  FSD_ASSIGN_OR_RETURN_ERRNO(InodeRef inode, Find(node));
  if (!inode->is_directory()) return Errno(ENOTDIR);
  return inode;
}

ErrnoOr<MemoryFilesystem::InodeRef> MemoryFilesystem::Child(const Inode& directory,
                                                            std::string_view name) const {
  FSD_RETURN_IF_ERRNO(CheckName(name));
  const auto cookie = directory.cookies.find(name);
  if (cookie == directory.cookies.end()) return Errno(ENOENT);
  return directory.items.at(cookie->second).inode;
}

Entry MemoryFilesystem::EntryOf(const InodeRef& inode) {
  if (inode->node == 0) {
    inode->node = next_handle_ + (uint64_t{1} << 32);
    ++next_handle_;
    known_[inode->node] = inode;
  }
  ++inode->lookups;
  return {NodeId{inode->node}, inode->attributes()};
}

void MemoryFilesystem::Insert(Inode& directory, std::string_view name, InodeRef child) {
  const uint64_t cookie = directory.next_cookie++;
  directory.cookies.emplace(name, cookie);
  directory.items[cookie] = {.name = std::string(name), .inode = std::move(child)};
  directory.TouchContents();
}

void MemoryFilesystem::Erase(Inode& directory, std::string_view name) {
  const auto cookie = directory.cookies.find(name);
  directory.items.erase(cookie->second);
  directory.cookies.erase(cookie);
  directory.TouchContents();
}

ErrnoOr<MemoryFilesystem::InodeRef> MemoryFilesystem::MakeInode(const Inode& directory,
                                                                uint32_t mode,
                                                                const backends::Caller& caller) {
  if (inode_count_ >= limits_.inodes) return Errno(ENOSPC);
  auto inode = std::make_shared<Inode>(next_ino_++, mode, budget_, lock_budget_, inode_count_);
  inode->uid = caller.uid;
  inode->gid = (directory.mode & S_ISGID) != 0 ? directory.gid : caller.gid;
  inode->birth_time = Now();
  inode->access_time = inode->modification_time = inode->change_time = inode->birth_time;
  return inode;
}

ErrnoOr<MemoryFilesystem::InodeRef> MemoryFilesystem::Make(NodeId parent, std::string_view name,
                                                           uint32_t mode,
                                                           const backends::Caller& caller) {
  FSD_ASSIGN_OR_RETURN_ERRNO(const InodeRef directory, Directory(parent));
  FSD_RETURN_IF_ERRNO(CheckName(name));
  if (IsDots(name) || directory->cookies.contains(name)) return Errno(EEXIST);
  if (directory->nlink == 0) return Errno(ENOENT);  // removed, but still known
  FSD_ASSIGN_OR_RETURN_ERRNO(const InodeRef inode, MakeInode(*directory, mode, caller));
  if (inode->is_directory()) {
    inode->nlink = 2;
    inode->mode |= directory->mode & S_ISGID;
    inode->parent = directory;
    ++directory->nlink;
  }
  Insert(*directory, name, inode);
  return inode;
}

void MemoryFilesystem::Forget(NodeId node, uint64_t count) {
  os::MutexLock lock(mutex_);
  const ErrnoOr<InodeRef> inode = Find(node);
  if (!inode.ok()) return;
  (*inode)->lookups -= std::min(count, (*inode)->lookups);
  if ((*inode)->lookups > 0 || *inode == root_) return;
  known_.erase((*inode)->node);
  (*inode)->node = 0;
}

Outcome<backends::Attributes> MemoryFilesystem::GetAttributes(Call<backends::Attributes>,
                                                              NodeId node,
                                                              std::optional<backends::FileHandle>) {
  os::MutexLock lock(mutex_);
  FSD_ASSIGN_OR_RETURN_ERRNO(const InodeRef inode, Find(node));
  return inode->attributes();
}

Outcome<backends::Attributes> MemoryFilesystem::SetAttributes(
    Call<backends::Attributes>, NodeId node, std::optional<backends::FileHandle>,
    const backends::AttributeChanges& changes) {
  os::MutexLock lock(mutex_);
  FSD_ASSIGN_OR_RETURN_ERRNO(const InodeRef inode, Find(node));
  if (changes.size) {
    if (inode->is_directory()) return Errno(EISDIR);
    if (!inode->is_file()) return Errno(EINVAL);
    FSD_RETURN_IF_ERRNO(inode->data.Resize(*changes.size));
    inode->TouchContents();
  }
  if (changes.mode) inode->mode = (inode->mode & S_IFMT) | (*changes.mode & kPermissions);
  if (changes.uid) inode->uid = *changes.uid;
  if (changes.gid) inode->gid = *changes.gid;
  if (changes.kill_suidgid) inode->mode &= ~(S_ISUID | S_ISGID);
  if (changes.access_time) {
    inode->access_time = changes.access_time->now ? Now() : changes.access_time->time;
  }
  if (changes.modification_time) {
    inode->modification_time =
        changes.modification_time->now ? Now() : changes.modification_time->time;
  }
  inode->TouchStatus();
  return inode->attributes();
}

Outcome<void> MemoryFilesystem::Access(Call<void>, NodeId node, uint32_t) {
  os::MutexLock lock(mutex_);
  FSD_RETURN_IF_ERRNO(Find(node));
  return ErrnoOr<void>();
}

Outcome<void> MemoryFilesystem::SyncFilesystem(Call<void>, NodeId node) {
  os::MutexLock lock(mutex_);
  FSD_RETURN_IF_ERRNO(Find(node));
  return ErrnoOr<void>();
}

Outcome<struct ::statvfs> MemoryFilesystem::StatFilesystem(Call<struct ::statvfs>, NodeId) {
  os::MutexLock lock(mutex_);
  struct ::statvfs statistics {};
  statistics.f_bsize = SparseData::kPageBytes;
  statistics.f_frsize = SparseData::kPageBytes;
  statistics.f_blocks = limits_.pages;
  statistics.f_bfree = statistics.f_bavail = limits_.pages - budget_.used;
  statistics.f_files = limits_.inodes;
  statistics.f_ffree = statistics.f_favail = limits_.inodes - inode_count_;
  statistics.f_namemax = kNameMaxBytes;
  return statistics;
}

}  // namespace fsd::memory
