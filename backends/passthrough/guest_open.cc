#include "backends/passthrough/guest_open.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <utility>

#include "server/errors/status_macros.h"

namespace fsd::passthrough {
namespace {

ErrnoOr<OpenFds> OpenBoth(Reopener reopen, const HostOpen& open) {
  OpenFds fds;
  // First, and without O_TRUNC: it may be refused.
  FSD_ASSIGN_OR_RETURN_ERRNO(fds.direct, OpenDirect(reopen, open));
  FSD_ASSIGN_OR_RETURN_ERRNO(fds.file, ReopenWithAtime(reopen, open.flags));
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
  open.append_suffices = open.Changes() && (guest_flags & O_APPEND) != 0;
  return open;
}

ErrnoOr<os::UniqueFd> ReopenWithAtime(Reopener reopen, int flags) {
  ErrnoOr<os::UniqueFd> opened = reopen(flags);
  if (opened.ok() || opened.error() != Errno(EPERM) || (flags & O_NOATIME) == 0) return opened;
  return reopen(flags & ~O_NOATIME);
}

ErrnoOr<OpenFds> OpenForGuest(Reopener reopen, const HostOpen& open) {
  HostOpen attempt = open;
  ErrnoOr<OpenFds> fds = OpenBoth(reopen, attempt);
  if (!fds.ok() && fds.error() == Errno(EACCES) && open.write_only_suffices) {
    attempt.flags = (attempt.flags & ~O_ACCMODE) | O_WRONLY;
    fds = OpenBoth(reopen, attempt);
  }
  if (!fds.ok() && fds.error() == Errno(EPERM) && open.append_suffices) {
    attempt.flags |= O_APPEND;
    fds = OpenBoth(reopen, attempt);
    if (fds.ok()) fds->append_only = true;
  }
  return fds;
}

ErrnoOr<os::UniqueFd> OpenDirect(Reopener reopen, const HostOpen& open) {
  if (!open.direct) return os::UniqueFd();
  return ReopenWithAtime(reopen, (open.flags & ~O_TRUNC) | O_DIRECT);
}

}  // namespace fsd::passthrough
