// ExportService: the API's calls on exports, each translated into calls on the supervisor.
//
// Checks, translates, hands over; keeps no state but its watchers'. No call holds a thread while it
// waits.
#ifndef FSD_SERVER_CONTROL_EXPORT_SERVICE_H_
#define FSD_SERVER_CONTROL_EXPORT_SERVICE_H_

#include <memory>
#include <utility>

#include "proto/fsd/v1/export_service.grpc.pb.h"
#include "server/control/watch_hub.h"
#include "server/supervisor/supervisor.h"

namespace fsd::control {

class ExportService final : public v1::ExportService::CallbackService {
 public:
  // `supervisor` outlives the service and every call. `watchers` is fed by its observer.
  ExportService(supervisor::Supervisor& supervisor, std::shared_ptr<WatchHub> watchers)
      : supervisor_(supervisor), watchers_(std::move(watchers)) {}

  grpc::ServerUnaryReactor* CreateExport(grpc::CallbackServerContext* context,
                                         const v1::CreateExportRequest* request,
                                         v1::Export* response) override;
  grpc::ServerUnaryReactor* GetExport(grpc::CallbackServerContext* context,
                                      const v1::GetExportRequest* request,
                                      v1::Export* response) override;
  grpc::ServerUnaryReactor* ListExports(grpc::CallbackServerContext* context,
                                        const v1::ListExportsRequest* request,
                                        v1::ListExportsResponse* response) override;
  grpc::ServerUnaryReactor* UpdateExport(grpc::CallbackServerContext* context,
                                         const v1::UpdateExportRequest* request,
                                         v1::UpdateExportResponse* response) override;
  grpc::ServerUnaryReactor* DeleteExport(grpc::CallbackServerContext* context,
                                         const v1::DeleteExportRequest* request,
                                         google::protobuf::Empty* response) override;
  grpc::ServerWriteReactor<v1::WatchExportsResponse>* WatchExports(
      grpc::CallbackServerContext* context, const v1::WatchExportsRequest* request) override;
  grpc::ServerUnaryReactor* DrainExport(grpc::CallbackServerContext* context,
                                        const v1::DrainExportRequest* request,
                                        v1::Export* response) override;
  grpc::ServerUnaryReactor* ResumeExport(grpc::CallbackServerContext* context,
                                         const v1::ResumeExportRequest* request,
                                         v1::Export* response) override;
  grpc::ServerUnaryReactor* DisconnectExport(grpc::CallbackServerContext* context,
                                             const v1::DisconnectExportRequest* request,
                                             v1::Export* response) override;
  grpc::ServerUnaryReactor* RestartWorker(grpc::CallbackServerContext* context,
                                          const v1::RestartWorkerRequest* request,
                                          v1::Export* response) override;

  grpc::ServerUnaryReactor* GetExportStats(grpc::CallbackServerContext* context,
                                           const v1::GetExportStatsRequest* request,
                                           v1::ExportStats* response) override;
  grpc::ServerUnaryReactor* ListInflightRequests(
      grpc::CallbackServerContext* context, const v1::ListInflightRequestsRequest* request,
      v1::ListInflightRequestsResponse* response) override;

 private:
  supervisor::Supervisor& supervisor_;
  const std::shared_ptr<WatchHub> watchers_;
};

}  // namespace fsd::control

#endif  // FSD_SERVER_CONTROL_EXPORT_SERVICE_H_
