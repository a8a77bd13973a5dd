#include "server/control/export_update.h"

#include "server/control/export_name.h"
#include "server/control/export_translation.h"
#include "server/control/export_validation.h"
#include "server/control/status_details.h"
#include "server/control/update_mask.h"
#include "server/supervisor/export_difference.h"
#include "server/supervisor/export_view.h"

namespace fsd::control {

FieldViolations ExportUpdate::Read(const v1::UpdateExportRequest& request) {
  FieldViolations violations = ValidateUpdate(request, fields_);
  if (!violations.empty()) return violations;
  id_ = *ParseExportName(request.export_().name());
  etag_ = request.etag();
  wanted_ = request.export_();
  return {};
}

absl::StatusOr<internal::ExportSpec> ExportUpdate::Change(const internal::ExportRecord& record) {
  if (!etag_.empty() && Etag(record) != etag_) return EtagMismatch();
  supervisor::ExportView view;
  view.record = record;
  v1::Export changed = ToExport(view);
  CopyFields(fields_, wanted_, changed);
  violations_ = ValidateExport(changed);
  if (!violations_.empty()) return absl::InvalidArgumentError("fields are invalid");
  return ToSpec(id_, changed);
}

grpc::Status ExportUpdate::Failed(const absl::Status& status) const {
  return violations_.empty() ? FailedCall(status, id_) : InvalidFields(violations_);
}

v1::UpdateExportResponse ToUpdateResponse(const supervisor::UpdatedExport& updated) {
  v1::UpdateExportResponse response;
  *response.mutable_export_() = ToExport(updated.view);
  for (const supervisor::ChangedField& field : updated.changed) {
    v1::FieldEffect& effect = *response.add_effects();
    effect.set_field(std::string(field.name));
    effect.set_effect(field.effect == supervisor::ChangeEffect::kLive
                          ? v1::FieldEffect::LIVE
                          : v1::FieldEffect::NEXT_CONNECTION);
  }
  return response;
}

}  // namespace fsd::control
