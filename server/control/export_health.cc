#include "server/control/export_health.h"

#include "server/control/export_name.h"

namespace fsd::control {
namespace {

bool IsServing(supervisor::ExportState state) {
  switch (state) {
    case supervisor::ExportState::kListening:
    case supervisor::ExportState::kConnected:
    case supervisor::ExportState::kMounted:
      return true;
    case supervisor::ExportState::kCreating:
    case supervisor::ExportState::kRecovering:
    case supervisor::ExportState::kFailed:
    case supervisor::ExportState::kDeleting:
    case supervisor::ExportState::kDraining:
      return false;
  }
  return false;
}

}  // namespace

void ExportHealth::Attach(grpc::HealthCheckServiceInterface* service) {
  absl::MutexLock lock(&mutex_);
  service_ = service;
}

void ExportHealth::Update(const supervisor::ExportView& view) {
  absl::MutexLock lock(&mutex_);
  if (service_ == nullptr) return;
  service_->SetServingStatus(ExportName(view.record.spec().id()), IsServing(view.state));
}

}  // namespace fsd::control
