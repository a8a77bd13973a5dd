// CheckServedFields: no field of a request is ignored.
//
// The API's messages have their final shape from the start, and a server serves a growing part of
// it. Here is what keeps that honest: by reflection, every field of a request that is set to
// anything but its default must be one that the server serves, or the request is refused with the
// field's name. The same goes for fields, and values of enums, that this server's version of the
// API does not know at all.
#ifndef FSD_SERVER_CONTROL_SERVED_FIELDS_H_
#define FSD_SERVER_CONTROL_SERVED_FIELDS_H_

#include <span>
#include <string>

#include "google/protobuf/message.h"
#include "server/control/field_violation.h"

namespace fsd::control {

// Paths from the request, as "export.cache.policy".
struct FieldRules {
  // Fields that clients may set, with everything in them.
  std::span<const std::string> served;
  // Fields that only the server sets; what a client puts there is ignored with everything in it.
  std::span<const std::string> output_only;
};

// Appends a violation (FIELD_NOT_SERVED) for each field that is set and in neither list, and for
// each served one with an unknown enum value. A message that is set and empty is as good as unset;
// one of google.protobuf's (a Duration of 0) is not.
void CheckServedFields(const google::protobuf::Message& request, const FieldRules& rules,
                       FieldViolations& violations);

}  // namespace fsd::control

#endif  // FSD_SERVER_CONTROL_SERVED_FIELDS_H_
