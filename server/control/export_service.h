// ExportService: the API's calls on exports, each translated into calls on the supervisor.
//
// Checks, translates, hands over; keeps no state. No call holds a thread while it waits.
#ifndef FSD_SERVER_CONTROL_EXPORT_SERVICE_H_
#define FSD_SERVER_CONTROL_EXPORT_SERVICE_H_

#include "proto/fsd/v1/export_service.grpc.pb.h"
#include "server/supervisor/supervisor.h"

namespace fsd::control {

class ExportService final : public v1::ExportService::CallbackService {
 public:
  // `supervisor` outlives the service and every call.
  explicit ExportService(supervisor::Supervisor& supervisor) : supervisor_(supervisor) {}

  grpc::ServerUnaryReactor* CreateExport(grpc::CallbackServerContext* context,
                                         const v1::CreateExportRequest* request,
                                         v1::Export* response) override;
  grpc::ServerUnaryReactor* GetExport(grpc::CallbackServerContext* context,
                                      const v1::GetExportRequest* request,
                                      v1::Export* response) override;
  grpc::ServerUnaryReactor* ListExports(grpc::CallbackServerContext* context,
                                        const v1::ListExportsRequest* request,
                                        v1::ListExportsResponse* response) override;
  grpc::ServerUnaryReactor* DeleteExport(grpc::CallbackServerContext* context,
                                         const v1::DeleteExportRequest* request,
                                         google::protobuf::Empty* response) override;

 private:
  supervisor::Supervisor& supervisor_;
};

}  // namespace fsd::control

#endif  // FSD_SERVER_CONTROL_EXPORT_SERVICE_H_
