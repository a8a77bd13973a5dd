// Extended attributes of the memory file system.
#include <limits.h>
#include <sys/xattr.h>

#include <array>
#include <string>

#include "backends/memory/inode.h"
#include "backends/memory/memory_filesystem.h"
#include "server/errors/status_macros.h"

namespace fsd::memory {

using backends::Call;
using backends::IoVectors;
using backends::NodeId;
using backends::Outcome;

namespace {

// Of one inode, names and values together.
constexpr size_t kMaxXattrBytes = 65536;

ErrnoOr<void> CheckXattrName(std::string_view name) {
  if (name.empty() || name.size() > XATTR_NAME_MAX) return Errno(ERANGE);
  constexpr std::array<std::string_view, 3> kNamespaces = {"user.", "trusted.", "security."};
  for (const std::string_view prefix : kNamespaces) {
    if (name.starts_with(prefix)) {
      return name.size() > prefix.size() ? ErrnoOr<void>() : Errno(EINVAL);
    }
  }
  return Errno(EOPNOTSUPP);
}

// As getxattr(2) and listxattr(2) answer: without room, only the length.
Outcome<size_t> Give(std::string_view bytes, IoVectors destination) {
  size_t room = 0;
  for (const iovec& piece : destination) room += piece.iov_len;
  if (room == 0) return bytes.size();
  if (room < bytes.size()) return Errno(ERANGE);
  return Copy(bytes, destination);
}

}  // namespace

Outcome<void> MemoryFilesystem::SetXattr(Call<void>, NodeId node, std::string_view name,
                                         std::span<const char> value, uint32_t flags,
                                         bool kill_sgid) {
  os::MutexLock lock(mutex_);
  FSD_ASSIGN_OR_RETURN_ERRNO(const InodeRef inode, Find(node));
  if ((flags & ~uint32_t{XATTR_CREATE | XATTR_REPLACE}) != 0) return Errno(EINVAL);
  FSD_RETURN_IF_ERRNO(CheckXattrName(name));
  if (value.size() > XATTR_SIZE_MAX) return Errno(E2BIG);
  const auto found = inode->xattrs.find(name);
  const bool exists = found != inode->xattrs.end();
  if (exists && (flags & XATTR_CREATE) != 0) return Errno(EEXIST);
  if (!exists && (flags & XATTR_REPLACE) != 0) return Errno(ENODATA);
  size_t bytes = name.size() + value.size();
  for (const auto& [other, its_value] : inode->xattrs) {
    if (other != name) bytes += other.size() + its_value.size();
  }
  if (bytes > kMaxXattrBytes) return Errno(ENOSPC);
  inode->xattrs.insert_or_assign(std::string(name), std::string(value.data(), value.size()));
  if (kill_sgid) inode->mode &= ~S_ISGID;
  inode->TouchStatus();
  return ErrnoOr<void>();
}

Outcome<size_t> MemoryFilesystem::GetXattr(Call<size_t>, NodeId node, std::string_view name,
                                           IoVectors destination) {
  os::MutexLock lock(mutex_);
  FSD_ASSIGN_OR_RETURN_ERRNO(const InodeRef inode, Find(node));
  FSD_RETURN_IF_ERRNO(CheckXattrName(name));
  const auto found = inode->xattrs.find(name);
  if (found == inode->xattrs.end()) return Errno(ENODATA);
  return Give(found->second, destination);
}

Outcome<size_t> MemoryFilesystem::ListXattr(Call<size_t>, NodeId node, IoVectors destination) {
  os::MutexLock lock(mutex_);
  FSD_ASSIGN_OR_RETURN_ERRNO(const InodeRef inode, Find(node));
  std::string names;
  for (const auto& [name, value] : inode->xattrs) names.append(name).push_back('\0');
  return Give(names, destination);
}

Outcome<void> MemoryFilesystem::RemoveXattr(Call<void>, NodeId node, std::string_view name) {
  os::MutexLock lock(mutex_);
  FSD_ASSIGN_OR_RETURN_ERRNO(const InodeRef inode, Find(node));
  FSD_RETURN_IF_ERRNO(CheckXattrName(name));
  const auto found = inode->xattrs.find(name);
  if (found == inode->xattrs.end()) return Errno(ENODATA);
  inode->xattrs.erase(found);
  inode->TouchStatus();
  return ErrnoOr<void>();
}

}  // namespace fsd::memory
