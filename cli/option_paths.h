// Which field of an export each option of update sets.
#ifndef FSD_CLI_OPTION_PATHS_H_
#define FSD_CLI_OPTION_PATHS_H_

#include <string>
#include <string_view>
#include <vector>

#include "CLI/CLI.hpp"

namespace fsd::cli {

// "cache.attr_timeout" of "--attr-timeout"; empty if the option is another, or --label, each of
// which sets a part of a field.
std::string_view PathOfOption(std::string_view option);

// Of the options that were given to `command`, in its order, each once.
std::vector<std::string> GivenPaths(const CLI::App& command);

}  // namespace fsd::cli

#endif  // FSD_CLI_OPTION_PATHS_H_
