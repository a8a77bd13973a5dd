#include "server/supervisor/earlier_worker.h"

#include <sys/epoll.h>

#include "server/errors/status_macros.h"
#include "server/os/unix_socket.h"

namespace fsd::supervisor {

namespace {

constexpr absl::Duration kCheckEvery = absl::Milliseconds(10);

bool Listens(const std::string& path, os::SocketType type) {
  const auto connected = os::ConnectUnix(path, type);
  // EAGAIN: the backlog is full, which takes a listener.
  return connected.ok() || connected.error() == Errno(EAGAIN);
}

}  // namespace

bool EarlierWorker::Serves(const std::string& control_path) {
  return Listens(control_path, os::SocketType::kSeqPacket);
}

absl::StatusOr<std::unique_ptr<EarlierWorker>> EarlierWorker::Stop(EventLoop& loop,
                                                                   std::string control_path,
                                                                   std::string vhost_path,
                                                                   std::function<void()> gone) {
  auto socket = os::ConnectUnix(control_path, os::SocketType::kSeqPacket);
  if (!socket.ok()) return ErrnoStatus(socket.error(), "dial the worker");
  std::unique_ptr<EarlierWorker> worker(
      new EarlierWorker(loop, ipc::WorkerChannel(*std::move(socket)), std::move(control_path),
                        std::move(vhost_path), std::move(gone)));
  internal::ToWorker hello, stop;
  hello.mutable_hello()->set_version(ipc::kProtocolVersion);
  stop.mutable_stop();
  FSD_RETURN_IF_ERROR(worker->channel_.Send(hello));
  FSD_RETURN_IF_ERROR(worker->channel_.Send(stop));
  EarlierWorker* const self = worker.get();
  const auto added =
      loop.epoll().Add(self->channel_.fd(), EPOLLIN, [self](uint32_t) { self->OnChannel(); });
  if (!added.ok()) return ErrnoStatus(added.error(), "watch the worker's channel");
  return worker;
}

EarlierWorker::~EarlierWorker() {
  loop_.Cancel(check_);
  loop_.epoll().Remove(channel_.fd());
}

void EarlierWorker::OnChannel() {
  // What it still says does not matter; one message a round keeps it from holding up others.
  if (channel_.ReceiveFromWorker().status().code() != absl::StatusCode::kUnavailable) return;
  loop_.epoll().Remove(channel_.fd());
  CheckGone();
}

void EarlierWorker::CheckGone() {
  // A process that ends closes its descriptors one after the other, the channel perhaps first.
  if (Serves(control_path_) || Listens(vhost_path_, os::SocketType::kStream)) {
    check_ = loop_.CallAfter(kCheckEvery, [this] { CheckGone(); });
    return;
  }
  const auto gone = std::move(gone_);
  gone();
}

}  // namespace fsd::supervisor
