// PassthroughFilesystem: SETXATTR, GETXATTR, LISTXATTR, REMOVEXATTR.
//
// fgetxattr(2) and the like refuse an O_PATH fd. Its name in /proc/self/fd, which is the working
// directory, leads to the inode itself, even if that is a symlink.
#include <fcntl.h>
#include <limits.h>
#include <sys/stat.h>
#include <sys/xattr.h>

#include <algorithm>
#include <cstring>
#include <memory>
#include <string_view>

#include "backends/passthrough/caller_credentials.h"
#include "backends/passthrough/passthrough_filesystem.h"
#include "backends/passthrough/safe_open.h"
#include "backends/passthrough/scatter.h"
#include "backends/passthrough/xattr_ids.h"
#include "server/errors/status_macros.h"

namespace fsd::passthrough {

using backends::Call;
using backends::IoVectors;
using backends::Outcome;

namespace {

constexpr uint32_t kModeBits = 07777;

// A value or a list of names, on the stack if it is not large.
class Bytes {
 public:
  explicit Bytes(size_t size)
      : size_(size), large_(size > sizeof(small_) ? new char[size] : nullptr) {}

  char* data() { return large_ != nullptr ? large_.get() : small_; }
  size_t size() const { return size_; }

 private:
  size_t size_;
  std::unique_ptr<char[]> large_;
  char small_[1024];
};

// Calls `get(buffer, size)`, getxattr or listxattr, with `bytes`; their result.
template <typename Get>
ErrnoOr<size_t> Fill(Bytes& bytes, Get get) {
  const ssize_t size = get(bytes.data(), bytes.size());
  if (size < 0) return Errno::Last();
  return static_cast<size_t>(size);
}

}  // namespace

ErrnoOr<XattrName> PassthroughFilesystem::HostXattrName(std::string_view name) const {
  if (!xattr_) return Errno(ENOSYS);
  if (!posix_acl_ && IsPosixAcl(name)) return Errno(EOPNOTSUPP);
  return xattr_map_.ToHost(name);
}

bool PassthroughFilesystem::TranslatesIds(std::string_view name) const {
  return !(uids_.identity() && gids_.identity()) && MayHoldIds(name);
}

ErrnoOr<void> PassthroughFilesystem::DropStoredCapability(int fd) const {
  if (!stored_capability_) return {};
  if (::removexattr(FdName(fd).c_str(), stored_capability_->c_str()) == 0) return {};
  // It has none, and never can.
  if (errno == ENODATA || errno == EOPNOTSUPP) return {};
  const Errno refused = Errno::Last();
  // What may not have the name (`user.*` of a symlink) or may not be told of it (`trusted.*`
  // without CAP_SYS_ADMIN) is refused the removal though it has none that a guest could see.
  if (refused == Errno(EPERM) &&
      ::getxattr(FdName(fd).c_str(), stored_capability_->c_str(), nullptr, 0) < 0 &&
      errno == ENODATA) {
    return {};
  }
  return refused;
}

Outcome<void> PassthroughFilesystem::SetXattr(Call<void>, NodeId node, std::string_view name,
                                              std::span<const char> value, uint32_t flags,
                                              bool kill_sgid) {
  FSD_ASSIGN_OR_RETURN_ERRNO(const XattrName host_name, HostXattrName(name));
  if (read_only_) return Errno(EROFS);
  if (value.size() > XATTR_SIZE_MAX) return Errno(E2BIG);
  FSD_ASSIGN_OR_RETURN_ERRNO(const InodeTable::Pin inode, PinNode(node));
  Bytes translated(TranslatesIds(name) ? value.size() : 0);
  if (translated.size() != 0) {
    std::memcpy(translated.data(), value.data(), value.size());
    FSD_RETURN_IF_ERRNO(TranslateIds(name, {translated.data(), translated.size()}, uids_, gids_,
                                     IdDirection::kToHost));
    value = {translated.data(), translated.size()};
  }

  const WithoutFsetid without_fsetid(kill_sgid);
  FSD_RETURN_IF_ERRNO(without_fsetid.status());
  if (::setxattr(FdName(inode->fd).c_str(), host_name.c_str(), value.data(), value.size(),
                 static_cast<int>(flags)) != 0) {
    return Errno::Last();
  }
  // Linux asks for it with a default ACL too, which by itself changes no bit.
  if (!kill_sgid || name != "system.posix_acl_access") return ErrnoOr<void>();
  // The host keeps the bit of a file of our own group; the guest's process was in no such group.
  FSD_ASSIGN_OR_RETURN_ERRNO(const Attributes attributes, StatFd(inode->fd));
  if ((attributes.stx_mode & S_ISGID) == 0) return ErrnoOr<void>();
  return ChangeMode(inode, attributes.stx_mode & kModeBits & ~uint32_t{S_ISGID});
}

Outcome<size_t> PassthroughFilesystem::GetXattr(Call<size_t>, NodeId node, std::string_view name,
                                                IoVectors destination) {
  FSD_ASSIGN_OR_RETURN_ERRNO(const XattrName host_name, HostXattrName(name));
  FSD_ASSIGN_OR_RETURN_ERRNO(const InodeTable::Pin inode, PinNode(node));
  Bytes value(std::min<size_t>(BytesOf(destination), XATTR_SIZE_MAX));
  FSD_ASSIGN_OR_RETURN_ERRNO(const size_t size, Fill(value, [&](char* buffer, size_t room) {
                               return ::getxattr(FdName(inode->fd).c_str(), host_name.c_str(),
                                                 buffer, room);
                             }));
  if (value.size() == 0) return size;
  if (TranslatesIds(name)) {
    FSD_RETURN_IF_ERRNO(
        TranslateIds(name, {value.data(), size}, uids_, gids_, IdDirection::kToGuest));
  }
  return Scatter({value.data(), size}, destination);
}

Outcome<size_t> PassthroughFilesystem::ListXattr(Call<size_t>, NodeId node, IoVectors destination) {
  if (!xattr_) return Errno(ENOSYS);
  FSD_ASSIGN_OR_RETURN_ERRNO(const InodeTable::Pin inode, PinNode(node));
  // All of them, whatever room the guest has: some are hidden, some get shorter.
  Bytes names(XATTR_LIST_MAX);
  FSD_ASSIGN_OR_RETURN_ERRNO(const size_t size, Fill(names, [&](char* buffer, size_t room) {
                               return ::listxattr(FdName(inode->fd).c_str(), buffer, room);
                             }));
  size_t kept = 0;
  for (size_t at = 0; at < size;) {
    const std::string_view host_name(names.data() + at, ::strnlen(names.data() + at, size - at));
    at += host_name.size() + 1;
    const std::optional<std::string_view> name = xattr_map_.ToGuest(host_name);
    if (!name || (!posix_acl_ && IsPosixAcl(*name))) continue;
    // Never longer than what was read, so what is still to be read stays.
    std::memmove(names.data() + kept, name->data(), name->size());
    kept += name->size();
    names.data()[kept++] = '\0';
  }
  const size_t room = BytesOf(destination);
  if (room == 0) return kept;
  if (room < kept) return Errno(ERANGE);
  return Scatter({names.data(), kept}, destination);
}

Outcome<void> PassthroughFilesystem::RemoveXattr(Call<void>, NodeId node, std::string_view name) {
  FSD_ASSIGN_OR_RETURN_ERRNO(const XattrName host_name, HostXattrName(name));
  if (read_only_) return Errno(EROFS);
  FSD_ASSIGN_OR_RETURN_ERRNO(const InodeTable::Pin inode, PinNode(node));
  if (::removexattr(FdName(inode->fd).c_str(), host_name.c_str()) != 0) return Errno::Last();
  return ErrnoOr<void>();
}

}  // namespace fsd::passthrough
