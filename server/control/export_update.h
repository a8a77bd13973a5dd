// ExportUpdate: one UpdateExport call on its way from the request to a specification.
//
// The supervisor asks it for the change on its own thread, when it knows the record that is
// changed: so the etag, and what the mask leaves as it is, are of that record and no earlier one.
#ifndef FSD_SERVER_CONTROL_EXPORT_UPDATE_H_
#define FSD_SERVER_CONTROL_EXPORT_UPDATE_H_

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "grpcpp/support/status.h"
#include "proto/fsd/internal/export_spec.pb.h"
#include "proto/fsd/v1/export_service.pb.h"
#include "server/control/field_violation.h"
#include "server/supervisor/export_update.h"

namespace fsd::control {

class ExportUpdate {
 public:
  // First. What is wrong with the request, whatever the record; nothing else may follow then.
  FieldViolations Read(const v1::UpdateExportRequest& request);

  const std::string& id() const { return id_; }
  // What is wanted in place of the record's; an error is Failed's to describe. Looks at no file.
  absl::StatusOr<internal::ExportSpec> Change(const internal::ExportRecord& record);
  // The call's answer, with every bad field if Change has found such. After Change.
  grpc::Status Failed(const absl::Status& status) const;

 private:
  std::string id_;
  std::string etag_;
  std::vector<std::string> fields_;
  v1::Export wanted_;
  FieldViolations violations_;
};

v1::UpdateExportResponse ToUpdateResponse(const supervisor::UpdatedExport& updated);

}  // namespace fsd::control

#endif  // FSD_SERVER_CONTROL_EXPORT_UPDATE_H_
