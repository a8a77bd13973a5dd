// What requests must look like, whatever the host's state: every field that is wrong, at once.
//
// Pure functions of the request; what depends on the configuration or the host (is the source
// allowed, does it exist) is the supervisor's to judge. An empty result means that the request can
// be translated and handed over.
#ifndef FSD_SERVER_CONTROL_EXPORT_VALIDATION_H_
#define FSD_SERVER_CONTROL_EXPORT_VALIDATION_H_

#include <string>
#include <vector>

#include "google/protobuf/message.h"
#include "proto/fsd/v1/export_service.pb.h"
#include "server/control/field_violation.h"

namespace fsd::control {

FieldViolations ValidateCreate(const v1::CreateExportRequest& request);
FieldViolations ValidateGet(const v1::GetExportRequest& request);
// All but the filter, the order and the page token, which export_page.h reads.
FieldViolations ValidateList(const v1::ListExportsRequest& request);
// `fields`: what the update mask stands for, see update_mask.h. The values are ValidateExport's,
// once they stand in the export that there is.
FieldViolations ValidateUpdate(const v1::UpdateExportRequest& request,
                               std::vector<std::string>& fields);
// A whole export; fields are named as in a request, "export.tag".
FieldViolations ValidateExport(const v1::Export& resource);
FieldViolations ValidateDelete(const v1::DeleteExportRequest& request);
FieldViolations ValidateDrain(const v1::DrainExportRequest& request);
// A request that has a name, and at most an etag and `force` besides.
FieldViolations ValidateNamed(const google::protobuf::Message& request, const std::string& name);
FieldViolations ValidateListInflight(const v1::ListInflightRequestsRequest& request);
// All but the filter and the token, which watch_hub.h reads.
FieldViolations ValidateWatch(const v1::WatchExportsRequest& request);

}  // namespace fsd::control

#endif  // FSD_SERVER_CONTROL_EXPORT_VALIDATION_H_
