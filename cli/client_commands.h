// fsctl version|completion, and __complete, which completion's scripts ask
#ifndef FSD_CLI_CLIENT_COMMANDS_H_
#define FSD_CLI_CLIENT_COMMANDS_H_

#include <string>
#include <vector>

#include "CLI/CLI.hpp"
#include "cli/client.h"
#include "cli/exit_code.h"

namespace fsd::cli {

// As AddExportCommands.
void AddClientCommands(CLI::App& app, const Options& options, ExitCode& result);

// Prints what the last of `words` may become, one a line. `app` has all commands, and has not been
// parsed.
void PrintCompletions(const CLI::App& app, const std::vector<std::string>& words, Options options);

}  // namespace fsd::cli

#endif  // FSD_CLI_CLIENT_COMMANDS_H_
