// What requests must look like, whatever the host's state: every field that is wrong, at once.
//
// Pure functions of the request; what depends on the configuration or the host (is the source
// allowed, does it exist) is the supervisor's to judge. An empty result means that the request can
// be translated and handed over.
#ifndef FSD_SERVER_CONTROL_EXPORT_VALIDATION_H_
#define FSD_SERVER_CONTROL_EXPORT_VALIDATION_H_

#include <span>
#include <string>

#include "proto/fsd/v1/export_service.pb.h"
#include "server/control/field_violation.h"

namespace fsd::control {

// Paths of the fields of Export that clients may set, as "cache.policy".
std::span<const std::string> ServedExportFields();

FieldViolations ValidateCreate(const v1::CreateExportRequest& request);
FieldViolations ValidateGet(const v1::GetExportRequest& request);
// All but the page token, which export_page.h reads.
FieldViolations ValidateList(const v1::ListExportsRequest& request);
FieldViolations ValidateDelete(const v1::DeleteExportRequest& request);

}  // namespace fsd::control

#endif  // FSD_SERVER_CONTROL_EXPORT_VALIDATION_H_
