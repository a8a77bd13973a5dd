// What Export.cache must look like, together with what it depends on; see export.proto.
#ifndef FSD_SERVER_CONTROL_CACHE_VALIDATION_H_
#define FSD_SERVER_CONTROL_CACHE_VALIDATION_H_

#include "proto/fsd/v1/export.pb.h"
#include "server/control/field_checks.h"

namespace fsd::control {

void CheckCache(const v1::Export& resource, FieldChecks& checks);

}  // namespace fsd::control

#endif  // FSD_SERVER_CONTROL_CACHE_VALIDATION_H_
