// PassthroughFilesystem: LOOKUP, FORGET, READLINK and what moves, adds and removes names.
#include <fcntl.h>
#include <limits.h>
#include <linux/fs.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <optional>
#include <utility>

#include "backends/passthrough/caller_credentials.h"
#include "backends/passthrough/host_handle.h"
#include "backends/passthrough/passthrough_filesystem.h"
#include "backends/passthrough/safe_open.h"
#include "backends/passthrough/scatter.h"
#include "server/errors/status_macros.h"

namespace fsd::passthrough {

using backends::Call;
using backends::Entry;
using backends::Outcome;

namespace {

constexpr uint32_t kRenameFlags = RENAME_NOREPLACE | RENAME_EXCHANGE | RENAME_WHITEOUT;

}  // namespace

ErrnoOr<Entry> PassthroughFilesystem::InsertOpened(os::UniqueFd fd, Epochs epochs,
                                                   bool* was_known) {
  Entry entry({}, Attributes::ToBeFilled());
  FSD_RETURN_IF_ERRNO(StatFd(fd.get(), entry.attributes));
  FSD_RETURN_IF_ERRNO(InsertOpened(std::move(fd), entry, epochs, was_known));
  return entry;
}

ErrnoOr<void> PassthroughFilesystem::InsertOpened(os::UniqueFd fd, Entry& entry, Epochs epochs,
                                                  bool* was_known) {
  FSD_ASSIGN_OR_RETURN_ERRNO(const InodeTable::Inserted inserted,
                             inodes_.Insert(std::move(fd), entry.attributes, epochs.inodes));
  if (was_known != nullptr) *was_known = inserted.known_before;
  entry.node = inserted.node;
  ForGuest(entry.attributes);
  return {};
}

ErrnoOr<Entry> PassthroughFilesystem::EntryOf(const InodeTable::Pin& inode) {
  Entry entry(NodeId{inode.id()}, Attributes::ToBeFilled());
  FSD_RETURN_IF_ERRNO(StatFd(inode->fd, entry.attributes));
  if (!inodes_.AddLookup(inode)) return Errno(ESTALE);
  ForGuest(entry.attributes);
  return entry;
}

ErrnoOr<Entry> PassthroughFilesystem::LookUpChild(int directory, const ComponentName& name,
                                                  Epochs epochs) {
  if (!looked_up_.ExpectUnknown()) {
    Entry entry({}, Attributes::ToBeFilled());
    FSD_RETURN_IF_ERRNO(StatChild(directory, name, entry.attributes));
    const auto handle = [&] { return HandleOfChild(directory, name); };
    if (const auto node = inodes_.AddLookup(entry.attributes, epochs.inodes, handle)) {
      looked_up_.Add(true);
      entry.node = *node;
      ForGuest(entry.attributes);
      return entry;
    }
  }
  ErrnoOr<os::UniqueFd> fd = WithRoom([&] { return OpenChild(directory, name); });
  if (!fd.ok()) {
    looked_up_.Add(true);  // asking would have cost less
    return fd.error();
  }
  // What was opened counts: the name may have come to mean another inode since.
  bool was_known = false;
  ErrnoOr<Entry> entry = InsertOpened(*std::move(fd), epochs, &was_known);
  if (entry.ok()) looked_up_.Add(was_known);
  return entry;
}

ErrnoOr<Entry> PassthroughFilesystem::LookUpParent(NodeId node, const InodeTable::Pin& directory,
                                                   Epochs epochs) {
  if (node == backends::kRootNodeId) return EntryOf(directory);
  const InodeTable::Pin root = inodes_.Acquire(backends::kRootNodeId);
  FSD_ASSIGN_OR_RETURN_ERRNO(os::UniqueFd fd,
                             WithRoom([&] { return OpenParent(directory->fd, root->fd); }));
  return InsertOpened(std::move(fd), epochs);
}

Outcome<Entry> PassthroughFilesystem::Lookup(Call<Entry>, NodeId parent,
                                             std::string_view raw_name) {
  const Epochs epochs = Begin();
  const ComponentName name(raw_name);
  FSD_RETURN_IF_ERRNO(name.status());
  FSD_ASSIGN_OR_RETURN_ERRNO(const InodeTable::Pin directory, PinDirectory(parent));
  if (name.IsDot()) return EntryOf(directory);
  if (name.IsDotDot()) return LookUpParent(parent, directory, epochs);
  return LookUpChild(directory->fd, name, epochs);
}

void PassthroughFilesystem::Forget(NodeId node, uint64_t count) {
  inodes_.Forget(node, count);
  // Also if the guest still knows it: then it is opened once more.
  if (zero_message_open_) cached_files_.Drop(node);
}

Outcome<void> PassthroughFilesystem::Unlink(Call<void>, NodeId parent, std::string_view raw_name) {
  if (read_only_) return Errno(EROFS);
  const ComponentName name(raw_name);
  FSD_RETURN_IF_ERRNO(name.status());
  FSD_ASSIGN_OR_RETURN_ERRNO(const InodeTable::Pin directory, PinDirectory(parent));
  FSD_ASSIGN_OR_RETURN_ERRNO(const auto removal, inodes_.BeginRemoval(directory->fd, name));
  if (::unlinkat(directory->fd, name.c_str(), 0) != 0) return Errno::Last();
  return ErrnoOr<void>();
}

Outcome<void> PassthroughFilesystem::RemoveDirectory(Call<void>, NodeId parent,
                                                     std::string_view raw_name) {
  if (read_only_) return Errno(EROFS);
  const ComponentName name(raw_name);
  FSD_RETURN_IF_ERRNO(name.status());
  FSD_ASSIGN_OR_RETURN_ERRNO(const InodeTable::Pin directory, PinDirectory(parent));
  FSD_ASSIGN_OR_RETURN_ERRNO(const auto removal, inodes_.BeginRemoval(directory->fd, name));
  if (::unlinkat(directory->fd, name.c_str(), AT_REMOVEDIR) != 0) return Errno::Last();
  return ErrnoOr<void>();
}

Outcome<void> PassthroughFilesystem::Rename(Call<void> call, NodeId parent,
                                            std::string_view raw_name, NodeId new_parent,
                                            std::string_view raw_new_name, uint32_t flags) {
  if (read_only_) return Errno(EROFS);
  if ((flags & ~kRenameFlags) != 0) return Errno(EINVAL);
  const ComponentName name(raw_name);
  FSD_RETURN_IF_ERRNO(name.status());
  const ComponentName new_name(raw_new_name);
  FSD_RETURN_IF_ERRNO(new_name.status());
  FSD_ASSIGN_OR_RETURN_ERRNO(const InodeTable::Pin from, PinDirectory(parent));
  FSD_ASSIGN_OR_RETURN_ERRNO(const InodeTable::Pin to, PinDirectory(new_parent));
  InodeTable::NameRemoval removal;
  if ((flags & (RENAME_NOREPLACE | RENAME_EXCHANGE)) == 0) {
    FSD_ASSIGN_OR_RETURN_ERRNO(removal, inodes_.BeginRemoval(to->fd, new_name));
  }
  std::optional<CallerCredentials> credentials;
  if ((flags & RENAME_WHITEOUT) != 0) {  // it is made, so it is the caller's
    FSD_ASSIGN_OR_RETURN_ERRNO(const backends::Caller caller, HostCaller(call.caller()));
    credentials.emplace(caller, CallerCredentials::Permissions::kCheckedByGuest);
    FSD_RETURN_IF_ERRNO(credentials->status());
  }
  if (::renameat2(from->fd, name.c_str(), to->fd, new_name.c_str(), flags) != 0) {
    return Errno::Last();
  }
  return ErrnoOr<void>();
}

Outcome<Entry> PassthroughFilesystem::Link(Call<Entry>, NodeId node, NodeId new_parent,
                                           std::string_view raw_new_name) {
  if (read_only_) return Errno(EROFS);
  const ComponentName new_name(raw_new_name);
  FSD_RETURN_IF_ERRNO(new_name.status());
  FSD_ASSIGN_OR_RETURN_ERRNO(const InodeTable::Pin inode, PinNode(node));
  FSD_ASSIGN_OR_RETURN_ERRNO(const InodeTable::Pin directory, PinDirectory(new_parent));
  FSD_RETURN_IF_ERRNO(LinkNode(inode, directory->fd, new_name));
  return EntryOf(inode);
}

Outcome<size_t> PassthroughFilesystem::ReadLink(Call<size_t>, NodeId node,
                                                backends::IoVectors destination) {
  FSD_ASSIGN_OR_RETURN_ERRNO(const InodeTable::Pin inode, PinNode(node));
  if (inode->type != S_IFLNK) return Errno(EINVAL);
  char target[PATH_MAX];
  const ssize_t length = ::readlinkat(inode->fd, "", target, sizeof(target));
  if (length < 0) return Errno::Last();
  return Scatter({target, static_cast<size_t>(length)}, destination);
}

}  // namespace fsd::passthrough
