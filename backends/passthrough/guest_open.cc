#include "backends/passthrough/guest_open.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <utility>

#include "backends/passthrough/safe_open.h"
#include "server/errors/status_macros.h"

namespace fsd::passthrough {
namespace {

// As Reopen(), without O_NOATIME where that is another owner's to allow.
ErrnoOr<os::UniqueFd> ReopenWithAtime(int proc_self_fd, int fd, uint32_t type, int flags) {
  ErrnoOr<os::UniqueFd> file = Reopen(proc_self_fd, fd, type, flags);
  if (file.ok() || file.error() != Errno(EPERM) || (flags & O_NOATIME) == 0) return file;
  return Reopen(proc_self_fd, fd, type, flags & ~O_NOATIME);
}

ErrnoOr<OpenFds> OpenBoth(int proc_self_fd, int fd, uint32_t type, const HostOpen& open) {
  OpenFds fds;
  // First, and without O_TRUNC: it may be refused.
  FSD_ASSIGN_OR_RETURN_ERRNO(fds.direct, OpenDirect(proc_self_fd, fd, type, open));
  FSD_ASSIGN_OR_RETURN_ERRNO(fds.file, ReopenWithAtime(proc_self_fd, fd, type, open.flags));
  return fds;
}

}  // namespace

bool HostOpen::Changes() const { return (flags & (O_ACCMODE | O_TRUNC)) != O_RDONLY; }

ErrnoOr<HostOpen> HostOpenOf(uint32_t guest_flags, const OpenPolicy& policy) {
  if ((guest_flags & (O_PATH | (O_TMPFILE & ~O_DIRECTORY))) != 0) return Errno(EINVAL);
  if ((guest_flags & O_ACCMODE) == O_ACCMODE) return Errno(EINVAL);
  if ((guest_flags & O_DIRECTORY) != 0) return Errno(ENOTDIR);
  const uint32_t kept =
      O_ACCMODE | O_TRUNC | O_SYNC | O_DSYNC | (policy.preserve_noatime ? uint32_t{O_NOATIME} : 0);
  HostOpen open{.flags = static_cast<int>(guest_flags & kept),
                .direct = policy.direct_io && (guest_flags & O_DIRECT) != 0};
  if (policy.writeback && (open.flags & O_ACCMODE) == O_WRONLY) {
    open.flags = (open.flags & ~O_ACCMODE) | O_RDWR;
    open.write_only_suffices = true;
  }
  return open;
}

ErrnoOr<OpenFds> OpenForGuest(int proc_self_fd, int fd, uint32_t type, const HostOpen& open) {
  ErrnoOr<OpenFds> fds = OpenBoth(proc_self_fd, fd, type, open);
  if (fds.ok() || fds.error() != Errno(EACCES) || !open.write_only_suffices) return fds;
  HostOpen write_only = open;
  write_only.flags = (open.flags & ~O_ACCMODE) | O_WRONLY;
  return OpenBoth(proc_self_fd, fd, type, write_only);
}

ErrnoOr<os::UniqueFd> OpenDirect(int proc_self_fd, int fd, uint32_t type, const HostOpen& open) {
  if (!open.direct) return os::UniqueFd();
  return ReopenWithAtime(proc_self_fd, fd, type, (open.flags & ~O_TRUNC) | O_DIRECT);
}

}  // namespace fsd::passthrough
