// What may stand next on fsctl's command line, for shells.
#ifndef FSD_CLI_COMPLETION_H_
#define FSD_CLI_COMPLETION_H_

#include <functional>
#include <string>
#include <vector>

#include "CLI/CLI.hpp"

namespace fsd::cli {

// What the last of `words`, the command line after "fsctl", may become: commands, options, the
// words that an option takes, or `names`, which is asked only where the name of an export stands.
// Empty where a file may stand, or anything.
std::vector<std::string> Complete(const CLI::App& app, const std::vector<std::string>& words,
                                  const std::function<std::vector<std::string>()>& names);

// A script that makes `shell`, one of bash, zsh and fish, ask 'fsctl __complete WORDS...'.
std::string CompletionScript(const std::string& shell);

}  // namespace fsd::cli

#endif  // FSD_CLI_COMPLETION_H_
