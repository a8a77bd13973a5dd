#include "server/control/grpc_server.h"

#include <utility>
#include <vector>

#include "absl/time/clock.h"
#include "grpcpp/ext/proto_server_reflection_plugin.h"
#include "grpcpp/grpcpp.h"
#include "grpcpp/health_check_service_interface.h"
#include "server/access/api_listeners.h"
#include "server/control/export_health.h"
#include "server/control/export_service.h"
#include "server/control/server_service.h"
#include "server/control/watch_hub.h"
#include "server/errors/status_macros.h"

namespace fsd::control {
class GrpcServer::Services {
 public:
  Services(const supervisor::Config& config, const std::string& version,
           supervisor::Supervisor& supervisor)
      : exports_(supervisor, watchers_), server_(supervisor, config, version) {}

  ~Services() { Shutdown(absl::ZeroDuration()); }

  absl::Status Listen(const supervisor::Config& config, std::vector<access::PassedSocket> passed) {
    // Both apply to every server built afterwards, but for those before the gates.
    grpc::EnableDefaultHealthCheckService(true);
    grpc::reflection::InitProtoReflectionServerBuilderPlugin();
    grpc::ServerBuilder builder;
    builder.RegisterService(&exports_);
    builder.RegisterService(&server_);
    grpc_ = builder.BuildAndStart();
    if (grpc_ == nullptr) return absl::InternalError("gRPC starts no server");
    FSD_ASSIGN_OR_RETURN(listeners_,
                         access::ApiListeners::Open(config.listen, std::move(passed),
                                                    grpc_->InProcessChannel({}), calls_));
    return absl::OkStatus();
  }

  // The observer may outlive this object, so it shares what it needs.
  void Observe(supervisor::Supervisor& supervisor) {
    health_->Attach(grpc_->GetHealthCheckService());
    supervisor.SetObserver(
        [health = health_, watchers = watchers_](const supervisor::ExportView& view) {
          health->Update(view);
          watchers->Update(view);
        });
    supervisor.ListExports([health = health_, watchers = watchers_](
                               const absl::StatusOr<std::vector<supervisor::ExportView>>& views) {
      if (!views.ok()) return;
      for (const supervisor::ExportView& view : *views) health->Update(view);
      watchers->Start(*views);
    });
  }

  void Shutdown(absl::Duration grace) {
    if (grpc_ == nullptr) return;
    health_->Attach(nullptr);
    watchers_->Close();
    grpc_->GetHealthCheckService()->Shutdown();
    const auto deadline = absl::ToChronoTime(absl::Now() + grace);
    if (listeners_ != nullptr) listeners_->Shutdown(deadline);
    grpc_->Shutdown(deadline);
    listeners_.reset();
    grpc_.reset();
  }

  std::shared_ptr<const telemetry::CallCounters> calls() const { return calls_; }

 private:
  const std::shared_ptr<telemetry::CallCounters> calls_ =
      std::make_shared<telemetry::CallCounters>();
  const std::shared_ptr<WatchHub> watchers_ = WatchHub::Create({});
  ExportService exports_;
  ServerService server_;
  std::shared_ptr<ExportHealth> health_ = std::make_shared<ExportHealth>();
  // Nobody reaches it but through the listeners' gates.
  std::unique_ptr<grpc::Server> grpc_;
  std::unique_ptr<access::ApiListeners> listeners_;
};

GrpcServer::GrpcServer(std::unique_ptr<Services> services) : services_(std::move(services)) {}
GrpcServer::~GrpcServer() = default;

std::shared_ptr<const telemetry::CallCounters> GrpcServer::calls() const {
  return services_->calls();
}

absl::StatusOr<std::unique_ptr<GrpcServer>> GrpcServer::Start(
    const supervisor::Config& config, const std::string& version,
    supervisor::Supervisor& supervisor, std::vector<access::PassedSocket> passed) {
  auto services = std::make_unique<Services>(config, version, supervisor);
  FSD_RETURN_IF_ERROR(services->Listen(config, std::move(passed)));
  services->Observe(supervisor);
  return std::unique_ptr<GrpcServer>(new GrpcServer(std::move(services)));
}

void GrpcServer::Shutdown(absl::Duration grace) { services_->Shutdown(grace); }

}  // namespace fsd::control
