// HandleKeeperClient: the passthrough backend's HandleBroker, in the data plane: asks the handle
// keeper (server/worker/handle_keeper.h).
//
// Any thread; one request is under way at a time.
#ifndef FSD_SERVER_EXE_HANDLE_KEEPER_CLIENT_H_
#define FSD_SERVER_EXE_HANDLE_KEEPER_CLIENT_H_

#include <span>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "backends/passthrough/component_name.h"
#include "backends/passthrough/handle_broker.h"
#include "server/errors/errno_or.h"
#include "server/ipc/handle_channel.h"
#include "server/os/mutex.h"
#include "server/os/unique_fd.h"

namespace fsd::exe {

class HandleKeeperClient : public passthrough::HandleBroker {
 public:
  // `socket` blocks.
  explicit HandleKeeperClient(os::UniqueFd socket) : socket_(std::move(socket)) {}

  // EPIPE once the keeper is gone.
  ErrnoOr<void> Issue(std::span<const int> fds,
                      std::span<passthrough::IssuedHandle> handles) override;
  ErrnoOr<os::UniqueFd> Open(int mount_fd, const passthrough::IssuedHandle& handle) override;
  ErrnoOr<os::UniqueFd> OpenForIo(int mount_fd, const passthrough::IssuedHandle& handle,
                                  int flags) override;
  ErrnoOr<void> Link(int fd, int directory, const passthrough::ComponentName& name) override;

 private:
  struct Reply {
    ipc::HandleAnswer answer;
    os::UniqueFd fd;
  };
  ErrnoOr<os::UniqueFd> AskForFd(int mount_fd, const passthrough::IssuedHandle& handle,
                                 ipc::HandleRequest request);
  ErrnoOr<Reply> Ask(const ipc::HandleRequest& request, std::span<const int> fds);

  os::Mutex mutex_;
  const os::UniqueFd socket_;
};

}  // namespace fsd::exe

#endif  // FSD_SERVER_EXE_HANDLE_KEEPER_CLIENT_H_
