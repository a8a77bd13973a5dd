// The version of this program.
#ifndef FSD_CLI_CLIENT_VERSION_H_
#define FSD_CLI_CLIENT_VERSION_H_

#include <string>

namespace fsd::cli {

// "1.2.3".
std::string ClientVersion();

}  // namespace fsd::cli

#endif  // FSD_CLI_CLIENT_VERSION_H_
