// ApiListeners: the places where the API is served, each with a gate of its own before it.
//
// Unix sockets are accepted from here, so that each connection's peer is known and a service
// manager's sockets can be taken; one server stands behind all of a role. A TCP listener is a
// server with mutual TLS.
#ifndef FSD_SERVER_ACCESS_API_LISTENERS_H_
#define FSD_SERVER_ACCESS_API_LISTENERS_H_

#include <chrono>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "grpcpp/channel.h"
#include "grpcpp/server.h"
#include "server/access/api_socket.h"
#include "server/access/audit.h"
#include "server/access/gate.h"
#include "server/access/passed_socket.h"
#include "server/access/unix_acceptor.h"
#include "server/access/unix_peers.h"
#include "server/supervisor/listener.h"
#include "server/telemetry/call_counters.h"

namespace fsd::access {

// Sends what gRPC has to tell of connections to this process's log. Once, before gRPC is used.
void TakeGrpcLog();

class ApiListeners {
 public:
  // Serves `services`, which leads to the API in this process, wherever `listeners` says; in place
  // of a unix socket with the address of one that is passed, that one is used. A passed socket of
  // another address serves the role that its name says, "admin" or "reader". Every call that has
  // ended is counted in `calls`.
  //
  // ALREADY_EXISTS: somebody listens there. INVALID_ARGUMENT: a passed socket with no role. Fails
  // also for a TLS file that cannot be used.
  static absl::StatusOr<std::unique_ptr<ApiListeners>> Open(
      const std::vector<supervisor::Listener>& listeners, std::vector<PassedSocket> passed,
      std::shared_ptr<grpc::Channel> services, std::shared_ptr<telemetry::CallCounters> calls);
  ~ApiListeners();

  // Takes no new call, gives those that run until `deadline`, and cancels the rest. Blocks until
  // none is left. Once.
  void Shutdown(std::chrono::system_clock::time_point deadline);

 private:
  struct GatedServer {
    // The gate is what the server calls: it goes last.
    std::unique_ptr<Gate> gate;
    std::unique_ptr<grpc::Server> server;
  };

  ApiListeners(std::shared_ptr<grpc::Channel> services,
               std::shared_ptr<telemetry::CallCounters> calls)
      : services_(std::move(services)), calls_(std::move(calls)) {}

  absl::Status OpenUnix(const std::vector<supervisor::Listener>& listeners,
                        std::vector<PassedSocket> passed);
  absl::Status OpenTcp(const supervisor::Listener& listener);
  // The server of all sockets of the role.
  absl::StatusOr<grpc::Server*> UnixServer(supervisor::Role role);

  const std::shared_ptr<grpc::Channel> services_;
  const std::shared_ptr<telemetry::CallCounters> calls_;
  Audit audit_;
  UnixPeers peers_;
  std::vector<GatedServer> tcp_;
  GatedServer administrators_;
  GatedServer readers_;
  std::unique_ptr<UnixAcceptor> acceptor_;
};

}  // namespace fsd::access

#endif  // FSD_SERVER_ACCESS_API_LISTENERS_H_
