// Failures in words: what was wrong, and what to do about it.
#ifndef FSD_CLI_FAILURE_H_
#define FSD_CLI_FAILURE_H_

#include <string>

#include "grpcpp/support/status.h"

namespace fsd::cli {

// Lines for stderr: "fsctl: cannot create exports/web: …", one line for each bad field
// (google.rpc.BadRequest), and a hint where the reason (google.rpc.ErrorInfo) has one. `doing` is
// the failed action: "create exports/web".
std::string DescribeFailure(const grpc::Status& status, const std::string& doing);

}  // namespace fsd::cli

#endif  // FSD_CLI_FAILURE_H_
