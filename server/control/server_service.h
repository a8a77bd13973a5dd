// ServerService: the API's calls on the server itself.
#ifndef FSD_SERVER_CONTROL_SERVER_SERVICE_H_
#define FSD_SERVER_CONTROL_SERVER_SERVICE_H_

#include <memory>
#include <string>

#include "absl/time/time.h"
#include "proto/fsd/v1/server_service.grpc.pb.h"
#include "server/control/host_check_calls.h"
#include "server/supervisor/supervisor.h"

namespace fsd::control {

class ServerService final : public v1::ServerService::CallbackService {
 public:
  // `supervisor` outlives the service and every call. Counts its start from now.
  ServerService(supervisor::Supervisor& supervisor, const supervisor::Config& config,
                const std::string& version);

  grpc::ServerUnaryReactor* GetServerInfo(grpc::CallbackServerContext* context,
                                          const v1::GetServerInfoRequest* request,
                                          v1::ServerInfo* response) override;
  grpc::ServerUnaryReactor* SetLogLevel(grpc::CallbackServerContext* context,
                                        const v1::SetLogLevelRequest* request,
                                        v1::SetLogLevelResponse* response) override;
  grpc::ServerUnaryReactor* SetSlowRequestThreshold(
      grpc::CallbackServerContext* context, const v1::SetSlowRequestThresholdRequest* request,
      v1::SetSlowRequestThresholdResponse* response) override;
  grpc::ServerUnaryReactor* CheckHost(grpc::CallbackServerContext* context,
                                      const v1::CheckHostRequest* request,
                                      v1::CheckHostResponse* response) override;

 private:
  supervisor::Supervisor& supervisor_;
  v1::ServerInfo unchanging_;  // all but the counts
  const std::shared_ptr<HostCheckCalls> host_checks_;
};

}  // namespace fsd::control

#endif  // FSD_SERVER_CONTROL_SERVER_SERVICE_H_
