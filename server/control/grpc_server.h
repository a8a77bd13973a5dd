// GrpcServer: the control API behind its gates, with the standard health and reflection services.
//
// Health: "" is SERVING until Shutdown, "exports/<id>" as export_health.h says.
#ifndef FSD_SERVER_CONTROL_GRPC_SERVER_H_
#define FSD_SERVER_CONTROL_GRPC_SERVER_H_

#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "server/access/passed_socket.h"
#include "server/supervisor/supervisor.h"
#include "server/telemetry/call_counters.h"

namespace fsd::control {

class GrpcServer {
 public:
  // Listens as config.listen and `passed` say (see access/api_listeners.h). Takes the supervisor's
  // observer, so call it before Run; calls that come before Run wait for it. `supervisor` outlives
  // the server.
  static absl::StatusOr<std::unique_ptr<GrpcServer>> Start(
      const supervisor::Config& config, const std::string& version,
      supervisor::Supervisor& supervisor, std::vector<access::PassedSocket> passed = {});
  ~GrpcServer();

  // Every call that has ended.
  std::shared_ptr<const telemetry::CallCounters> calls() const;

  // Takes no new call, gives those that run `grace` to end, and cancels the rest. Blocks until none
  // is left. Any thread; once.
  void Shutdown(absl::Duration grace);

 private:
  class Services;
  explicit GrpcServer(std::unique_ptr<Services> services);

  std::unique_ptr<Services> services_;
};

}  // namespace fsd::control

#endif  // FSD_SERVER_CONTROL_GRPC_SERVER_H_
