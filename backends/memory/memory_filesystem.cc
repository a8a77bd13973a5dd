// The tree and its names; files and directories' contents are in memory_files.cc.
#include "backends/memory/memory_filesystem.h"

#include <fcntl.h>
#include <linux/fs.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <algorithm>
#include <utility>

#include "backends/memory/inode.h"
#include "server/errors/status_macros.h"

namespace fsd::memory {

using backends::Call;
using backends::Entry;
using backends::NodeId;
using backends::Outcome;

namespace {

constexpr size_t kNameMaxBytes = 255;
constexpr uint32_t kPermissions = 07777;

ErrnoOr<void> CheckName(std::string_view name) {
  if (name.empty() || name.find('/') != name.npos || name.find('\0') != name.npos) {
    return Errno(EINVAL);
  }
  if (name.size() > kNameMaxBytes) return Errno(ENAMETOOLONG);
  return {};
}

bool IsDots(std::string_view name) { return name == "." || name == ".."; }

}  // namespace

MemoryFilesystem::MemoryFilesystem(MemoryLimits limits) : limits_(limits) {
  os::MutexLock lock(mutex_);
  budget_.limit = limits.pages;
  root_ = std::make_shared<Inode>(next_ino_++, S_IFDIR | 0755, budget_, inode_count_);
  root_->nlink = 2;
  root_->birth_time = Now();
  root_->access_time = root_->birth_time;
  root_->TouchContents();
  root_->parent = root_;
  root_->node = static_cast<uint64_t>(backends::kRootNodeId);
  known_[root_->node] = root_;
}

MemoryFilesystem::~MemoryFilesystem() = default;

void MemoryFilesystem::Reset() {
  os::MutexLock lock(mutex_);
  handles_.clear();
  for (auto& [node, inode] : known_) {
    inode->lookups = 0;
    if (inode != root_) inode->node = 0;
  }
  known_.clear();
  known_[root_->node] = root_;
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
  return {.node = NodeId{inode->node}, .attributes = inode->attributes()};
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

ErrnoOr<MemoryFilesystem::InodeRef> MemoryFilesystem::Make(NodeId parent, std::string_view name,
                                                           uint32_t mode,
                                                           const backends::Caller& caller) {
  FSD_ASSIGN_OR_RETURN_ERRNO(const InodeRef directory, Directory(parent));
  FSD_RETURN_IF_ERRNO(CheckName(name));
  if (IsDots(name) || directory->cookies.contains(name)) return Errno(EEXIST);
  if (directory->nlink == 0) return Errno(ENOENT);  // removed, but still known
  if (inode_count_ >= limits_.inodes) return Errno(ENOSPC);
  auto inode = std::make_shared<Inode>(next_ino_++, mode, budget_, inode_count_);
  inode->uid = caller.uid;
  inode->gid = (directory->mode & S_ISGID) != 0 ? directory->gid : caller.gid;
  inode->birth_time = Now();
  inode->access_time = inode->modification_time = inode->change_time = inode->birth_time;
  if (inode->is_directory()) {
    inode->nlink = 2;
    inode->mode |= directory->mode & S_ISGID;
    inode->parent = directory;
    ++directory->nlink;
  }
  Insert(*directory, name, inode);
  return inode;
}

Outcome<Entry> MemoryFilesystem::Lookup(Call<Entry>, NodeId parent, std::string_view name) {
  os::MutexLock lock(mutex_);
  FSD_ASSIGN_OR_RETURN_ERRNO(const InodeRef directory, Directory(parent));
  if (name == ".") return EntryOf(directory);
  if (name == "..") {
    const InodeRef above = directory->parent.lock();
    if (above == nullptr) return Errno(ENOENT);
    return EntryOf(above);
  }
  FSD_ASSIGN_OR_RETURN_ERRNO(const InodeRef child, Child(*directory, name));
  return EntryOf(child);
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

Outcome<Entry> MemoryFilesystem::Symlink(Call<Entry> call, NodeId parent, std::string_view name,
                                         std::string_view target, const backends::Creation&) {
  os::MutexLock lock(mutex_);
  if (target.empty()) return Errno(ENOENT);
  FSD_ASSIGN_OR_RETURN_ERRNO(const InodeRef inode,
                             Make(parent, name, S_IFLNK | 0777, call.caller()));
  inode->target = target;
  return EntryOf(inode);
}

Outcome<Entry> MemoryFilesystem::MakeNode(Call<Entry> call, NodeId parent, std::string_view name,
                                          uint32_t mode, dev_t device,
                                          const backends::Creation& creation) {
  os::MutexLock lock(mutex_);
  if ((mode & S_IFMT) == 0) mode |= S_IFREG;
  switch (mode & S_IFMT) {
    case S_IFREG:
    case S_IFIFO:
    case S_IFSOCK:
    case S_IFCHR:
    case S_IFBLK:
      break;
    default:
      return Errno(EINVAL);
  }
  FSD_ASSIGN_OR_RETURN_ERRNO(
      const InodeRef inode,
      Make(parent, name, (mode & S_IFMT) | (mode & kPermissions & ~creation.umask), call.caller()));
  if (S_ISCHR(mode) || S_ISBLK(mode)) {
    inode->device_major = major(device);
    inode->device_minor = minor(device);
  }
  return EntryOf(inode);
}

Outcome<Entry> MemoryFilesystem::MakeDirectory(Call<Entry> call, NodeId parent,
                                               std::string_view name, uint32_t mode,
                                               const backends::Creation& creation) {
  os::MutexLock lock(mutex_);
  FSD_ASSIGN_OR_RETURN_ERRNO(
      const InodeRef inode,
      Make(parent, name, S_IFDIR | (mode & kPermissions & ~creation.umask), call.caller()));
  return EntryOf(inode);
}

Outcome<void> MemoryFilesystem::Unlink(Call<void>, NodeId parent, std::string_view name) {
  os::MutexLock lock(mutex_);
  FSD_ASSIGN_OR_RETURN_ERRNO(const InodeRef directory, Directory(parent));
  if (IsDots(name)) return Errno(EISDIR);
  FSD_ASSIGN_OR_RETURN_ERRNO(const InodeRef child, Child(*directory, name));
  if (child->is_directory()) return Errno(EISDIR);
  Erase(*directory, name);
  --child->nlink;
  child->TouchStatus();
  return ErrnoOr<void>();
}

Outcome<void> MemoryFilesystem::RemoveDirectory(Call<void>, NodeId parent, std::string_view name) {
  os::MutexLock lock(mutex_);
  FSD_ASSIGN_OR_RETURN_ERRNO(const InodeRef directory, Directory(parent));
  if (name == ".") return Errno(EINVAL);
  if (name == "..") return Errno(ENOTEMPTY);
  FSD_ASSIGN_OR_RETURN_ERRNO(const InodeRef child, Child(*directory, name));
  if (!child->is_directory()) return Errno(ENOTDIR);
  if (!child->items.empty()) return Errno(ENOTEMPTY);
  Erase(*directory, name);
  --directory->nlink;
  child->nlink = 0;
  child->parent.reset();
  return ErrnoOr<void>();
}

Outcome<void> MemoryFilesystem::Rename(Call<void>, NodeId parent, std::string_view name,
                                       NodeId new_parent, std::string_view new_name,
                                       uint32_t flags) {
  os::MutexLock lock(mutex_);
  FSD_ASSIGN_OR_RETURN_ERRNO(const InodeRef from, Directory(parent));
  FSD_ASSIGN_OR_RETURN_ERRNO(const InodeRef to, Directory(new_parent));
  const bool exchange = flags == RENAME_EXCHANGE;
  if (flags != 0 && flags != RENAME_NOREPLACE && !exchange) return Errno(EINVAL);
  if (IsDots(name) || IsDots(new_name)) return Errno(EBUSY);
  FSD_ASSIGN_OR_RETURN_ERRNO(const InodeRef moved, Child(*from, name));
  FSD_RETURN_IF_ERRNO(CheckName(new_name));
  ErrnoOr<InodeRef> target = Child(*to, new_name);
  if (target.ok() && flags == RENAME_NOREPLACE) return Errno(EEXIST);
  if (!target.ok() && exchange) return Errno(ENOENT);
  if (to->nlink == 0) return Errno(ENOENT);

  // A directory cannot come to lie below itself.
  const auto within = [](const InodeRef& above, InodeRef below) {
    while (below != nullptr) {
      if (below == above) return true;
      InodeRef next = below->parent.lock();
      if (next == below) break;  // the root
      below = std::move(next);
    }
    return false;
  };
  if (moved->is_directory() && within(moved, to)) return Errno(EINVAL);
  if (exchange && (*target)->is_directory() && within(*target, from)) return Errno(EINVAL);

  const auto settle = [](const InodeRef& child, const InodeRef& old_home, const InodeRef& home) {
    child->TouchStatus();
    if (!child->is_directory()) return;
    child->parent = home;
    --old_home->nlink;
    ++home->nlink;
  };
  if (exchange) {
    const InodeRef other = *target;
    from->items.at(from->cookies.find(name)->second).inode = other;
    to->items.at(to->cookies.find(new_name)->second).inode = moved;
    settle(moved, from, to);
    settle(other, to, from);
    from->TouchContents();
    to->TouchContents();
    return ErrnoOr<void>();
  }
  if (target.ok()) {
    const InodeRef replaced = *target;
    if (replaced == moved) return ErrnoOr<void>();  // two links of one inode: POSIX does nothing
    if (moved->is_directory() && !replaced->is_directory()) return Errno(ENOTDIR);
    if (!moved->is_directory() && replaced->is_directory()) return Errno(EISDIR);
    if (!replaced->items.empty()) return Errno(ENOTEMPTY);
    Erase(*to, new_name);
    if (replaced->is_directory()) {
      replaced->nlink = 0;
      replaced->parent.reset();
      --to->nlink;
    } else {
      --replaced->nlink;
      replaced->TouchStatus();
    }
  }
  Erase(*from, name);
  Insert(*to, new_name, moved);
  settle(moved, from, to);
  return ErrnoOr<void>();
}

Outcome<Entry> MemoryFilesystem::Link(Call<Entry>, NodeId node, NodeId new_parent,
                                      std::string_view new_name) {
  os::MutexLock lock(mutex_);
  FSD_ASSIGN_OR_RETURN_ERRNO(const InodeRef inode, Find(node));
  FSD_ASSIGN_OR_RETURN_ERRNO(const InodeRef directory, Directory(new_parent));
  FSD_RETURN_IF_ERRNO(CheckName(new_name));
  if (inode->is_directory()) return Errno(EPERM);
  if (IsDots(new_name) || directory->cookies.contains(new_name)) return Errno(EEXIST);
  if (inode->nlink == 0 || directory->nlink == 0) return Errno(ENOENT);
  ++inode->nlink;
  inode->TouchStatus();
  Insert(*directory, new_name, inode);
  return EntryOf(inode);
}

Outcome<size_t> MemoryFilesystem::ReadLink(Call<size_t>, NodeId node,
                                           backends::IoVectors destination) {
  os::MutexLock lock(mutex_);
  FSD_ASSIGN_OR_RETURN_ERRNO(const InodeRef inode, Find(node));
  if (!S_ISLNK(inode->mode)) return Errno(EINVAL);
  size_t copied = 0;
  for (const iovec& piece : destination) {
    copied += inode->target.copy(static_cast<char*>(piece.iov_base), piece.iov_len, copied);
  }
  return copied;
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
