#include "server/supervisor/worker_failure.h"

#include <string_view>

#include "absl/strings/str_cat.h"
#include "server/errors/status_macros.h"
#include "server/ipc/worker_exit.h"

namespace fsd::supervisor {

ErrorReason ReasonOfEnd(const WorkerEnd& end) {
  const bool jail =
      end.misdeed.empty() && !end.exit.signaled && end.exit.code == ipc::kWorkerJailUnavailable;
  return jail ? ErrorReason::kSandboxUnavailable : ErrorReason::kWorkerFailed;
}

absl::Status StartFailure(const WorkerEnd& end) {
  if (ReasonOfEnd(end) == ErrorReason::kSandboxUnavailable) {
    return ReasonedError(absl::StatusCode::kFailedPrecondition, ErrorReason::kSandboxUnavailable,
                         absl::StrCat("the worker's jail cannot be made on this host: ",
                                      end.last_words.empty() ? end.Describe() : end.last_words,
                                      "; see the log, or choose another sandbox mode"));
  }
  std::string_view advice = "see the log";
  if (!end.exit.signaled && end.exit.code == ipc::kWorkerBadInvocation) {
    advice = "fsd and fsd-worker are not of one version; install them together";
  }
  return ReasonedError(
      absl::StatusCode::kFailedPrecondition, ReasonOfEnd(end),
      absl::StrCat("the worker did not get ready: ", end.Describe(), "; ", Absl(advice)));
}

}  // namespace fsd::supervisor
