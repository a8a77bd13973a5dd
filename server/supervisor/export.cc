#include "server/supervisor/export.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "server/errors/check.h"
#include "server/errors/status_macros.h"
#include "server/os/unix_socket.h"
#include "server/supervisor/error_reason.h"
#include "server/supervisor/export_spec.h"
#include "server/supervisor/export_state.h"
#include "server/supervisor/handover_check.h"
#include "server/supervisor/paths.h"
#include "server/supervisor/source_directory.h"
#include "server/supervisor/worker_cgroup.h"
#include "server/supervisor/worker_failure.h"
#include "server/supervisor/worker_start.h"

namespace fsd::supervisor {
namespace {

constexpr std::string_view kWorkerCrashed = "WORKER_CRASHED";
constexpr std::string_view kUpdatePending = "UPDATE_PENDING";
constexpr std::string_view kLimitsNotEnforced = "LIMITS_NOT_ENFORCED";
constexpr std::string_view kSourceNotAnswering = "SOURCE_NOT_ANSWERING";
constexpr std::string_view kSourceUnavailable = "SOURCE_UNAVAILABLE";
constexpr std::string_view kSourceChanged = "SOURCE_CHANGED";

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

// In the runtime directory every dead socket is one of ours.
ExportSocket::IfDead IfDeadFor(const Config& config, const internal::ExportSpec& spec) {
  return IsSameOrBelow(spec.socket_path(), config.runtime_dir) ? ExportSocket::IfDead::kReplace
                                                               : ExportSocket::IfDead::kRefuse;
}

std::string ConnectionText(const internal::WorkerStatus& status) {
  if (!status.has_connection()) return "no front-end is connected";
  return absl::StrCat(
      "its front-end connected since ",
      absl::FormatTime(absl::FromUnixNanos(status.connection().since_unix_nanos())));
}

}  // namespace

Export::Export(const Surroundings& surroundings, internal::ExportRecord record, Origin origin)
    : surroundings_(surroundings),
      record_(std::move(record)),
      origin_(origin),
      slow_request_(surroundings.config.slow_request),
      inflight_calls_(surroundings.loop, surroundings.timing.worker.list,
                      [this](uint64_t number) { worker_->ListInflight(number); }),
      restart_policy_(surroundings.timing.restart),
      draining_(record_.draining()) {}

Export::~Export() {
  surroundings_.loop.Cancel(restart_timer_);
  surroundings_.loop.Cancel(healthy_timer_);
  surroundings_.loop.Cancel(source_timer_);
}

ExportView Export::View() const {
  return {.record = record_,
          .state = state_,
          .conditions = conditions_.all(),
          .last_failure = last_failure_,
          .worker_pid = worker_ == nullptr ? 0 : worker_->pid(),
          .restarts = restarts_,
          .worker = status_};
}

ExportSample Export::Sample() const {
  if (worker_ != nullptr) worker_->RefreshStatus();
  return counting_.Sample(View(), slow_request_);
}

void Export::ListInflight(InflightCalls::Done done) {
  if (worker_ == nullptr) {
    return done(ReasonedError(
        absl::StatusCode::kUnavailable, ErrorReason::kWorkerFailed,
        absl::StrCat("export ", id(), " has no worker now, and so nothing in flight; it is ",
                     Absl(ExportStateName(state_)))));
  }
  inflight_calls_.Add(std::move(done));
}

absl::Status Export::CheckSocket(const Config& config, const internal::ExportSpec& spec) {
  return ExportSocket::CheckBelow(SocketDirectories(config), spec.socket_path(),
                                  os::SocketType::kStream, IfDeadFor(config, spec));
}

absl::Status Export::Create(os::UniqueFd source, std::function<void(absl::Status)> started) {
  source_ = std::move(source);
  FSD_RETURN_IF_ERROR(Listen());
  FSD_RETURN_IF_ERROR(LaunchWorker());
  started_ = std::move(started);
  return absl::OkStatus();
}

void Export::Restore() {
  adopting_ = false;
  StartWorker();
}

void Export::Adopt(EarlierWorker earlier) {
  adopting_ = true;
  FSD_LOG(kInfo, id(), "adopting worker %d, which an earlier supervisor has started",
          earlier.worker.pid);
  OpenSource();
  const absl::Status watched = Watch(WorkerOrigin::kEarlierSupervisor, std::move(earlier.worker),
                                     std::move(earlier.channel));
  // It has been killed.
  if (!watched.ok())
    OnFailure("WORKER_FAILED", std::string(watched.message()), absl::ZeroDuration());
}

void Export::OpenSource() {
  if (std::exchange(opening_source_, true)) return;
  const std::string& path = record_.spec().source_path();
  source_timer_ = surroundings_.loop.CallAfter(surroundings_.timing.source, [this] {
    FSD_LOG(kWarning, id(), "its source %s does not answer", record_.spec().source_path());
    conditions_.Add(kSourceNotAnswering,
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
  SetCondition(kSourceNotAnswering, "");
  if (worker_ != nullptr || restart_timer_ != kNoTimer) return KeepSource(std::move(source));
  if (!source.ok()) {
    Fail(source.status());
    return TellRestarted(source.status());
  }
  source_ = *std::move(source);
  StartWorker();
}

void Export::KeepSource(absl::StatusOr<os::UniqueFd> source) {
  if (!source.ok()) {
    return SetCondition(kSourceUnavailable, absl::StrCat("no worker can follow the present one: ",
                                                         source.status().message()));
  }
  source_ = *std::move(source);
  if (adopted_spec_.has_value()) CompareSource();
}

void Export::CompareSource() {
  const internal::ExportHistory& served = adopted_spec_->history();
  internal::ExportHistory named;
  DescribeSource(source_.get(), named);
  const bool is_known = served.source_inode() != 0 && named.source_inode() != 0;
  const bool is_same = served.source_device() == named.source_device() &&
                       served.source_inode() == named.source_inode();
  SetCondition(
      kSourceChanged,
      is_known && !is_same
          ? absl::StrCat("its worker serves the directory that was ", record_.spec().source_path(),
                         " when it was started, and its next worker will serve the one "
                         "that is now")
          : "");
  SetCondition(kLimitsNotEnforced, UnenforcedLimits(surroundings_.cgroups, adopted_spec_->spec(),
                                                    worker_->pid(), source_.get()));
}

absl::Status Export::OnHandover(Handover handover) {
  FSD_ASSIGN_OR_RETURN(CheckedHandover taken,
                       CheckHandover(surroundings_.config, record_, std::move(handover)));
  adopting_ = false;
  vhost_ = std::move(taken.vhost);
  const internal::ExportHistory& history = taken.spec.history();
  counting_.Adopt(history, std::move(taken.counters));
  restarts_ = history.restarts();
  slow_request_ = absl::Nanoseconds(taken.spec.slow_request_nanos());
  adopted_spec_ = std::move(taken.spec);
  // What has changed since it was last told, or while nobody could tell it.
  worker_->SetDraining(draining_);
  worker_->SetLogLevel(surroundings_.log_level);
  if (!taken.outdated.empty()) AwaitChanges(taken.outdated);
  if (source_.valid()) CompareSource();
  return absl::OkStatus();
}

ExportSocket::IfDead Export::if_dead() const {
  // Our record names the socket: a dead one there is ours wherever it is.
  if (origin_ == Origin::kStore) return ExportSocket::IfDead::kReplace;
  return IfDeadFor(surroundings_.config, record_.spec());
}

absl::Status Export::Listen() {
  const internal::ExportSpec& spec = record_.spec();
  const os::SocketAccess access{.uid = spec.socket_uid(),
                                .gid = spec.socket_gid(),
                                .mode = static_cast<mode_t>(spec.socket_mode())};
  FSD_ASSIGN_OR_RETURN(
      vhost_, ExportSocket::ListenBelow(SocketDirectories(surroundings_.config), spec.socket_path(),
                                        os::SocketType::kStream, access, if_dead()));
  return absl::OkStatus();
}

absl::Status Export::LaunchWorker() {
  if (control_.has_value()) control_->RemoveFile();
  FSD_ASSIGN_OR_RETURN(const int counters, counting_.FileFor(record_.spec()));
  internal::ExportHistory history;
  counting_.Describe(history);
  history.set_restarts(restarts_);
  FSD_ASSIGN_OR_RETURN(StartedWorker started,
                       supervisor::StartWorker({.config = surroundings_.config,
                                                .user_namespaces = surroundings_.user_namespaces,
                                                .cgroups = surroundings_.cgroups,
                                                .log_level = surroundings_.log_level,
                                                .record = record_,
                                                .draining = draining_,
                                                .history = std::move(history),
                                                .vhost_listener = vhost_->fd(),
                                                .source_directory = source_.get(),
                                                .counters = counters}));
  control_ = std::move(started.control);
  slow_request_ = surroundings_.config.slow_request;
  SetCondition(kLimitsNotEnforced, started.unenforced_limits);
  SetCondition(kSourceUnavailable, "");
  SetCondition(kSourceChanged, "");
  const pid_t pid = started.launched.pid;
  FSD_RETURN_IF_ERROR(
      Watch(WorkerOrigin::kLaunched, std::move(started.launched), std::move(started.channel)));
  FSD_LOG(kInfo, id(), "worker %d started", pid);
  if (!awaited_changes_.empty()) {
    awaited_changes_.clear();
    SetCondition(kUpdatePending, "");
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
      status_.retiring() != status.retiring() ||
      connected_since_unix_nanos() != status.connection().since_unix_nanos();
  if (adopted_spec_.has_value() && status_.state() == internal::WorkerStatus::STATE_UNSPECIFIED) {
    FSD_LOG(kInfo, id(), "adopted worker %d, %s", worker_->pid(), ConnectionText(status));
  }
  status_ = status;
  if (healthy_timer_ == kNoTimer && conditions_.Has(kWorkerCrashed)) {
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
  if (!awaited_changes_.empty() && status.retiring() &&
      status.state() == internal::WorkerStatus::STATE_LISTENING) {
    Exchange();
  }
  TellRestarted(absl::OkStatus());
  if (started_ != nullptr) std::exchange(started_, nullptr)(absl::OkStatus());
}

void Export::OnHealthy() {
  healthy_timer_ = kNoTimer;
  SetCondition(kWorkerCrashed, "");
}

void Export::SetCondition(std::string_view reason, std::string_view message) {
  if (conditions_.Set(id(), reason, message)) surroundings_.changed(*this);
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
  last_failure_ = conditions_.Add(kWorkerCrashed, how);
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

bool Export::in_use() const {
  return adopting_ || status_.state() == internal::WorkerStatus::STATE_CONNECTED ||
         status_.state() == internal::WorkerStatus::STATE_MOUNTED;
}

bool Export::is_drained() const {
  if (!draining_ || adopting_) return false;
  return worker_ == nullptr ||
         (status_.draining() && status_.state() == internal::WorkerStatus::STATE_LISTENING);
}

ExportState Export::StateOfWorker() const {
  return draining_ ? ExportState::kDraining : StateFor(status_.state());
}

void Export::SetDraining(bool draining) {
  if (draining == draining_) return;
  draining_ = draining;
  if (worker_ != nullptr) worker_->SetDraining(draining);
  switch (state_) {
    case ExportState::kListening:
    case ExportState::kConnected:
    case ExportState::kMounted:
    case ExportState::kDraining:
      return SetState(StateOfWorker());
    default:
      return;  // until a worker is ready, if ever
  }
}

void Export::Update(internal::ExportRecord record,
                    const std::vector<std::string_view>& for_next_worker) {
  record_ = std::move(record);
  // Without a worker, the next one is on the way, or there will be none.
  if (!for_next_worker.empty() && worker_ != nullptr && !exchanging_ && !stopping_) {
    AwaitChanges(for_next_worker);
  }
  surroundings_.changed(*this);
}

void Export::AwaitChanges(const std::vector<std::string_view>& names) {
  if (awaited_changes_.empty()) worker_->Retire();
  awaited_changes_.insert(names.begin(), names.end());
  std::string all;
  for (const std::string_view name : awaited_changes_) {
    absl::StrAppend(&all, all.empty() ? "" : ", ", Absl(name));
  }
  conditions_.Add(kUpdatePending,
                  absl::StrCat("these take effect when no front-end is connected: ", all));
}

bool Export::worker_knows_draining() const {
  // One that is not ready may have been told only after its start.
  return worker_ == nullptr || exchanging_ ||
         (status_.state() != internal::WorkerStatus::STATE_UNSPECIFIED &&
          status_.draining() == draining_);
}

bool Export::next_front_end_has_updates() const {
  return awaited_changes_.empty() || worker_ == nullptr || exchanging_ || status_.retiring();
}

void Export::TellLogLevel() {
  if (worker_ != nullptr) worker_->SetLogLevel(surroundings_.log_level);
}

void Export::Disconnect() {
  if (worker_ != nullptr) worker_->Disconnect();
}

void Export::CutConnection() {
  if (worker_ != nullptr) worker_->Kill("it did not end its front-end's connection");
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

void Export::Fail(const absl::Status& why) {
  Fail(ReasonOf(why).value_or("INTERNAL"), std::string(why.message()));
}

void Export::Fail(std::string_view reason, std::string_view message) {
  FSD_LOG(kError, id(), "given up: %s", message);
  last_failure_ = conditions_.Add(reason, message);
  adopting_ = false;
  if (vhost_.has_value()) vhost_->StopListening();
  SetState(ExportState::kFailed);
}

void Export::Stop(std::function<void()> stopped) {
  stopping_ = true;
  started_ = nullptr;
  restarted_ = nullptr;
  surroundings_.loop.Cancel(restart_timer_);
  surroundings_.loop.Cancel(healthy_timer_);
  if (worker_ == nullptr) return stopped();
  stopped_ = std::move(stopped);
  worker_->Stop();
}

void Export::Delete(std::function<void()> deleted, std::function<void()> killed) {
  SetState(ExportState::kDeleting);
  killed_ = std::move(killed);
  Stop(std::move(deleted));
}

void Export::RemoveFiles() {
  if (vhost_.has_value()) {
    vhost_->RemoveFile();
    vhost_->StopListening();
  } else if (if_dead() == ExportSocket::IfDead::kReplace) {
    RemoveDeadSocket(record_.spec().socket_path(), os::SocketType::kStream);
  }
  if (control_.has_value()) {
    control_->RemoveFile();
  } else {
    RemoveDeadSocket(ControlSocketPath(surroundings_.config, id()), os::SocketType::kSeqPacket);
  }
  if (surroundings_.cgroups != nullptr) surroundings_.cgroups->Remove(id());
}

void Export::SetState(ExportState state) {
  if (state == state_) return;
  FSD_CHECK(IsLegalTransition(state_, state));
  FSD_LOG(kInfo, id(), "%s, was %s", ExportStateName(state), ExportStateName(state_));
  state_ = state;
  surroundings_.changed(*this);
}

}  // namespace fsd::supervisor
