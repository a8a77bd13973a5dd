// PassthroughFilesystem: SYMLINK, MKNOD, MKDIR, and what everything that is made has in common.
#include <fcntl.h>
#include <limits.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <cstring>
#include <utility>

#include "backends/passthrough/caller_credentials.h"
#include "backends/passthrough/passthrough_filesystem.h"
#include "backends/passthrough/safe_open.h"
#include "server/errors/status_macros.h"

namespace fsd::passthrough {

using backends::Call;
using backends::Creation;
using backends::Entry;
using backends::Outcome;
using Permissions = CallerCredentials::Permissions;

namespace {

constexpr uint32_t kModeBits = 07777;

// What a node of this type may be made as; mknod(2)'s errno otherwise.
ErrnoOr<void> CheckNodeMode(uint32_t mode) {
  if ((mode & ~(kModeBits | S_IFMT)) != 0) return Errno(EINVAL);
  switch (mode & S_IFMT) {
    case 0:
    case S_IFREG:
    case S_IFIFO:
    case S_IFSOCK:
    case S_IFCHR:
    case S_IFBLK:
      return {};
    case S_IFDIR:
      return Errno(EPERM);
    default:
      return Errno(EINVAL);
  }
}

}  // namespace

mode_t PassthroughFilesystem::CreationMode(int directory, uint32_t mode,
                                           const Creation& creation) const {
  const uint32_t umask = creation.umask & kModeBits;
  const bool replaced =
      umask != 0 && posix_acl_ &&
      ::getxattr(FdName(directory).c_str(), "system.posix_acl_default", nullptr, 0) >= 0;
  return mode & kModeBits & ~(replaced ? 0 : umask);
}

ErrnoOr<void> PassthroughFilesystem::SetLabel(int fd, const Creation& creation) const {
  if (creation.security_name.empty()) return {};
  FSD_ASSIGN_OR_RETURN_ERRNO(const XattrName name, HostXattrName(creation.security_name));
  if (::setxattr(FdName(fd).c_str(), name.c_str(), creation.security_value.data(),
                 creation.security_value.size(), 0) != 0) {
    return Errno::Last();
  }
  return {};
}

ErrnoOr<Entry> PassthroughFilesystem::EntryOfMade(int directory, const ComponentName& name,
                                                  int unlink_flags, const Creation& creation,
                                                  Epochs epochs) {
  // What was just made is not known: a statx to ask whether it is would be lost.
  ErrnoOr<os::UniqueFd> fd = WithRoom([&] { return OpenChild(directory, name); });
  if (creation.security_name.empty()) {
    if (!fd.ok()) return fd.error();
    return InsertOpened(*std::move(fd), epochs);
  }
  const ErrnoOr<void> labelled = fd.ok() ? SetLabel(fd->get(), creation) : fd.error();
  if (!labelled.ok()) {
    ::unlinkat(directory, name.c_str(), unlink_flags);
    return labelled.error();
  }
  return InsertOpened(*std::move(fd), epochs);
}

Outcome<Entry> PassthroughFilesystem::Symlink(Call<Entry> call, NodeId parent,
                                              std::string_view raw_name, std::string_view target,
                                              const Creation& creation) {
  const Epochs epochs = Begin();
  if (read_only_) return Errno(EROFS);
  const ComponentName name(raw_name);
  FSD_RETURN_IF_ERRNO(name.status());
  if (target.empty()) return Errno(ENOENT);
  if (target.size() >= PATH_MAX) return Errno(ENAMETOOLONG);
  if (target.find('\0') != target.npos) return Errno(EINVAL);
  // The one path that comes from the guest: stored by the host, never walked by it.
  char target_text[PATH_MAX];
  std::memcpy(target_text, target.data(), target.size());
  target_text[target.size()] = '\0';

  FSD_ASSIGN_OR_RETURN_ERRNO(const InodeTable::Pin directory, PinDirectory(parent));
  FSD_ASSIGN_OR_RETURN_ERRNO(const Maker maker, MakerOf(call.caller(), creation));
  {
    const CallerCredentials credentials(maker.caller, Permissions::kCheckedByGuest,
                                        maker.supplementary_group);
    FSD_RETURN_IF_ERRNO(credentials.status());
    if (::symlinkat(target_text, directory->fd, name.c_str()) != 0) return Errno::Last();
  }
  return EntryOfMade(directory->fd, name, 0, creation, epochs);
}

Outcome<Entry> PassthroughFilesystem::MakeNode(Call<Entry> call, NodeId parent,
                                               std::string_view raw_name, uint32_t mode,
                                               dev_t device, const Creation& creation) {
  const Epochs epochs = Begin();
  if (read_only_) return Errno(EROFS);
  const ComponentName name(raw_name);
  FSD_RETURN_IF_ERRNO(name.status());
  FSD_RETURN_IF_ERRNO(CheckNodeMode(mode));
  FSD_ASSIGN_OR_RETURN_ERRNO(const InodeTable::Pin directory, PinDirectory(parent));
  FSD_ASSIGN_OR_RETURN_ERRNO(const Maker maker, MakerOf(call.caller(), creation));
  const mode_t bits = CreationMode(directory->fd, mode, creation);
  {
    const CallerCredentials credentials(maker.caller, Permissions::kCheckedByGuest,
                                        maker.supplementary_group);
    FSD_RETURN_IF_ERRNO(credentials.status());
    if (::mknodat(directory->fd, name.c_str(), (mode & S_IFMT) | bits, device) != 0) {
      return Errno::Last();
    }
  }
  return EntryOfMade(directory->fd, name, 0, creation, epochs);
}

Outcome<Entry> PassthroughFilesystem::MakeDirectory(Call<Entry> call, NodeId parent,
                                                    std::string_view raw_name, uint32_t mode,
                                                    const Creation& creation) {
  const Epochs epochs = Begin();
  if (read_only_) return Errno(EROFS);
  const ComponentName name(raw_name);
  FSD_RETURN_IF_ERRNO(name.status());
  if ((mode & ~kModeBits) != 0 && (mode & ~kModeBits) != S_IFDIR) return Errno(EINVAL);
  FSD_ASSIGN_OR_RETURN_ERRNO(const InodeTable::Pin directory, PinDirectory(parent));
  FSD_ASSIGN_OR_RETURN_ERRNO(const Maker maker, MakerOf(call.caller(), creation));
  const mode_t bits = CreationMode(directory->fd, mode, creation);
  {
    const CallerCredentials credentials(maker.caller, Permissions::kCheckedByGuest,
                                        maker.supplementary_group);
    FSD_RETURN_IF_ERRNO(credentials.status());
    if (::mkdirat(directory->fd, name.c_str(), bits) != 0) return Errno::Last();
  }
  return EntryOfMade(directory->fd, name, AT_REMOVEDIR, creation, epochs);
}

}  // namespace fsd::passthrough
