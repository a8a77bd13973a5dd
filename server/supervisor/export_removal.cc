#include "server/supervisor/export_removal.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "server/supervisor/error_reason.h"
#include "server/telemetry/log.h"

namespace fsd::supervisor {

void ExportRemoval::Delete(Export& removed, const Deletion& deletion,
                           std::function<void(absl::Status)> done) {
  const std::string id = removed.id();
  const bool force = deletion.mode == Deletion::Mode::kForce;
  if (removed.adopting() && !force) return done(BusyError(id));
  if (removed.in_use() && deletion.mode == Deletion::Mode::kSafe) {
    return done(ReasonedError(absl::StatusCode::kFailedPrecondition, ErrorReason::kExportInUse,
                              absl::StrCat("export ", id,
                                           ": a front-end is connected; shut the guest down or "
                                           "unplug the device first, or delete with force")));
  }
  surroundings_.maintenance.EndDrain(id);
  surroundings_.operations.emplace(id, Operation(std::move(done)));
  if (deletion.mode != Deletion::Mode::kDrain) return Remove(removed);
  surroundings_.maintenance.DrainForRemoval(
      removed, deletion.wait, [this, id](const absl::Status& status) { OnDrained(id, status); });
}

void ExportRemoval::OnDrained(const std::string& id, const absl::Status& status) {
  if (status.ok()) return Remove(*surroundings_.exports.Find(id));
  surroundings_.operations.extract(id).mapped().AnswerFailure(status);
}

void ExportRemoval::Remove(Export& removed) {
  const std::string id = removed.id();
  Bound(id, surroundings_.timing.worker.stop + surroundings_.timing.kill);
  removed.Delete([this, id] { Finish(id); }, [this, id] { Bound(id, surroundings_.timing.kill); });
}

void ExportRemoval::Bound(const std::string& id, absl::Duration time) {
  Operation& operation = surroundings_.operations.at(id);
  surroundings_.loop.Cancel(operation.deadline);
  operation.deadline = surroundings_.loop.CallAfter(time, [this, id] { OnStuck(id); });
}

void ExportRemoval::OnStuck(const std::string& id) {
  Export* const stuck = surroundings_.exports.Find(id);
  // A killed worker can only be blocked in the kernel, as on a file system that hangs.
  const std::string what =
      absl::StrCat("worker ", stuck->View().worker_pid,
                   " is blocked in the kernel by requests that its source's file system does not "
                   "answer, and cannot end; until it does, it keeps the source busy and the "
                   "export's name taken; then the export is removed by itself");
  FSD_LOG(kError, id, "%s", what);
  stuck->AddCondition("WORKER_STUCK", what);
  // Nobody answers there any more.
  stuck->RemoveFiles();
  surroundings_.changed(*stuck);
  Operation& unanswered = surroundings_.operations.at(id);
  unanswered.stuck = ReasonedError(absl::StatusCode::kUnavailable, ErrorReason::kWorkerFailed,
                                   absl::StrCat("export ", id, ": ", what));
  unanswered.AnswerFailure(unanswered.failure.ok() ? unanswered.stuck : unanswered.failure);
}

void ExportRemoval::Finish(const std::string& id) {
  Export* const removed = surroundings_.exports.Find(id);
  auto operation = surroundings_.operations.extract(id);
  surroundings_.loop.Cancel(operation.mapped().deadline);
  removed->RemoveFiles();
  const absl::Status status = surroundings_.store.Remove(id);
  if (!status.ok()) {
    removed->Fail(status);
    return operation.mapped().AnswerFailure(status);
  }
  ExportView last = removed->View();
  last.gone = true;
  surroundings_.gone(last);
  FSD_LOG(kInfo, id, "removed");
  surroundings_.exports.Remove(id);
  if (!operation.mapped().failure.ok()) {
    return operation.mapped().AnswerFailure(operation.mapped().failure);
  }
  operation.mapped().AnswerDeleted();
}

}  // namespace fsd::supervisor
