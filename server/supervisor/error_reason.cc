#include "server/supervisor/error_reason.h"

#include "absl/strings/cord.h"
#include "server/errors/status_macros.h"

namespace fsd::supervisor {
namespace {

constexpr char kPayloadUrl[] = "type.googleapis.com/fsd.v1.ErrorReason";

}  // namespace

std::string_view ErrorReasonName(ErrorReason reason) {
  switch (reason) {
    case ErrorReason::kSourceNotFound:
      return "SOURCE_NOT_FOUND";
    case ErrorReason::kSourceNotADirectory:
      return "SOURCE_NOT_A_DIRECTORY";
    case ErrorReason::kSourceNotAllowed:
      return "SOURCE_NOT_ALLOWED";
    case ErrorReason::kSocketInUse:
      return "SOCKET_IN_USE";
    case ErrorReason::kSocketPathTooLong:
      return "SOCKET_PATH_TOO_LONG";
    case ErrorReason::kSocketNotAllowed:
      return "SOCKET_NOT_ALLOWED";
    case ErrorReason::kSandboxUnavailable:
      return "SANDBOX_UNAVAILABLE";
    case ErrorReason::kExportInUse:
      return "EXPORT_IN_USE";
    case ErrorReason::kExportExists:
      return "EXPORT_EXISTS";
    case ErrorReason::kExportNotFound:
      return "EXPORT_NOT_FOUND";
    case ErrorReason::kExportBusy:
      return "EXPORT_BUSY";
    case ErrorReason::kWorkerFailed:
      return "WORKER_FAILED";
    case ErrorReason::kStateUnavailable:
      return "STATE_UNAVAILABLE";
    case ErrorReason::kShuttingDown:
      return "SHUTTING_DOWN";
    case ErrorReason::kSandboxNotAllowed:
      return "SANDBOX_NOT_ALLOWED";
    case ErrorReason::kCapabilityNotAllowed:
      return "CAPABILITY_NOT_ALLOWED";
    case ErrorReason::kSocketOwnerNotAllowed:
      return "SOCKET_OWNER_NOT_ALLOWED";
    case ErrorReason::kFieldNotLive:
      return "FIELD_NOT_LIVE";
    case ErrorReason::kDrainTimedOut:
      return "DRAIN_TIMED_OUT";
    case ErrorReason::kOperationEnded:
      return "OPERATION_ENDED";
    case ErrorReason::kEtagMismatch:
      return "ETAG_MISMATCH";
  }
  return "UNKNOWN";
}

absl::Status ReasonedError(absl::StatusCode code, ErrorReason reason, std::string_view message) {
  absl::Status status(code, Absl(message));
  status.SetPayload(kPayloadUrl, absl::Cord(Absl(ErrorReasonName(reason))));
  return status;
}

std::optional<std::string> ReasonOf(const absl::Status& status) {
  const auto payload = status.GetPayload(kPayloadUrl);
  if (!payload.has_value()) return std::nullopt;
  return std::string(*payload);
}

}  // namespace fsd::supervisor
