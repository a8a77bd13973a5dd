// Of an export's limits on requests, what must fit together.
#ifndef FSD_SERVER_CONTROL_QOS_VALIDATION_H_
#define FSD_SERVER_CONTROL_QOS_VALIDATION_H_

#include "proto/fsd/v1/export.pb.h"
#include "server/control/field_checks.h"

namespace fsd::control {

void CheckQos(const v1::Qos& qos, FieldChecks& checks);

}  // namespace fsd::control

#endif  // FSD_SERVER_CONTROL_QOS_VALIDATION_H_
