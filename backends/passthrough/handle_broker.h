// HandleBroker: who opens host handles for us, as that takes a privilege that reaches every file of
// the file system (CAP_DAC_READ_SEARCH). It opens only what it has issued, and issues only for what
// we hold open, so it can be trusted with a privilege by those who do not trust us.
//
// Any thread; a call may wait for another's.
#ifndef FSD_BACKENDS_PASSTHROUGH_HANDLE_BROKER_H_
#define FSD_BACKENDS_PASSTHROUGH_HANDLE_BROKER_H_

#include <cstddef>
#include <span>

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
};

}  // namespace fsd::passthrough

#endif  // FSD_BACKENDS_PASSTHROUGH_HANDLE_BROKER_H_
