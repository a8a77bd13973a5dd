// PassthroughFilesystem: an inode that it holds, opened for I/O or linked.
//
// Behind Landlock both are refused if the inode was opened by handle while no name of it was
// cached: then it is in no place that could lie below the share. Who opened it does it for us (see
// handle_broker.h).
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <utility>

#include "backends/passthrough/passthrough_filesystem.h"
#include "backends/passthrough/safe_open.h"
#include "server/errors/status_macros.h"

namespace fsd::passthrough {
namespace {

bool Writes(int flags) { return (flags & O_ACCMODE) != O_RDONLY; }

// What the system call itself would say: the broker's privileges are not ours.
ErrnoOr<void> CheckPermissions(int fd, int mask) {
  if (::syscall(SYS_faccessat2, fd, "", mask, AT_EMPTY_PATH | AT_EACCESS) != 0) {
    return Errno::Last();
  }
  return {};
}

int MaskOf(int flags) {
  return ((flags & O_ACCMODE) != O_WRONLY ? R_OK : 0) |
         (Writes(flags) || (flags & O_TRUNC) != 0 ? W_OK : 0);
}

}  // namespace

ErrnoOr<os::UniqueFd> PassthroughFilesystem::ReopenNode(const InodeTable::Pin& inode, int flags) {
  ErrnoOr<os::UniqueFd> file = Reopen(proc_self_fd_.get(), inode->fd, inode->type, flags);
  if (file.ok() || file.error() != Errno(EACCES)) return file;
  FSD_RETURN_IF_ERRNO(CheckPermissions(inode->fd, MaskOf(flags)));
  file = inodes_.references().OpenForIo(inode, flags & ~O_TRUNC);
  if (!file.ok() || (flags & O_TRUNC) == 0) return file;
  // With our own privileges, which decide what becomes of setuid and setgid.
  os::UniqueFd writable;
  if (!Writes(flags)) {
    FSD_ASSIGN_OR_RETURN_ERRNO(writable, inodes_.references().OpenForIo(inode, O_WRONLY));
  }
  if (::ftruncate(writable.valid() ? writable.get() : file->get(), 0) != 0) return Errno::Last();
  return file;
}

ErrnoOr<void> PassthroughFilesystem::LinkNode(const InodeTable::Pin& inode, int directory,
                                              const ComponentName& name) {
  // Through proc: AT_EMPTY_PATH would need CAP_DAC_READ_SEARCH. It links the very inode, a symlink
  // itself too.
  if (::linkat(proc_self_fd_.get(), FdName(inode->fd).c_str(), directory, name.c_str(),
               AT_SYMLINK_FOLLOW) == 0) {
    return {};
  }
  const Errno refused = Errno::Last();
  // EXDEV from Landlock, too, as if it were another file system.
  if (refused != Errno(EXDEV) && refused != Errno(EACCES)) return refused;
  FSD_RETURN_IF_ERRNO(CheckPermissions(directory, W_OK | X_OK));
  return inodes_.references().Link(inode, directory, name, refused);
}

}  // namespace fsd::passthrough
