#include "server/access/unix_acceptor.h"

#include <poll.h>

#include <cerrno>
#include <string>

#include "grpcpp/server_posix.h"
#include "server/errors/status_macros.h"
#include "server/telemetry/log.h"

namespace fsd::access {
namespace {

// How long clients wait in the backlog when there are no descriptors for them.
constexpr int kPauseMs = 100;

bool IsShortage(Errno error) {
  return error.value() == EMFILE || error.value() == ENFILE || error.value() == ENOMEM ||
         error.value() == ENOBUFS;
}

}  // namespace

absl::StatusOr<std::unique_ptr<UnixAcceptor>> UnixAcceptor::Start(std::vector<Entrance> entrances,
                                                                  UnixPeers& peers) {
  auto stop = os::EventFd::Create();
  if (!stop.ok()) return ErrnoStatus(stop.error(), "make an eventfd");
  return std::unique_ptr<UnixAcceptor>(
      new UnixAcceptor(std::move(entrances), peers, *std::move(stop)));
}

UnixAcceptor::UnixAcceptor(std::vector<Entrance> entrances, UnixPeers& peers, os::EventFd stop)
    : entrances_(std::move(entrances)),
      peers_(peers),
      stop_(std::move(stop)),
      thread_([this] { Run(); }) {}

UnixAcceptor::~UnixAcceptor() {
  stop_.Signal();
  thread_.join();
}

void UnixAcceptor::Run() {
  std::vector<pollfd> waiting = {{.fd = stop_.fd(), .events = POLLIN, .revents = 0}};
  for (const Entrance& entrance : entrances_) {
    waiting.push_back({.fd = entrance.socket.fd(), .events = POLLIN, .revents = 0});
  }
  while (true) {
    if (::poll(waiting.data(), waiting.size(), -1) < 0) continue;
    if (waiting.front().revents != 0) return;
    bool shortage = false;
    for (size_t i = 0; i < entrances_.size(); ++i) {
      if (waiting[i + 1].revents != 0 && !Accept(entrances_[i])) shortage = true;
    }
    // Those who wait would have us spin.
    if (shortage) ::poll(waiting.data(), 1, kPauseMs);
  }
}

bool UnixAcceptor::Accept(Entrance& entrance) {
  auto connection = os::AcceptUnix(entrance.socket.fd());
  if (!connection.ok()) return !IsShortage(connection.error());
  auto registered = peers_.Register(*std::move(connection));
  if (!registered.ok()) {
    FSD_LOG(kWarning, "", "a client of the api cannot be served: %s",
            std::string(ErrnoStatus(registered.error(), "take its connection").message()));
    return !IsShortage(registered.error());
  }
  grpc::AddInsecureChannelFromFd(entrance.server, registered->release());
  return true;
}

}  // namespace fsd::access
