// Options that say how long fsctl may take or wait.
#ifndef FSD_CLI_TIMEOUT_OPTION_H_
#define FSD_CLI_TIMEOUT_OPTION_H_

#include <chrono>
#include <functional>
#include <string>

#include "CLI/CLI.hpp"
#include "google/protobuf/duration.pb.h"

namespace fsd::cli {

// As ParseTimeout; a CLI::ValidationError of `option` if `text` is none.
std::chrono::nanoseconds TimeoutOf(const std::string& option, const std::string& text);

// Adds an option whose value is given to `set`.
CLI::Option& AddTimeoutOption(CLI::App& command, const std::string& option, const std::string& help,
                              std::function<void(std::chrono::nanoseconds)> set);

// As the API takes it.
google::protobuf::Duration ToProto(std::chrono::nanoseconds duration);

}  // namespace fsd::cli

#endif  // FSD_CLI_TIMEOUT_OPTION_H_
