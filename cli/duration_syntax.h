// Durations as fsctl takes and prints them: "250ms", "1.5s", "2m", "1h", "1d".
#ifndef FSD_CLI_DURATION_SYNTAX_H_
#define FSD_CLI_DURATION_SYNTAX_H_

#include <chrono>
#include <optional>
#include <string>
#include <string_view>

#include "google/protobuf/duration.pb.h"

namespace fsd::cli {

// Digits, perhaps with a fraction, and a unit; nothing else. Absent too if it is finer than a
// nanosecond or longer than a million million units: what a server takes is much less.
std::optional<google::protobuf::Duration> ParseDuration(std::string_view text);

// As ParseDuration, or a bare number of seconds: how long fsctl itself may take.
std::optional<std::chrono::nanoseconds> ParseTimeout(std::string_view text);

// In the largest unit of which it is a whole number, else in seconds. `duration` is not negative.
std::string DurationText(const google::protobuf::Duration& duration);

}  // namespace fsd::cli

#endif  // FSD_CLI_DURATION_SYNTAX_H_
