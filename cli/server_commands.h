// fsctl server info|log-level|check
#ifndef FSD_CLI_SERVER_COMMANDS_H_
#define FSD_CLI_SERVER_COMMANDS_H_

#include "CLI/CLI.hpp"
#include "cli/client.h"
#include "cli/exit_code.h"

namespace fsd::cli {

// As AddExportCommands.
void AddServerCommands(CLI::App& app, const Options& options, ExitCode& result);

}  // namespace fsd::cli

#endif  // FSD_CLI_SERVER_COMMANDS_H_
