// What Export.ids must look like; see export.proto.
#ifndef FSD_SERVER_CONTROL_ID_MAPPING_VALIDATION_H_
#define FSD_SERVER_CONTROL_ID_MAPPING_VALIDATION_H_

#include "proto/fsd/v1/export.pb.h"
#include "server/control/field_checks.h"

namespace fsd::control {

void CheckIds(const v1::IdMapping& ids, FieldChecks& checks);

}  // namespace fsd::control

#endif  // FSD_SERVER_CONTROL_ID_MAPPING_VALIDATION_H_
