// JSON as YAML, for people who edit it.
#ifndef FSD_CLI_YAML_TEXT_H_
#define FSD_CLI_YAML_TEXT_H_

#include <string>

namespace fsd::cli {

// The same value as a YAML document in block style, its keys in the same order; without "---".
// Strings that a YAML reader could take for something else are quoted. `json` is valid JSON.
std::string YamlDocument(const std::string& json);

}  // namespace fsd::cli

#endif  // FSD_CLI_YAML_TEXT_H_
