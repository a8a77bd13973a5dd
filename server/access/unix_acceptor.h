// UnixAcceptor: a thread that accepts connections on unix sockets and hands them to gRPC servers.
#ifndef FSD_SERVER_ACCESS_UNIX_ACCEPTOR_H_
#define FSD_SERVER_ACCESS_UNIX_ACCEPTOR_H_

#include <memory>
#include <thread>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "grpcpp/server.h"
#include "server/access/api_socket.h"
#include "server/access/unix_peers.h"
#include "server/os/event_fd.h"

namespace fsd::access {

class UnixAcceptor {
 public:
  struct Entrance {
    ApiSocket socket;
    grpc::Server* server;  // outlives the acceptor
  };

  // `peers`, which outlives the acceptor, gets to know each connection before its server does.
  static absl::StatusOr<std::unique_ptr<UnixAcceptor>> Start(std::vector<Entrance> entrances,
                                                             UnixPeers& peers);
  // Accepts no more; the sockets are closed.
  ~UnixAcceptor();

 private:
  UnixAcceptor(std::vector<Entrance> entrances, UnixPeers& peers, os::EventFd stop);

  void Run();
  // False if the process has no descriptor left for it.
  bool Accept(Entrance& entrance);

  std::vector<Entrance> entrances_;
  UnixPeers& peers_;
  os::EventFd stop_;
  std::thread thread_;
};

}  // namespace fsd::access

#endif  // FSD_SERVER_ACCESS_UNIX_ACCEPTOR_H_
