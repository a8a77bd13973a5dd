// ExportHealth: each export as a service of grpc.health.v1, "exports/<id>".
//
// SERVING while a front-end can use the export; NOT_SERVING while it is being made, recovered or
// deleted, drains, has failed, or is gone. Fed by the supervisor's observer. Any thread.
#ifndef FSD_SERVER_CONTROL_EXPORT_HEALTH_H_
#define FSD_SERVER_CONTROL_EXPORT_HEALTH_H_

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "grpcpp/health_check_service_interface.h"
#include "server/supervisor/export_view.h"

namespace fsd::control {

class ExportHealth {
 public:
  // Reports to `service` from now on; to none when it is null, as before the first call.
  void Attach(grpc::HealthCheckServiceInterface* service);

  void Update(const supervisor::ExportView& view);

 private:
  absl::Mutex mutex_;
  grpc::HealthCheckServiceInterface* service_ ABSL_GUARDED_BY(mutex_) = nullptr;
};

}  // namespace fsd::control

#endif  // FSD_SERVER_CONTROL_EXPORT_HEALTH_H_
