// HandleBroker: who opens host handles for us, as that takes a privilege that reaches every file of
// the file system (CAP_DAC_READ_SEARCH). It opens only what it has issued, and issues only for what
// we hold open, so it can be trusted with a privilege by those who do not trust us.
//
// It also is where we are not: outside of the wall around the share's tree (Landlock). As far as
// the kernel knows, what was opened by handle while no name of it was cached lies in no tree, and
// is then refused to us.
//
// Any thread; a call may wait for another's.
#ifndef FSD_BACKENDS_PASSTHROUGH_HANDLE_BROKER_H_
#define FSD_BACKENDS_PASSTHROUGH_HANDLE_BROKER_H_

#include <cstddef>
#include <span>

#include "backends/passthrough/component_name.h"
#include "backends/passthrough/host_handle.h"
#include "server/errors/errno_or.h"
#include "server/os/unique_fd.h"

namespace fsd::passthrough {

class HandleBroker {
 public:
  static constexpr size_t kMaxBatch = 32;

  virtual ~HandleBroker() = default;

  // The handles of what `fds` (at most kMaxBatch) hold, into `handles` of the same length; one of
  // size 0 where the file system gives none.
  virtual ErrnoOr<void> Issue(std::span<const int> fds, std::span<IssuedHandle> handles) = 0;

  // Opens O_PATH. `mount_fd`, not an O_PATH fd, is anything on the handle's mount. ESTALE if the
  // inode is gone, EPERM if the handle was not issued for that mount.
  virtual ErrnoOr<os::UniqueFd> Open(int mount_fd, const IssuedHandle& handle) = 0;

  // The same for I/O, and only if it is a regular file (ENXIO). `flags`: an access mode, O_APPEND,
  // O_SYNC, O_DSYNC, O_DIRECT, O_NOATIME. EWOULDBLOCK while somebody gives up a lease on it.
  virtual ErrnoOr<os::UniqueFd> OpenForIo(int mount_fd, const IssuedHandle& handle, int flags) = 0;

  // Gives what the O_PATH fd `fd` holds the name `name` in `directory`, too.
  virtual ErrnoOr<void> Link(int fd, int directory, const ComponentName& name) = 0;
};

}  // namespace fsd::passthrough

#endif  // FSD_BACKENDS_PASSTHROUGH_HANDLE_BROKER_H_
