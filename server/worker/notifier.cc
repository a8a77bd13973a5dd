#include "server/worker/notifier.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>

#include <utility>

#include "server/errors/errno_or.h"
#include "server/errors/status_macros.h"
#include "server/os/event_fd.h"

namespace fsd::worker {
namespace {

bool HasRoom(int fd) {
  pollfd entry{.fd = fd, .events = POLLOUT, .revents = 0};
  return ::poll(&entry, 1, 0) == 1 && (entry.revents & POLLOUT) != 0;
}

}  // namespace

absl::Status CheckNotificationFd(int fd) {
  struct statx status {};
  // DONT_SYNC: a remote file's server is not asked, so this cannot hang.
  if (::statx(fd, "", AT_EMPTY_PATH | AT_STATX_DONT_SYNC, STATX_TYPE, &status) != 0) {
    return ErrnoStatus(Errno::Last(), "look at a notification descriptor");
  }
  const mode_t type = status.stx_mode & S_IFMT;
  // Eventfds and their like have no type.
  if (type == 0 || type == S_IFIFO || type == S_IFSOCK) return absl::OkStatus();
  return absl::InvalidArgumentError(
      "a notification descriptor is neither eventfd, pipe nor socket");
}

absl::Status Notifier::Set(os::UniqueFd fd) {
  std::shared_ptr<Target> target;
  absl::Status status;
  if (fd.valid()) {
    status = CheckNotificationFd(fd.get());
    if (status.ok()) {
      target = std::make_shared<Target>();
      const int flags = ::fcntl(fd.get(), F_GETFL);
      target->may_block = flags < 0 || (flags & O_NONBLOCK) == 0;
      target->fd = std::move(fd);
    }
  }
  bool tell = false;
  {
    const os::MutexLock lock(mutex_);
    tell = std::exchange(missed_, false) && target != nullptr;
    target_ = std::move(target);
  }
  if (tell) Notify();
  return status;
}

void Notifier::Notify() {
  std::shared_ptr<const Target> target;
  {
    const os::MutexLock lock(mutex_);
    target = target_;
    if (target == nullptr) missed_ = true;
  }
  if (target == nullptr) return;
  // Without room the other side has not yet taken the last ones; one more says nothing new.
  if (target->may_block && !HasRoom(target->fd.get())) return;
  os::EventFd::SignalFd(target->fd.get());
}

}  // namespace fsd::worker
