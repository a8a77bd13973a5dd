#include "server/worker/acceptor.h"

#include <fcntl.h>
#include <sys/epoll.h>

#include <utility>

#include "absl/time/time.h"
#include "server/errors/errno_or.h"
#include "server/errors/status_macros.h"
#include "server/os/unix_socket.h"
#include "server/telemetry/log.h"

namespace fsd::worker {
namespace {

// Who dials without end shall not keep the control thread from its other duties.
constexpr int kMaxAcceptsPerEvent = 16;
constexpr absl::Duration kRetryDelay = absl::Milliseconds(100);

}  // namespace

absl::StatusOr<std::unique_ptr<Acceptor>> Acceptor::Create(os::Epoll& epoll, os::UniqueFd listener,
                                                           std::string export_name,
                                                           Handler handler) {
  ErrnoOr<os::TimerFd> retry = os::TimerFd::Create();
  if (!retry.ok()) return ErrnoStatus(retry.error(), "make a timer");
  std::unique_ptr<Acceptor> acceptor(new Acceptor(epoll, std::move(listener), *std::move(retry),
                                                  std::move(export_name), std::move(handler)));
  FSD_RETURN_IF_ERROR(acceptor->Watch());
  return acceptor;
}

Acceptor::Acceptor(os::Epoll& epoll, os::UniqueFd listener, os::TimerFd retry,
                   std::string export_name, Handler handler)
    : epoll_(epoll),
      listener_(std::move(listener)),
      retry_(std::move(retry)),
      export_name_(std::move(export_name)),
      handler_(std::move(handler)) {}

Acceptor::~Acceptor() {
  epoll_.Remove(listener_.get());
  epoll_.Remove(retry_.fd());
}

absl::Status Acceptor::Watch() {
  const int flags = ::fcntl(listener_.get(), F_GETFL);
  if (flags < 0 || ::fcntl(listener_.get(), F_SETFL, flags | O_NONBLOCK) != 0) {
    return ErrnoStatus(Errno::Last(), "make the listener non-blocking");
  }
  const ErrnoOr<void> retrying = epoll_.Add(retry_.fd(), EPOLLIN, [this](uint32_t) {
    retry_.Drain();
    if (!paused_) static_cast<void>(Listen());
  });
  if (!retrying.ok()) return ErrnoStatus(retrying.error(), "watch a timer");
  const ErrnoOr<void> listening = Listen();
  if (!listening.ok()) return ErrnoStatus(listening.error(), "watch a listener");
  return absl::OkStatus();
}

void Acceptor::Pause() {
  paused_ = true;
  epoll_.Remove(listener_.get());
  retry_.Cancel();
}

void Acceptor::Resume() {
  if (std::exchange(paused_, false)) static_cast<void>(Listen());
}

ErrnoOr<void> Acceptor::Listen() {
  epoll_.Remove(listener_.get());  // in case a Resume has come before a retry
  ErrnoOr<void> listening = epoll_.Add(listener_.get(), EPOLLIN, [this](uint32_t) { Accept(); });
  if (!listening.ok()) retry_.Set(kRetryDelay);
  return listening;
}

void Acceptor::Accept() {
  for (int i = 0; i < kMaxAcceptsPerEvent && !paused_; ++i) {
    ErrnoOr<os::UniqueFd> connection = os::AcceptUnix(listener_.get());
    if (connection.ok()) {
      handler_(*std::move(connection));
      continue;
    }
    if (connection.error() == Errno(EAGAIN)) return;
    if (connection.error() == Errno(EINTR) || connection.error() == Errno(ECONNABORTED)) continue;
    FSD_LOG(kWarning, export_name_, "a connection has to wait: %s",
            ErrnoStatus(connection.error(), "accept").ToString());
    // Not watched meanwhile: a listener in distress stays readable.
    epoll_.Remove(listener_.get());
    retry_.Set(kRetryDelay);
    return;
  }
}

}  // namespace fsd::worker
