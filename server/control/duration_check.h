// What is wrong with a google.protobuf.Duration of a request, if anything.
#ifndef FSD_SERVER_CONTROL_DURATION_CHECK_H_
#define FSD_SERVER_CONTROL_DURATION_CHECK_H_

#include <cstdint>
#include <optional>
#include <string>

#include "google/protobuf/duration.pb.h"

namespace fsd::control {

// Absent if `duration` is well formed, not negative and at most `max_seconds`.
std::optional<std::string> DurationProblem(const google::protobuf::Duration& duration,
                                           int64_t max_seconds);

}  // namespace fsd::control

#endif  // FSD_SERVER_CONTROL_DURATION_CHECK_H_
