#include "server/control/duration_check.h"

#include "absl/strings/str_cat.h"

namespace fsd::control {

std::optional<std::string> DurationProblem(const google::protobuf::Duration& duration,
                                           int64_t max_seconds) {
  constexpr int32_t kNanosPerSecond = 1'000'000'000;
  const int64_t seconds = duration.seconds();
  const int32_t nanos = duration.nanos();
  if (seconds < 0 || (seconds == 0 && nanos < 0)) return "cannot be negative";
  if (nanos < 0 || nanos >= kNanosPerSecond) {
    return absl::StrCat(nanos, " is no number of nanoseconds beside ", seconds,
                        " seconds; 0 to 999999999 are");
  }
  if (seconds > max_seconds || (seconds == max_seconds && nanos > 0)) {
    return absl::StrCat("at most ", max_seconds, " seconds");
  }
  return std::nullopt;
}

}  // namespace fsd::control
