#include "cli/timeout_option.h"

#include <cstdint>
#include <utility>

#include "cli/duration_syntax.h"
#include "cli/printable.h"

namespace fsd::cli {

std::chrono::nanoseconds TimeoutOf(const std::string& option, const std::string& text) {
  const auto timeout = ParseTimeout(text);
  if (!timeout.has_value()) {
    throw CLI::ValidationError(
        option, "'" + Printable(text) + "' is no duration such as 30, 250ms, 1.5s, 2m or 1h");
  }
  return *timeout;
}

CLI::Option& AddTimeoutOption(CLI::App& command, const std::string& option, const std::string& help,
                              std::function<void(std::chrono::nanoseconds)> set) {
  return *command
              .add_option_function<std::string>(
                  option,
                  [option, set = std::move(set)](const std::string& text) {
                    set(TimeoutOf(option, text));
                  },
                  help)
              ->type_name("DURATION");
}

google::protobuf::Duration ToProto(std::chrono::nanoseconds duration) {
  google::protobuf::Duration proto;
  const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(duration);
  proto.set_seconds(seconds.count());
  proto.set_nanos(static_cast<int32_t>((duration - seconds).count()));
  return proto;
}

}  // namespace fsd::cli
