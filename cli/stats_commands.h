// fsctl export stats|inflight|top
#ifndef FSD_CLI_STATS_COMMANDS_H_
#define FSD_CLI_STATS_COMMANDS_H_

#include "CLI/CLI.hpp"
#include "cli/client.h"
#include "cli/exit_code.h"

namespace fsd::cli {

// As AddCreateCommand.
void AddStatsCommands(CLI::App& exports, const Options& options, ExitCode& result);

}  // namespace fsd::cli

#endif  // FSD_CLI_STATS_COMMANDS_H_
