// fsctl export wait
#ifndef FSD_CLI_WAIT_COMMAND_H_
#define FSD_CLI_WAIT_COMMAND_H_

#include "CLI/CLI.hpp"
#include "cli/client.h"
#include "cli/exit_code.h"

namespace fsd::cli {

// As AddCreateCommand.
void AddWaitCommand(CLI::App& exports, const Options& options, ExitCode& result);

}  // namespace fsd::cli

#endif  // FSD_CLI_WAIT_COMMAND_H_
