// Printable: foreign text for a terminal.
#ifndef FSD_CLI_PRINTABLE_H_
#define FSD_CLI_PRINTABLE_H_

#include <string>
#include <string_view>

namespace fsd::cli {

// `text` with control characters as \xNN, so that it cannot act on a terminal or forge a line.
std::string Printable(std::string_view text);

}  // namespace fsd::cli

#endif  // FSD_CLI_PRINTABLE_H_
