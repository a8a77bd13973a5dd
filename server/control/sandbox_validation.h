// What Export.sandbox must look like, and what of the other fields depends on it; see export.proto.
#ifndef FSD_SERVER_CONTROL_SANDBOX_VALIDATION_H_
#define FSD_SERVER_CONTROL_SANDBOX_VALIDATION_H_

#include "proto/fsd/v1/export.pb.h"
#include "server/control/field_checks.h"

namespace fsd::control {

void CheckSandbox(const v1::Export& resource, FieldChecks& checks);

}  // namespace fsd::control

#endif  // FSD_SERVER_CONTROL_SANDBOX_VALIDATION_H_
