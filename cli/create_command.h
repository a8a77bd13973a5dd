// fsctl export create
#ifndef FSD_CLI_CREATE_COMMAND_H_
#define FSD_CLI_CREATE_COMMAND_H_

#include "CLI/CLI.hpp"
#include "cli/client.h"
#include "cli/exit_code.h"

namespace fsd::cli {

// Adds the command to `exports`; otherwise as AddExportCommands.
void AddCreateCommand(CLI::App& exports, const Options& options, ExitCode& result);

}  // namespace fsd::cli

#endif  // FSD_CLI_CREATE_COMMAND_H_
