// fsctl export get|list, and the other commands of export, each in a file of its own
#ifndef FSD_CLI_EXPORT_COMMANDS_H_
#define FSD_CLI_EXPORT_COMMANDS_H_

#include "CLI/CLI.hpp"
#include "cli/client.h"
#include "cli/exit_code.h"

namespace fsd::cli {

// Adds the commands to `app`. While `app` parses, the one that was asked for runs with `options`
// and leaves its result in `result`. Both outlive the parsing.
void AddExportCommands(CLI::App& app, const Options& options, ExitCode& result);

}  // namespace fsd::cli

#endif  // FSD_CLI_EXPORT_COMMANDS_H_
