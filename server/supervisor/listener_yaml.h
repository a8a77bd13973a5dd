// `listen` of the configuration file: an address, or a list of entries with an address each.
#ifndef FSD_SERVER_SUPERVISOR_LISTENER_YAML_H_
#define FSD_SERVER_SUPERVISOR_LISTENER_YAML_H_

#include <string_view>
#include <vector>

#include "server/supervisor/config_problems.h"
#include "server/supervisor/listener.h"
#include "yaml-cpp/yaml.h"

namespace fsd::supervisor {

// Reads `node` into `listeners`, in place of what is there. Adds all that is wrong to `problems`;
// `file` stands before the lines that it names.
void ReadListeners(const YAML::Node& node, std::string_view file, std::vector<Listener>& listeners,
                   ConfigProblems& problems);

}  // namespace fsd::supervisor

#endif  // FSD_SERVER_SUPERVISOR_LISTENER_YAML_H_
