// The names of the memory file system.
#include <fcntl.h>
#include <linux/fs.h>
#include <sys/sysmacros.h>

#include <utility>

#include "backends/memory/inode.h"
#include "backends/memory/memory_filesystem.h"
#include "server/errors/status_macros.h"

namespace fsd::memory {

using backends::Call;
using backends::Entry;
using backends::NodeId;
using backends::Outcome;

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
  if (directory->nlink == 0) return Errno(ENOENT);
  if (inode->nlink == 0 && !inode->may_get_name) return Errno(ENOENT);
  inode->may_get_name = false;
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
  return Copy(inode->target, destination);
}

}  // namespace fsd::memory
