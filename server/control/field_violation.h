// FieldViolation: one thing that is wrong with one field of a request.
//
// A request is checked to its end and answered with all of its violations (google.rpc.BadRequest).
#ifndef FSD_SERVER_CONTROL_FIELD_VIOLATION_H_
#define FSD_SERVER_CONTROL_FIELD_VIOLATION_H_

#include <string>
#include <vector>

#include "proto/fsd/v1/error_reason.pb.h"

namespace fsd::control {

struct FieldViolation {
  std::string field;  // its path from the request: "export.source.passthrough.path"
  v1::ErrorReason reason = v1::FIELD_INVALID;
  std::string description;  // what is wrong and what would be right
};

using FieldViolations = std::vector<FieldViolation>;

}  // namespace fsd::control

#endif  // FSD_SERVER_CONTROL_FIELD_VIOLATION_H_
