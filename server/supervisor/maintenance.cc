#include "server/supervisor/maintenance.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "server/errors/status_macros.h"
#include "server/supervisor/error_reason.h"
#include "server/supervisor/export_spec.h"
#include "server/supervisor/source_directory.h"
#include "server/telemetry/log.h"

namespace fsd::supervisor {
namespace {

absl::Status DrainTimedOutError(const std::string& id, absl::Duration timeout) {
  return ReasonedError(
      absl::StatusCode::kDeadlineExceeded, ErrorReason::kDrainTimedOut,
      absl::StrCat("export ", id, ": its front-end has not left within ",
                   absl::FormatDuration(timeout),
                   ", and the export is as it was; shut the guest down or unplug the device and "
                   "try again, or end its connection by force"));
}

absl::Status WorkerStuckError(const std::string& id) {
  return ReasonedError(absl::StatusCode::kUnavailable, ErrorReason::kWorkerFailed,
                       absl::StrCat("export ", id,
                                    ": its worker does not end, blocked in the kernel by requests "
                                    "that its source's file system does not answer; it is "
                                    "replaced as soon as it does"));
}

}  // namespace

absl::Status Maintenance::Record(Export& drained, bool draining) {
  if (drained.record().draining() == draining) return absl::OkStatus();
  internal::ExportRecord record = drained.record();
  record.set_draining(draining);
  FSD_RETURN_IF_ERROR(surroundings_.store.Replace(record));
  drained.Update(std::move(record), {});
  return absl::OkStatus();
}

void Maintenance::Drain(Export& drained, const std::optional<DrainWait>& wait, Done done) {
  const std::string id = drained.id();
  if (wait.has_value()) {
    surroundings_.operations.emplace(id, Operation(Operation::Kind::kMaintain, std::move(done)));
    return BeginDrain(drained, *wait,
                      [this, id](const absl::Status& status) { FinishDrain(id, status); });
  }
  if (const absl::Status status = Record(drained, true); !status.ok()) return done(status);
  drained.SetDraining(true);
  AwaitWorker(drained, &Export::worker_knows_draining, std::move(done));
}

void Maintenance::DrainForRemoval(Export& removed, const DrainWait& wait,
                                  std::function<void(absl::Status)> drained) {
  BeginDrain(removed, wait,
             [this, id = removed.id(), drained = std::move(drained)](const absl::Status& status) {
               Export& back = *surroundings_.exports.Find(id);
               if (!status.ok()) back.SetDraining(back.record().draining());
               drained(status);
             });
}

void Maintenance::BeginDrain(Export& drained, const DrainWait& wait,
                             std::function<void(absl::Status)> then) {
  const std::string id = drained.id();
  drained.SetDraining(true);
  std::optional<absl::Duration> timeout = wait.timeout;
  // There is nobody to wait for, but the worker has to say so.
  if (timeout.has_value() && !drained.in_use()) {
    timeout = std::max(*timeout, surroundings_.timing.worker.stop);
  }
  surroundings_.waits.Begin(
      id, {.is_over = [](const Export& looked_at) { return looked_at.is_drained(); },
           .timeout = timeout,
           .timed_out = DrainTimedOutError(id, timeout.value_or(absl::ZeroDuration())),
           .is_drain = true,
           .cancellation = wait.cancellation,
           .done = std::move(then)});
}

void Maintenance::FinishDrain(const std::string& id, absl::Status status) {
  Export& drained = *surroundings_.exports.Find(id);
  // Only what is answered is to outlive this supervisor.
  if (status.ok()) status = Record(drained, true);
  if (!status.ok()) drained.SetDraining(drained.record().draining());
  Finish(id, status);
}

void Maintenance::Resume(Export& resumed, Done done) {
  EndDrain(resumed.id());
  if (const absl::Status status = Record(resumed, false); !status.ok()) return done(status);
  resumed.SetDraining(false);
  AwaitWorker(resumed, &Export::worker_knows_draining, std::move(done));
}

bool Maintenance::EndDrain(const std::string& id) {
  return surroundings_.waits.EndDrain(
      id, ReasonedError(absl::StatusCode::kAborted, ErrorReason::kOperationEnded,
                        absl::StrCat("export ", id, ": another call has ended the drain")));
}

void Maintenance::Disconnect(Export& disconnected, Done done) {
  if (!disconnected.in_use()) return done(disconnected.View());
  const std::string id = disconnected.id();
  surroundings_.operations.emplace(id, Operation(Operation::Kind::kMaintain, std::move(done)));
  FSD_LOG(kInfo, id, "its front-end is disconnected as asked for");
  disconnected.Disconnect();
  const auto is_over = [since =
                            disconnected.connected_since_unix_nanos()](const Export& looked_at) {
    return !looked_at.in_use() || looked_at.connected_since_unix_nanos() != since;
  };
  surroundings_.waits.Begin(
      id, {.is_over = is_over,
           .timeout = surroundings_.timing.worker.stop,
           .timed_out = absl::DeadlineExceededError("the worker does not end the connection"),
           .is_drain = false,
           .cancellation = nullptr,
           .done = [this, id](const absl::Status& status) {
             if (!absl::IsDeadlineExceeded(status)) return Finish(id, status);
             OnNotDisconnected(id);
           }});
}

void Maintenance::OnNotDisconnected(const std::string& id) {
  surroundings_.exports.Find(id)->CutConnection();
  surroundings_.waits.Begin(
      id, {.is_over = [](const Export& looked_at) { return !looked_at.in_use(); },
           .timeout = surroundings_.timing.kill,
           .timed_out = WorkerStuckError(id),
           .is_drain = false,
           .cancellation = nullptr,
           .done = [this, id](const absl::Status& status) { Finish(id, status); }});
}

void Maintenance::AwaitUpdate(Export& updated, Done done) {
  AwaitWorker(updated, &Export::updates_are_known, std::move(done));
}

void Maintenance::AwaitWorker(Export& changed, bool (Export::*knows)() const, Done done) {
  if ((changed.*knows)()) return done(changed.View());
  const std::string id = changed.id();
  surroundings_.operations.emplace(id, Operation(Operation::Kind::kMaintain, std::move(done)));
  surroundings_.waits.Begin(
      id, {.is_over = [knows](const Export& looked_at) { return (looked_at.*knows)(); },
           .timeout = surroundings_.timing.worker.stop,
           // It is on disk; a worker that does not answer is dealt with otherwise.
           .timed_out = absl::OkStatus(),
           .is_drain = false,
           .cancellation = nullptr,
           .done = [this, id](const absl::Status& status) { Finish(id, status); }});
}

void Maintenance::RestartWorker(Export& restarted, bool force, Done done) {
  const std::string id = restarted.id();
  if (restarted.in_use() && !force) {
    return done(ReasonedError(
        absl::StatusCode::kFailedPrecondition, ErrorReason::kExportInUse,
        absl::StrCat("export ", id,
                     ": a front-end is connected, and would be cut off; shut the "
                     "guest down or unplug the device first, or restart with force")));
  }
  switch (restarted.state()) {
    case ExportState::kCreating:  // its source does not answer
      return done(BusyError(id));
    case ExportState::kFailed:
      return Revive(restarted, std::move(done));
    default:
      BeginRestart(id, std::move(done));
      restarted.RestartWorker([this, id](const absl::Status& status) { Finish(id, status); });
  }
}

void Maintenance::Revive(Export& failed, Done done) {
  internal::ExportSpec spec = failed.record().spec();
  if (const absl::Status status = CompleteExportSpec(surroundings_.config, spec); !status.ok()) {
    return done(status);
  }
  BeginRestart(failed.id(), std::move(done));
  OpenSourceDirectoryInBackground(
      surroundings_.config.allow_source, spec.source_path(), surroundings_.loop.queue(),
      [this, id = failed.id(), uid = failed.record().uid()](absl::StatusOr<os::UniqueFd> source) {
        const Export* const found = surroundings_.exports.Find(id);
        if (found == nullptr || found->record().uid() != uid) return;
        OnSource(id, std::move(source));
      });
}

void Maintenance::OnSource(const std::string& id, absl::StatusOr<os::UniqueFd> source) {
  // Of a call whose time was over.
  if (!surroundings_.operations.contains(id)) return;
  Export& failed = *surroundings_.exports.Find(id);
  if (failed.state() != ExportState::kFailed) return;
  if (!source.ok()) return Finish(id, source.status());
  failed.Revive(*std::move(source), [this, id](const absl::Status& status) { Finish(id, status); });
}

void Maintenance::BeginRestart(const std::string& id, Done done) {
  Operation& operation =
      surroundings_.operations.emplace(id, Operation(Operation::Kind::kMaintain, std::move(done)))
          .first->second;
  const Timing& timing = surroundings_.timing;
  operation.deadline = surroundings_.loop.CallAfter(
      timing.worker.stop + timing.kill + timing.worker.ready + timing.kill, [this, id] {
        surroundings_.exports.Find(id)->ForgetReady();
        Finish(id, WorkerStuckError(id));
      });
}

void Maintenance::Finish(const std::string& id, const absl::Status& status) {
  auto operation = surroundings_.operations.extract(id);
  surroundings_.loop.Cancel(operation.mapped().deadline);
  if (!status.ok()) return operation.mapped().AnswerFailure(status);
  operation.mapped().AnswerView(surroundings_.exports.Find(id)->View());
}

void Maintenance::Shutdown() {
  surroundings_.waits.EndAll(ShuttingDownError());
  std::vector<std::string> restarting;
  for (const auto& [id, operation] : surroundings_.operations) {
    if (operation.kind() == Operation::Kind::kMaintain) restarting.push_back(id);
  }
  for (const std::string& id : restarting) {
    surroundings_.exports.Find(id)->ForgetReady();
    Finish(id, ShuttingDownError());
  }
}

}  // namespace fsd::supervisor
