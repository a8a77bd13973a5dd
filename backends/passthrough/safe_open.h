// The only place that opens anything: by one name in a directory, or an O_PATH fd once more.
//
// No path is ever built, no symlink ever followed. What is not a regular file or a directory is
// only held as O_PATH: a device node, fifo or socket on the share is never opened for I/O. Every fd
// made here is close-on-exec.
#ifndef FSD_BACKENDS_PASSTHROUGH_SAFE_OPEN_H_
#define FSD_BACKENDS_PASSTHROUGH_SAFE_OPEN_H_

#include <sys/types.h>

#include <cstdint>

#include "backends/passthrough/component_name.h"
#include "server/errors/errno_or.h"
#include "server/os/unique_fd.h"

namespace fsd::passthrough {

// The name of an fd in /proc/self/fd.
class FdName {
 public:
  explicit FdName(int fd);
  const char* c_str() const { return text_; }

 private:
  char text_[12];
};

// The object `name` in `directory`, O_PATH, be it a symlink. EINVAL for "..": see OpenParent.
ErrnoOr<os::UniqueFd> OpenChild(int directory, const ComponentName& name);

// The parent of `directory`, O_PATH; `root` itself for the root. ENOENT if `directory` no longer
// lies under `root`, because the host has moved it away.
ErrnoOr<os::UniqueFd> OpenParent(int directory, int root);

// Makes the regular file `name` and opens it; EEXIST if there is anything of that name. `flags`: an
// access mode and O_SYNC, O_DSYNC, O_NOATIME.
ErrnoOr<os::UniqueFd> CreateChild(int directory, const ComponentName& name, int flags, mode_t mode);

// Makes a regular file without a name (O_TMPFILE) on the directory's file system. `flags` too may
// have O_EXCL: it shall never have a name. EINVAL: not for writing.
ErrnoOr<os::UniqueFd> CreateUnnamed(int directory, int flags, mode_t mode);

// Opens what the O_PATH fd `fd` holds for I/O. `type`, its S_IFMT bits, is S_IFREG or S_IFDIR;
// ELOOP for a symlink, ENXIO for any other. `flags`: an access mode and O_TRUNC, O_APPEND, O_SYNC,
// O_DSYNC, O_DIRECT, O_NOATIME.
ErrnoOr<os::UniqueFd> Reopen(int proc_self_fd, int fd, uint32_t type, int flags);

// Opens the directory or regular file that the O_PATH fd `fd` holds only to have something on its
// mount, for open_by_handle_at(2). ENXIO for any other type, EWOULDBLOCK for a leased file.
ErrnoOr<os::UniqueFd> OpenOnMount(int proc_self_fd, int fd, uint32_t type);

// The same object as `fd`, as O_PATH.
ErrnoOr<os::UniqueFd> ReopenAsPath(int proc_self_fd, int fd);

}  // namespace fsd::passthrough

#endif  // FSD_BACKENDS_PASSTHROUGH_SAFE_OPEN_H_
