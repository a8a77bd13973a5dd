// PassthroughFilesystem: CREATE and TMPFILE.
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <utility>

#include "backends/passthrough/caller_credentials.h"
#include "backends/passthrough/passthrough_filesystem.h"
#include "backends/passthrough/safe_open.h"
#include "server/errors/status_macros.h"

namespace fsd::passthrough {

using backends::Call;
using backends::CreatedFile;
using backends::Creation;
using backends::Entry;
using backends::OpenOptions;
using backends::Outcome;
using Permissions = CallerCredentials::Permissions;

namespace {

constexpr uint32_t kModeBits = 07777;
// How often CREATE starts over when the name comes and goes under it.
constexpr int kCreateAttempts = 16;

bool IsFileMode(uint32_t mode) {
  return (mode & ~kModeBits) == 0 || (mode & ~kModeBits) == S_IFREG;
}

}  // namespace

Outcome<CreatedFile> PassthroughFilesystem::Create(Call<CreatedFile> call, NodeId parent,
                                                   std::string_view raw_name, uint32_t mode,
                                                   OpenOptions options, const Creation& creation) {
  const Epochs epochs = Begin();
  if (read_only_) return Errno(EROFS);
  const ComponentName name(raw_name);
  FSD_RETURN_IF_ERRNO(name.status());
  const bool exclusive = (options.flags & O_EXCL) != 0;
  if (name.IsDot() || name.IsDotDot()) return Errno(exclusive ? EEXIST : EISDIR);
  if (!IsFileMode(mode)) return Errno(EINVAL);
  FSD_ASSIGN_OR_RETURN_ERRNO(const InodeTable::Pin directory, PinDirectory(parent));
  FSD_ASSIGN_OR_RETURN_ERRNO(const Maker maker, MakerOf(call.caller(), creation));
  const mode_t bits = CreationMode(directory->fd, mode, creation);

  for (int attempt = 0; attempt < kCreateAttempts; ++attempt) {
    ErrnoOr<CreatedFile> created =
        CreateNew(maker, directory->fd, name, bits, options, creation, epochs);
    if (created.ok() || created.error() != Errno(EEXIST) || exclusive) return created;
    ErrnoOr<CreatedFile> existing = CreateExisting(maker, directory->fd, name, options, epochs);
    if (existing.ok() || existing.error() != Errno(ENOENT)) return existing;
  }
  return Errno(EBUSY);
}

ErrnoOr<CreatedFile> PassthroughFilesystem::CreateNew(const Maker& maker, int directory,
                                                      const ComponentName& name, mode_t mode,
                                                      const OpenOptions& options,
                                                      const Creation& creation, Epochs epochs) {
  FSD_ASSIGN_OR_RETURN_ERRNO(const HostOpen open, HostOpenOf(options.flags, open_policy_));
  os::UniqueFd file;
  {
    const CallerCredentials credentials(maker.caller, Permissions::kCheckedByGuest,
                                        maker.supplementary_group);
    FSD_RETURN_IF_ERRNO(credentials.status());
    FSD_ASSIGN_OR_RETURN_ERRNO(file, WithRoom([&] {
                                 return CreateChild(directory, name, open.flags & ~O_NOATIME, mode);
                               }));
  }
  if (ErrnoOr<void> labelled = SetLabel(file.get(), creation); !labelled.ok()) {
    ::unlinkat(directory, name.c_str(), 0);
    return labelled.error();
  }
  FSD_ASSIGN_OR_RETURN_ERRNO(OpenFds fds, FdsOfCreated(std::move(file), open));
  FSD_ASSIGN_OR_RETURN_ERRNO(const Entry entry,
                             InsertCreated(fds.file.get(), directory, name, epochs));
  return OpenCreated(entry, std::move(fds), options, epochs);
}

ErrnoOr<CreatedFile> PassthroughFilesystem::CreateExisting(const Maker& maker, int directory,
                                                           const ComponentName& name,
                                                           const OpenOptions& options,
                                                           Epochs epochs) {
  FSD_ASSIGN_OR_RETURN_ERRNO(const HostOpen open, HostOpenOf(options.flags, open_policy_));
  FSD_ASSIGN_OR_RETURN_ERRNO(os::UniqueFd path,
                             WithRoom([&] { return OpenChild(directory, name); }));
  FSD_ASSIGN_OR_RETURN_ERRNO(const Attributes found, StatFd(path.get()));
  if (S_ISDIR(found.stx_mode)) return Errno(EISDIR);
  OpenFds fds;
  {
    // The guest thought the name was free and so has not checked permissions of what bears it.
    const CallerCredentials credentials(maker.caller, Permissions::kCheckedByHost,
                                        maker.supplementary_group);
    FSD_RETURN_IF_ERRNO(credentials.status());
    const WithoutFsetid without_fsetid(options.kill_suidgid);
    FSD_RETURN_IF_ERRNO(without_fsetid.status());
    const auto reopen = [&](int flags) {
      return Reopen(proc_self_fd_.get(), path.get(), found.stx_mode & S_IFMT, flags);
    };
    FSD_ASSIGN_OR_RETURN_ERRNO(fds, WithRoom([&] { return OpenForGuest(reopen, open); }));
  }
  if ((open.flags & O_TRUNC) != 0) FSD_RETURN_IF_ERRNO(DropStoredCapability(path.get()));
  FSD_ASSIGN_OR_RETURN_ERRNO(const Entry entry, InsertOpened(std::move(path), epochs));
  return OpenCreated(entry, std::move(fds), options, epochs);
}

Outcome<CreatedFile> PassthroughFilesystem::CreateTemporary(Call<CreatedFile> call, NodeId parent,
                                                            uint32_t mode, OpenOptions options,
                                                            const Creation& creation) {
  const Epochs epochs = Begin();
  if (read_only_) return Errno(EROFS);
  if (!IsFileMode(mode)) return Errno(EINVAL);
  FSD_ASSIGN_OR_RETURN_ERRNO(const HostOpen open,
                             HostOpenOf(options.flags & ~uint32_t{O_TMPFILE}, open_policy_));
  FSD_ASSIGN_OR_RETURN_ERRNO(const InodeTable::Pin directory, PinDirectory(parent));
  FSD_ASSIGN_OR_RETURN_ERRNO(const Maker maker, MakerOf(call.caller(), creation));
  const mode_t bits = CreationMode(directory->fd, mode, creation);
  const int nameless_for_ever = static_cast<int>(options.flags & O_EXCL);
  os::UniqueFd file;
  {
    const CallerCredentials credentials(maker.caller, Permissions::kCheckedByGuest,
                                        maker.supplementary_group);
    FSD_RETURN_IF_ERRNO(credentials.status());
    FSD_ASSIGN_OR_RETURN_ERRNO(
        file, WithRoom([&] {
          return CreateUnnamed(directory->fd, (open.flags & ~O_NOATIME) | nameless_for_ever, bits);
        }));
  }
  FSD_RETURN_IF_ERRNO(SetLabel(file.get(), creation));
  FSD_ASSIGN_OR_RETURN_ERRNO(OpenFds fds, FdsOfCreated(std::move(file), open));
  FSD_ASSIGN_OR_RETURN_ERRNO(const Entry entry, InsertCreated(fds.file.get(), epochs));
  return OpenCreated(entry, std::move(fds), options, epochs);
}

ErrnoOr<OpenFds> PassthroughFilesystem::FdsOfCreated(os::UniqueFd file, const HostOpen& open) {
  OpenFds fds;
  // As on Linux, a file that cannot be opened with O_DIRECT has been made all the same.
  const auto reopen = [&](int flags) {
    return Reopen(proc_self_fd_.get(), file.get(), S_IFREG, flags);
  };
  FSD_ASSIGN_OR_RETURN_ERRNO(fds.direct, WithRoom([&] { return OpenDirect(reopen, open); }));
  if ((open.flags & O_NOATIME) != 0) ::fcntl(file.get(), F_SETFL, O_NOATIME);
  fds.file = std::move(file);
  return fds;
}

ErrnoOr<Entry> PassthroughFilesystem::InsertCreated(int file, int directory,
                                                    const ComponentName& name, Epochs epochs) {
  // By its name that is 2 µs, by /proc/self/fd 3.1. But the name may lead elsewhere by now.
  ErrnoOr<os::UniqueFd> path = WithRoom([&] { return OpenChild(directory, name); });
  if (path.ok()) {
    Attributes created{Attributes::ToBeFilled()};
    Entry named({}, Attributes::ToBeFilled());
    FSD_RETURN_IF_ERRNO(StatFd(file, created));
    FSD_RETURN_IF_ERRNO(StatFd(path->get(), named.attributes));
    // Both are open, so that the number cannot have passed to another.
    if (KeyOf(created) == KeyOf(named.attributes)) {
      FSD_RETURN_IF_ERRNO(InsertOpened(*std::move(path), named, epochs));
      return named;
    }
  }
  return InsertCreated(file, epochs);
}

ErrnoOr<Entry> PassthroughFilesystem::InsertCreated(int file, Epochs epochs) {
  FSD_ASSIGN_OR_RETURN_ERRNO(os::UniqueFd path,
                             WithRoom([&] { return ReopenAsPath(proc_self_fd_.get(), file); }));
  return InsertOpened(std::move(path), epochs);
}

ErrnoOr<CreatedFile> PassthroughFilesystem::OpenCreated(const Entry& entry, OpenFds fds,
                                                        const OpenOptions& options, Epochs epochs) {
  if (!options.keep_open) return CreatedFile{.entry = entry, .handle = backends::kNoHandle};
  ErrnoOr<FileHandle> handle = InsertFile(std::move(fds), entry.node, options.flags, epochs);
  if (!handle.ok()) {
    inodes_.Forget(entry.node, 1);
    return handle.error();
  }
  return CreatedFile{.entry = entry, .handle = *handle};
}

}  // namespace fsd::passthrough
