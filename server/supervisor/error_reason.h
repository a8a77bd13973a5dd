// ErrorReason: the machine-readable reason that a failed control-plane call carries.
//
// Travels inside the Status as a payload; control turns it into google.rpc.ErrorInfo{domain "fsd"}.
#ifndef FSD_SERVER_SUPERVISOR_ERROR_REASON_H_
#define FSD_SERVER_SUPERVISOR_ERROR_REASON_H_

#include <optional>
#include <string>
#include <string_view>

#include "absl/status/status.h"

namespace fsd::supervisor {

// Values and names are those of fsd.v1.ErrorReason.
enum class ErrorReason {
  kSourceNotFound,
  kSourceNotADirectory,
  kSourceNotAllowed,
  kSocketInUse,
  kSocketPathTooLong,
  kSocketNotAllowed,
  kSandboxUnavailable,
  kExportInUse,
  kExportExists,
  kExportNotFound,
  kExportBusy,
  kWorkerFailed,
  kStateUnavailable,
  kShuttingDown,
  kSandboxNotAllowed,
  kCapabilityNotAllowed,
  kSocketOwnerNotAllowed,
  kFieldNotLive,
  kDrainTimedOut,
  kOperationEnded,
  kEtagMismatch,
};

// "SOURCE_NOT_FOUND" and so on.
std::string_view ErrorReasonName(ErrorReason reason);

// A Status with a reason; `message` names what was wrong and what to do.
absl::Status ReasonedError(absl::StatusCode code, ErrorReason reason, std::string_view message);

// The name of the status's reason, if it has one.
std::optional<std::string> ReasonOf(const absl::Status& status);

}  // namespace fsd::supervisor

#endif  // FSD_SERVER_SUPERVISOR_ERROR_REASON_H_
