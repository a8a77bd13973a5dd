// ExitCode: what fsctl's exit status says. Stable: scripts depend on it.
#ifndef FSD_CLI_EXIT_CODE_H_
#define FSD_CLI_EXIT_CODE_H_

#include "grpcpp/support/status_code_enum.h"

namespace fsd::cli {

enum class ExitCode : int {
  kOk = 0,
  kFailure = 1,  // any that is not below
  kUsage = 2,
  kNotFound = 3,
  kConflict = 4,  // it exists and is different, or has changed, or is busy
  kInvalid = 5,
  kPermission = 6,
  kUnavailable = 7,
  kPrecondition = 8,
  kTimedOut = 9,
  kNotServed = 10,  // the server has no such call
};

// For --help.
inline constexpr char kExitCodeHelp[] =
    "Exit status: 0 ok, 1 failure, 2 wrong usage, 3 not found, 4 already exists or in conflict, "
    "5 invalid argument,\n6 permission denied, 7 server unavailable, 8 failed precondition (in "
    "use; server check: the host lacks\nsomething), 9 timed out, 10 not served by this server.";

ExitCode ToExitCode(grpc::StatusCode code);

}  // namespace fsd::cli

#endif  // FSD_CLI_EXIT_CODE_H_
