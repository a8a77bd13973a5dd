#include "server/supervisor/operation.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "server/supervisor/error_reason.h"

namespace fsd::supervisor {

void Operation::AnswerView(ExportView view) {
  if (const auto done = std::exchange(viewed_, nullptr)) done(std::move(view));
}

void Operation::AnswerDeleted() {
  if (const auto done = std::exchange(deleted_, nullptr)) done(absl::OkStatus());
}

void Operation::AnswerFailure(const absl::Status& status) {
  if (const auto done = std::exchange(viewed_, nullptr)) done(status);
  if (const auto done = std::exchange(deleted_, nullptr)) done(status);
}

absl::Status ShuttingDownError() {
  return ReasonedError(absl::StatusCode::kUnavailable, ErrorReason::kShuttingDown,
                       "the supervisor is shutting down");
}

absl::Status NotFoundError(const std::string& id) {
  return ReasonedError(absl::StatusCode::kNotFound, ErrorReason::kExportNotFound,
                       absl::StrCat("export ", id, ": there is none of this name"));
}

absl::Status BusyError(const std::string& id) {
  return ReasonedError(absl::StatusCode::kAborted, ErrorReason::kExportBusy,
                       absl::StrCat("export ", id,
                                    ": another operation on it is pending; try again when it is "
                                    "done"));
}

}  // namespace fsd::supervisor
