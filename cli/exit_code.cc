#include "cli/exit_code.h"

namespace fsd::cli {

ExitCode ToExitCode(grpc::StatusCode code) {
  switch (code) {
    case grpc::StatusCode::OK:
      return ExitCode::kOk;
    case grpc::StatusCode::NOT_FOUND:
      return ExitCode::kNotFound;
    case grpc::StatusCode::ALREADY_EXISTS:
    case grpc::StatusCode::ABORTED:
      return ExitCode::kConflict;
    case grpc::StatusCode::INVALID_ARGUMENT:
    case grpc::StatusCode::OUT_OF_RANGE:
      return ExitCode::kInvalid;
    case grpc::StatusCode::PERMISSION_DENIED:
    case grpc::StatusCode::UNAUTHENTICATED:
      return ExitCode::kPermission;
    case grpc::StatusCode::UNAVAILABLE:
      return ExitCode::kUnavailable;
    case grpc::StatusCode::DEADLINE_EXCEEDED:
      return ExitCode::kTimedOut;
    case grpc::StatusCode::UNIMPLEMENTED:
      return ExitCode::kNotServed;
    case grpc::StatusCode::FAILED_PRECONDITION:
      return ExitCode::kPrecondition;
    default:
      return ExitCode::kFailure;
  }
}

}  // namespace fsd::cli
