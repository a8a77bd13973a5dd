// What the host offers and lacks, for people.
#ifndef FSD_CLI_HOST_CHECKS_H_
#define FSD_CLI_HOST_CHECKS_H_

#include <string>

#include "cli/output.h"
#include "proto/fsd/v1/server_service.pb.h"

namespace fsd::cli {

// A table of the checks, each that is not OK followed by what it costs and what to do, and a line
// that sums up.
std::string HostChecks(const v1::CheckHostResponse& response, const Style& style);

}  // namespace fsd::cli

#endif  // FSD_CLI_HOST_CHECKS_H_
