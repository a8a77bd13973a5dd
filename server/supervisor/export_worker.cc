// Export: the life of its worker, from the opening of its source to its end.
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "server/errors/status_macros.h"
#include "server/supervisor/error_reason.h"
#include "server/supervisor/export.h"
#include "server/supervisor/export_spec.h"
#include "server/supervisor/source_directory.h"
#include "server/supervisor/worker_failure.h"
#include "server/supervisor/worker_start.h"
#include "server/telemetry/log.h"

namespace fsd::supervisor {
namespace {

ExportState StateFor(internal::WorkerStatus::State state) {
  switch (state) {
    case internal::WorkerStatus::STATE_CONNECTED:
      return ExportState::kConnected;
    case internal::WorkerStatus::STATE_MOUNTED:
      return ExportState::kMounted;
    default:
      return ExportState::kListening;
  }
}

std::string ConnectionText(const internal::WorkerStatus& status) {
  if (!status.has_connection()) return "no front-end is connected";
  return absl::StrCat(
      "its front-end connected since ",
      absl::FormatTime(absl::FromUnixNanos(status.connection().since_unix_nanos())));
}

}  // namespace

void Export::OpenSource() {
  if (std::exchange(opening_source_, true)) return;
  const std::string& path = record_.spec().source_path();
  source_timer_ = surroundings_.loop.CallAfter(surroundings_.timing.source, [this] {
    FSD_LOG(kWarning, id(), "its source %s does not answer", record_.spec().source_path());
    conditions_.Add(condition::kSourceNotAnswering,
                    worker_ == nullptr
                        ? "the source's file system does not answer; the export is served when it "
                          "does"
                        : "the source's file system does not answer; until it does, no worker can "
                          "follow the present one");
    surroundings_.changed(*this);
  });
  OpenSourceDirectoryInBackground(
      surroundings_.config.allow_source, path, surroundings_.loop.queue(),
      [this, alive = std::weak_ptr(alive_)](absl::StatusOr<os::UniqueFd> source) {
        if (!alive.expired()) OnSource(std::move(source));
      });
}

void Export::OnSource(absl::StatusOr<os::UniqueFd> source) {
  opening_source_ = false;
  surroundings_.loop.Cancel(source_timer_);
  if (stopping_ || surroundings_.shutting_down || state_ == ExportState::kFailed) return;
  SetCondition(condition::kSourceNotAnswering, "");
  if (worker_ != nullptr || restart_timer_ != kNoTimer) return KeepSource(std::move(source));
  if (!source.ok()) {
    Fail(source.status());
    return TellRestarted(source.status());
  }
  source_ = *std::move(source);
  StartWorker();
}

absl::Status Export::LaunchWorker() {
  if (control_.has_value()) control_->RemoveFile();
  FSD_ASSIGN_OR_RETURN(const int counters, counting_.FileFor(record_.spec()));
  internal::ExportHistory history;
  counting_.Describe(history);
  history.set_restarts(restarts_);
  FSD_ASSIGN_OR_RETURN(
      StartedWorker started,
      supervisor::StartWorker({.config = surroundings_.config,
                               .user_namespaces = surroundings_.user_namespaces,
                               .cgroups = surroundings_.cgroups,
                               .log_level = surroundings_.log_level,
                               .slow_request_nanos = surroundings_.slow_request_nanos,
                               .record = record_,
                               .draining = draining_,
                               .history = std::move(history),
                               .vhost_listener = vhost_->fd(),
                               .source_directory = source_.get(),
                               .counters = counters}));
  control_ = std::move(started.control);
  SetCondition(condition::kLimitsNotEnforced, started.unenforced_limits);
  SetCondition(condition::kSourceUnavailable, "");
  SetCondition(condition::kSourceChanged, "");
  const pid_t pid = started.launched.pid;
  FSD_RETURN_IF_ERROR(
      Watch(WorkerOrigin::kLaunched, std::move(started.launched), std::move(started.channel)));
  FSD_LOG(kInfo, id(), "worker %d started", pid);
  if (!awaited_changes_.empty()) {
    awaited_changes_.clear();
    SetCondition(condition::kUpdatePending, "");
  }
  return absl::OkStatus();
}

absl::Status Export::Watch(WorkerOrigin origin, LaunchedWorker worker, ipc::WorkerChannel channel) {
  FSD_ASSIGN_OR_RETURN(
      worker_,
      WorkerProcess::Watch(
          surroundings_.loop, surroundings_.timing.worker, id(), record_.uid(), origin,
          std::move(worker), std::move(channel),
          {.on_handover = [this](Handover handover) { return OnHandover(std::move(handover)); },
           .on_status = [this](const internal::WorkerStatus& status) { OnStatus(status); },
           .on_inflight =
               [this](const internal::FromWorker::InflightRequests& requests) {
                 inflight_calls_.OnAnswer(requests);
               },
           .on_kill =
               [this] {
                 if (const auto killed = std::exchange(killed_, nullptr)) killed();
               },
           .on_end = [this](const WorkerEnd& end) { OnWorkerEnd(end); }}));
  return absl::OkStatus();
}

void Export::OnStatus(const internal::WorkerStatus& status) {
  if (stopping_) return;
  const bool inodes_refused = status.inodes_refused() > status_.inodes_refused();
  const bool connection_changed =
      status_.state() != status.state() || status_.draining() != status.draining() ||
      status_.retiring() != status.retiring() || !IsSame(status_.qos(), status.qos()) ||
      connected_since_unix_nanos() != status.connection().since_unix_nanos();
  if (adopted_spec_.has_value() && status_.state() == internal::WorkerStatus::STATE_UNSPECIFIED) {
    FSD_LOG(kInfo, id(), "adopted worker %d, %s", worker_->pid(), ConnectionText(status));
  }
  status_ = status;
  if (healthy_timer_ == kNoTimer && conditions_.Has(condition::kWorkerCrashed)) {
    healthy_timer_ = surroundings_.loop.CallAfter(surroundings_.timing.restart.healthy_after,
                                                  [this] { OnHealthy(); });
  }
  if (conditions_.TakeStatus(id(), status, inodes_refused)) surroundings_.changed(*this);
  const ExportState state = StateOfWorker();
  if (state != state_) {
    SetState(state);
  } else if (connection_changed) {
    surroundings_.changed(*this);
  }
  // An earlier supervisor may have told it to retire for what has been taken back since.
  if ((!awaited_changes_.empty() || adopted_spec_.has_value()) && status.retiring() &&
      status.state() == internal::WorkerStatus::STATE_LISTENING) {
    Exchange();
  }
  TellRestarted(absl::OkStatus());
  if (started_ != nullptr) std::exchange(started_, nullptr)(absl::OkStatus());
}

void Export::OnHealthy() {
  healthy_timer_ = kNoTimer;
  SetCondition(condition::kWorkerCrashed, "");
}

void Export::OnWorkerEnd(const WorkerEnd& end) {
  const pid_t pid = worker_->pid();
  worker_.reset();
  adopting_ = false;
  adopted_spec_.reset();
  counting_.OnWorkerEnd(status_);
  inflight_calls_.OnWorkerEnd();
  status_.Clear();
  surroundings_.loop.Cancel(healthy_timer_);
  if (stopping_) {
    FSD_LOG(kInfo, id(), "worker %d stopped: %s", pid, end.Describe());
    return std::exchange(stopped_, nullptr)();
  }
  if (std::exchange(exchanging_, false)) {
    FSD_LOG(kInfo, id(), "worker %d ended, to be followed by another: %s", pid, end.Describe());
    return Restart();
  }
  FSD_LOG(kError, id(), "worker %d ended: %s", pid, end.Describe());
  if (started_ != nullptr) return std::exchange(started_, nullptr)(StartFailure(end));
  OnFailure(ErrorReasonName(ReasonOfEnd(end)), end.Describe(), end.healthy_for);
  TellRestarted(StartFailure(end));
}

void Export::OnFailure(std::string_view reason, const std::string& how,
                       absl::Duration healthy_for) {
  const std::optional<absl::Duration> delay = restart_policy_.OnFailure(healthy_for);
  if (!delay.has_value()) {
    return Fail(
        reason,
        absl::StrCat("the worker failed ", restart_policy_.failures_in_a_row(),
                     " times in a row, the last time: ", how,
                     "; see the log, mend the cause and restart the worker, or delete the export"));
  }
  last_failure_ = conditions_.Add(condition::kWorkerCrashed, how);
  SetState(ExportState::kRecovering);
  restart_timer_ = surroundings_.loop.CallAfter(*delay, [this] { Restart(); });
}

void Export::Restart() {
  restart_timer_ = kNoTimer;
  ++restarts_;
  StartWorker();
}

void Export::StartWorker() {
  if (!source_.valid()) return OpenSource();
  absl::Status status = absl::OkStatus();
  if (!vhost_.has_value()) {
    status = Listen();
    // After an earlier worker that could not be adopted, its socket may be in its hands for a
    // while.
    if (!status.ok() && state_ == ExportState::kCreating) return Fail(status);
  }
  if (status.ok()) status = LaunchWorker();
  if (status.ok()) return;
  FSD_LOG(kError, id(), "worker cannot be started: %s", std::string(status.message()));
  OnFailure(ReasonOf(status).value_or("WORKER_FAILED"), std::string(status.message()),
            absl::ZeroDuration());
  TellRestarted(status);
}

ExportState Export::StateOfWorker() const {
  return draining_ ? ExportState::kDraining : StateFor(status_.state());
}

void Export::RestartWorker(ReadyCallback ready) {
  FSD_LOG(kInfo, id(), "its worker is restarted as asked for");
  restarted_ = std::move(ready);
  if (worker_ != nullptr) return Exchange();
  surroundings_.loop.Cancel(restart_timer_);
  if (!opening_source_) Restart();
}

void Export::Revive(os::UniqueFd source, ReadyCallback ready) {
  FSD_LOG(kInfo, id(), "begins anew as asked for");
  conditions_.Clear();
  restart_policy_ = RestartPolicy(surroundings_.timing.restart);
  restarted_ = std::move(ready);
  SetState(ExportState::kRecovering);
  if (vhost_.has_value()) vhost_->RemoveFile();
  source_ = std::move(source);
  if (const absl::Status status = Listen(); !status.ok()) {
    Fail(status);
    return TellRestarted(status);
  }
  Restart();
}

void Export::Exchange() {
  if (std::exchange(exchanging_, true)) return;
  // The front-end's connection ends with the worker; who waits in the backlog does not notice.
  if (in_use()) SetState(ExportState::kRecovering);
  worker_->Stop();
}

void Export::TellRestarted(const absl::Status& status) {
  if (const auto restarted = std::exchange(restarted_, nullptr)) restarted(status);
}

}  // namespace fsd::supervisor
