// PassthroughFilesystem: OPENDIR, READDIR, READDIRPLUS, RELEASEDIR, FSYNCDIR.
#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstddef>
#include <utility>

#include "backends/passthrough/guest_open.h"
#include "backends/passthrough/passthrough_filesystem.h"
#include "backends/passthrough/safe_open.h"
#include "server/errors/status_macros.h"

namespace fsd::passthrough {

using backends::Call;
using backends::DirectoryEntry;
using backends::DirectorySink;
using backends::Entry;
using backends::OpenFile;
using backends::Outcome;

namespace {

constexpr size_t kBufferBytes = 8192;
constexpr size_t kLeastEntryBytes = offsetof(dirent64, d_name) + 5;  // padded; of a one-byte name
constexpr size_t kMostEntryBytes = sizeof(dirent64);

// What to read of a directory for `sink`: no more than it can take. The next READDIR starts where
// the reply ended, and a directory that is not read on from where it was left makes ext4 sort its
// block again, a tenth of READDIRPLUS.
size_t BytesFor(const DirectorySink& sink) {
  return std::min(kBufferBytes / kLeastEntryBytes, sink.MostEntries()) * kLeastEntryBytes;
}

}  // namespace

Outcome<OpenFile> PassthroughFilesystem::OpenDirectory(Call<OpenFile>, NodeId node,
                                                       uint32_t guest_flags) {
  const Epochs epochs = Begin();
  FSD_ASSIGN_OR_RETURN_ERRNO(const InodeTable::Pin inode, PinDirectory(node));
  const uint32_t kept = open_policy_.preserve_noatime ? uint32_t{O_NOATIME} : 0;
  const auto reopen = [&](int flags) {
    return Reopen(proc_self_fd_.get(), inode->fd, inode->type, flags);
  };
  FSD_ASSIGN_OR_RETURN_ERRNO(os::UniqueFd directory, WithRoom([&] {
                               return ReopenWithAtime(
                                   reopen, O_RDONLY | static_cast<int>(guest_flags & kept));
                             }));
  FSD_ASSIGN_OR_RETURN_ERRNO(
      const FileHandle handle,
      handles_.Insert(std::move(directory), {.node = node, .kind = HandleKind::kDirectory},
                      epochs.handles));
  return OpenFile{.handle = handle};
}

ErrnoOr<PassthroughFilesystem::DirectoryInUse> PassthroughFilesystem::UseDirectory(
    NodeId node, FileHandle handle) {
  if (Unopened(handle)) {
    FSD_ASSIGN_OR_RETURN_ERRNO(const OpenFileCache::Reference file, UseUnopened(node, Use::kRead));
    return DirectoryInUse{.fd = file->fd.get(), .position = {file, &file->position}, .open = {}};
  }
  FSD_ASSIGN_OR_RETURN_ERRNO(HandleTable::Pin open,
                             PinHandle(node, handle, HandleKind::kDirectory));
  std::shared_ptr<os::Mutex> position = handles_.DirectoryLock(open);
  if (position == nullptr) return Errno(EBADF);
  return DirectoryInUse{.fd = open->fd, .position = std::move(position), .open = std::move(open)};
}

ErrnoOr<void> PassthroughFilesystem::ReadEntries(NodeId node, FileHandle handle, uint64_t offset,
                                                 DirectorySink& sink, LookUpEntries look_up) {
  const Epochs epochs = Begin();
  FSD_ASSIGN_OR_RETURN_ERRNO(const DirectoryInUse directory, UseDirectory(node, handle));
  if (offset > INT64_MAX) return Errno(EINVAL);

  os::MutexLock lock(*directory.position);
  if (::lseek(directory.fd, static_cast<off_t>(offset), SEEK_SET) < 0) return Errno::Last();
  alignas(dirent64) char buffer[kBufferBytes];
  bool added = false;
  while (true) {
    const size_t wanted = BytesFor(sink);
    if (added && wanted < kMostEntryBytes) return {};
    const ssize_t filled = ::getdents64(directory.fd, buffer, std::max(wanted, kMostEntryBytes));
    if (filled == 0 || (filled < 0 && added)) return {};
    if (filled < 0) return Errno::Last();
    for (ssize_t at = 0; at < filled;) {
      const auto& raw = *reinterpret_cast<const dirent64*>(buffer + at);
      at += raw.d_reclen;
      DirectoryEntry found{.name = raw.d_name,
                           .ino = raw.d_ino,
                           .next_offset = static_cast<uint64_t>(raw.d_off),
                           .type = raw.d_type};
      if (!sink.Fits(found.name)) return {};
      const ComponentName name(found.name);
      const bool dots = name.status().ok() && (name.IsDot() || name.IsDotDot());
      // What lies above the share is nobody's business.
      if (dots && node == backends::kRootNodeId) found.ino = root_ino_;
      added = true;
      if (look_up == LookUpEntries::kNo || dots || !name.status().ok()) {
        sink.Add(found, nullptr);
        continue;
      }
      // One that cannot be looked up (it may be gone already) is still listed.
      const ErrnoOr<Entry> entry = LookUpChild(directory.fd, name, epochs);
      if (entry.ok()) found.type = IFTODT(entry->attributes.stx_mode);
      sink.Add(found, entry.ok() ? &*entry : nullptr);
    }
  }
}

Outcome<void> PassthroughFilesystem::ReadDirectory(Call<void>, NodeId node, FileHandle handle,
                                                   uint64_t offset, DirectorySink& sink) {
  return ReadEntries(node, handle, offset, sink, LookUpEntries::kNo);
}

Outcome<void> PassthroughFilesystem::ReadDirectoryPlus(Call<void>, NodeId node, FileHandle handle,
                                                       uint64_t offset, DirectorySink& sink) {
  return ReadEntries(node, handle, offset, sink, LookUpEntries::kYes);
}

Outcome<void> PassthroughFilesystem::ReleaseDirectory(Call<void>, NodeId node, FileHandle handle) {
  if (Unopened(handle)) return ErrnoOr<void>();
  FSD_ASSIGN_OR_RETURN_ERRNO(const HandleTable::Pin open,
                             PinHandle(node, handle, HandleKind::kDirectory));
  handles_.Release(open);
  return ErrnoOr<void>();
}

Outcome<void> PassthroughFilesystem::FsyncDirectory(Call<void>, NodeId node, FileHandle handle,
                                                    bool data_only) {
  FSD_ASSIGN_OR_RETURN_ERRNO(const DirectoryInUse directory, UseDirectory(node, handle));
  if ((data_only ? ::fdatasync(directory.fd) : ::fsync(directory.fd)) != 0) return Errno::Last();
  return ErrnoOr<void>();
}

}  // namespace fsd::passthrough
