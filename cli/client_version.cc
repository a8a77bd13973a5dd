#include "cli/client_version.h"

namespace fsd::cli {

std::string ClientVersion() { return FSD_VERSION; }

}  // namespace fsd::cli
