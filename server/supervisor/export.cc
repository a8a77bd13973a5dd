#include "server/supervisor/export.h"

#include <algorithm>
#include <span>
#include <utility>

#include "absl/strings/str_cat.h"
#include "server/errors/check.h"
#include "server/errors/status_macros.h"
#include "server/ipc/worker_channel.h"
#include "server/os/memory_file.h"
#include "server/os/unix_socket.h"
#include "server/supervisor/error_reason.h"
#include "server/supervisor/export_spec.h"
#include "server/supervisor/export_state.h"
#include "server/supervisor/paths.h"
#include "server/supervisor/worker_cgroup.h"
#include "server/supervisor/worker_failure.h"
#include "server/supervisor/worker_launcher.h"
#include "server/telemetry/log.h"

namespace fsd::supervisor {
namespace {

constexpr std::string_view kWorkerCrashed = "WORKER_CRASHED";
constexpr std::string_view kUpdatePending = "UPDATE_PENDING";

bool HasPidNamespace(const internal::ExportSpec& spec) {
  return spec.sandbox_mode() != internal::ExportSpec::SANDBOX_CHROOT &&
         spec.sandbox_mode() != internal::ExportSpec::SANDBOX_NONE;
}

bool IsSame(const internal::ExportSpec::Qos& a, const internal::ExportSpec::Qos& b) {
  return a.SerializeAsString() == b.SerializeAsString();
}

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

std::vector<std::string> SocketDirectories(const Config& config) {
  std::vector<std::string> directories = config.allow_socket;
  directories.push_back(config.runtime_dir);
  return directories;
}

// In the runtime directory every dead socket is one of ours.
ExportSocket::IfDead IfDeadFor(const Config& config, const internal::ExportSpec& spec) {
  return IsSameOrBelow(spec.socket_path(), config.runtime_dir) ? ExportSocket::IfDead::kReplace
                                                               : ExportSocket::IfDead::kRefuse;
}

}  // namespace

Export::Export(const Surroundings& surroundings, internal::ExportRecord record, Origin origin)
    : surroundings_(surroundings),
      record_(std::move(record)),
      origin_(origin),
      inflight_calls_(surroundings.loop, surroundings.timing.worker.list,
                      [this](uint64_t number) { worker_->ListInflight(number); }),
      restart_policy_(surroundings.timing.restart),
      draining_(record_.draining()) {}

Export::~Export() {
  surroundings_.loop.Cancel(restart_timer_);
  surroundings_.loop.Cancel(healthy_timer_);
}

ExportView Export::View() const {
  return {.record = record_,
          .state = state_,
          .conditions = conditions_,
          .last_failure = last_failure_,
          .worker_pid = worker_ == nullptr ? 0 : worker_->pid(),
          .restarts = restarts_,
          .worker = status_};
}

ExportSample Export::Sample() const {
  if (worker_ != nullptr) worker_->RefreshStatus();
  return counting_.Sample(View(), surroundings_.config.slow_request);
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

void Export::Restore(os::UniqueFd source) {
  source_ = std::move(source);
  if (const absl::Status status = Listen(); !status.ok()) return Fail(status);
  if (const absl::Status status = LaunchWorker(); !status.ok()) {
    OnFailure(ReasonOf(status).value_or("WORKER_FAILED"), std::string(status.message()),
              absl::ZeroDuration());
  }
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

absl::StatusOr<os::UniqueFd> Export::MakeWorkerSpec(bool in_user_namespace,
                                                    bool has_device_wall) const {
  internal::WorkerSpec spec;
  spec.set_version(ipc::kProtocolVersion);
  spec.set_export_uid(record_.uid());
  *spec.mutable_spec() = record_.spec();
  spec.set_log_level(static_cast<int>(surroundings_.log_level));
  spec.set_draining(draining_);
  spec.set_slow_request_nanos(absl::ToInt64Nanoseconds(surroundings_.config.slow_request));
  spec.set_in_user_namespace(in_user_namespace);
  spec.set_has_device_wall(has_device_wall);
  const std::string bytes = spec.SerializeAsString();
  auto file = os::CreateSealedFile("fsd-worker-spec", std::as_bytes(std::span(bytes)));
  if (!file.ok()) return ErrnoStatus(file.error(), "make the worker's specification");
  return *std::move(file);
}

absl::Status Export::LaunchWorker() {
  if (control_.has_value()) control_->RemoveFile();
  FSD_ASSIGN_OR_RETURN(control_, ExportSocket::Listen(ControlSocketPath(surroundings_.config, id()),
                                                      os::SocketType::kSeqPacket, {.mode = 0600},
                                                      ExportSocket::IfDead::kReplace));
  // Dialled while it is surely ours; the worker finds us in its backlog.
  auto channel = os::ConnectUnix(control_->path(), os::SocketType::kSeqPacket);
  if (!channel.ok()) return ErrnoStatus(channel.error(), "dial the worker's control socket");
  FSD_ASSIGN_OR_RETURN(const auto user_namespace,
                       surroundings_.user_namespaces.For(record_.spec()));
  FSD_ASSIGN_OR_RETURN(const int counters, counting_.FileFor(record_.spec()));
  WorkerCgroup cgroup = MakeWorkerCgroup(surroundings_.cgroups, record_.spec());
  FSD_ASSIGN_OR_RETURN(const os::UniqueFd spec,
                       MakeWorkerSpec(user_namespace != nullptr, cgroup.has_device_wall));
  FSD_ASSIGN_OR_RETURN(
      LaunchedWorker launched,
      supervisor::LaunchWorker(
          {.binary = surroundings_.config.worker_binary,
           .export_id = id(),
           .spec = spec.get(),
           .control_listener = control_->fd(),
           .vhost_listener = vhost_->fd(),
           .source_directory = source_.get(),
           .counters = counters,
           .pid_namespace = HasPidNamespace(record_.spec()),
           .user_namespace = user_namespace == nullptr ? -1 : user_namespace->get(),
           .cgroup_procs = cgroup.procs.get()}));
  ThrottleWorker(surroundings_.cgroups, record_.spec(), source_.get(), cgroup);
  ReportUnenforcedLimits(cgroup.unenforced);
  control_->StopListening();
  const pid_t pid = launched.pid;
  FSD_ASSIGN_OR_RETURN(
      worker_, WorkerProcess::Watch(
                   surroundings_.loop, surroundings_.timing.worker, id(), record_.uid(),
                   std::move(launched), ipc::WorkerChannel(*std::move(channel)),
                   {.on_status = [this](const internal::WorkerStatus& status) { OnStatus(status); },
                    .on_inflight =
                        [this](const internal::FromWorker::InflightRequests& requests) {
                          inflight_calls_.OnAnswer(requests);
                        },
                    .on_kill =
                        [this] {
                          if (const auto killed = std::exchange(killed_, nullptr)) killed();
                        },
                    .on_end = [this](const WorkerEnd& end) { OnWorkerEnd(end); }}));
  FSD_LOG(kInfo, id(), "worker %d started", pid);
  if (!awaited_changes_.empty()) {
    awaited_changes_.clear();
    RemoveCondition(kUpdatePending);
    surroundings_.changed(*this);
  }
  return absl::OkStatus();
}

void Export::OnStatus(const internal::WorkerStatus& status) {
  if (stopping_) return;
  const bool inodes_refused = status.inodes_refused() > status_.inodes_refused();
  const bool connection_changed =
      status_.state() != status.state() || status_.draining() != status.draining() ||
      status_.retiring() != status.retiring() || !IsSame(status_.qos(), status.qos()) ||
      connected_since_unix_nanos() != status.connection().since_unix_nanos();
  status_ = status;
  if (healthy_timer_ == kNoTimer && HasCondition(kWorkerCrashed)) {
    healthy_timer_ = surroundings_.loop.CallAfter(surroundings_.timing.restart.healthy_after,
                                                  [this] { OnHealthy(); });
  }
  ReportRefusedInodes(inodes_refused, status.inodes_spent());
  ReportHandleLack(status.handle_lack());
  ReportLandlockLack(status.landlock_lacking());
  ReportRefusedDevices(status.devices_refused());
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

void Export::ReportRefusedInodes(bool refused, bool spent) {
  constexpr std::string_view kReason = "INODE_REFERENCES_EXHAUSTED";
  ReportLack(kReason, refused || (spent && HasCondition(kReason)),
             "the guest knows more files than the worker may keep descriptors of, and requests "
             "failed with ENFILE; raise the export's inodes.max_file_descriptors or, if its file "
             "system has host handles, do not set inodes.host_handles to NEVER");
}

void Export::OnHealthy() {
  healthy_timer_ = kNoTimer;
  RemoveCondition(kWorkerCrashed);
  surroundings_.changed(*this);
}

void Export::ReportUnenforcedLimits(const std::string& message) {
  constexpr std::string_view kReason = "LIMITS_NOT_ENFORCED";
  const auto now = std::find_if(conditions_.begin(), conditions_.end(),
                                [kReason](const Condition& c) { return c.reason == kReason; });
  if (now == conditions_.end() ? message.empty() : now->message == message) return;
  RemoveCondition(kReason);
  if (!message.empty()) {
    AddCondition(kReason, message);
    FSD_LOG(kWarning, id(), "limits are not enforced: %s", message);
  }
  surroundings_.changed(*this);
}

void Export::ReportHandleLack(internal::WorkerStatus::HandleLack lack) {
  ReportLack(
      "HOST_HANDLES_UNAVAILABLE", lack != internal::WorkerStatus::HANDLE_LACK_NONE,
      absl::StrCat(
          "inodes are held by descriptor only, as if inodes.host_handles were "
          "NEVER: ",
          lack == internal::WorkerStatus::HANDLE_LACK_NOT_PERMITTED
              ? "they take CAP_DAC_READ_SEARCH and CAP_DAC_OVERRIDE, and sandbox mode NAMESPACE "
                "without a user namespace"
              : "the export's file system has no handles that can be used"));
}

void Export::ReportLandlockLack(bool lacking) {
  ReportLack("LANDLOCK_UNAVAILABLE", lacking,
             "the host's kernel has no Landlock that can be used (Linux 5.19 or later, with it "
             "among the boot parameter lsm), so that the worker is confined by the other walls of "
             "its jail only");
}

void Export::ReportRefusedDevices(bool refused) {
  ReportLack(
      "DEVICES_REFUSED", refused,
      "the guest cannot make device nodes (EPERM), as its worker could open them on what the "
      "host mounts below the export later; give the server a cgroup (cgroup in its "
      "configuration) on a kernel with CONFIG_CGROUP_BPF, make the export's mount private "
      "on the host, or, if nobody wants devices, drop CAP_MKNOD");
}

void Export::ReportLack(std::string_view reason, bool lacking, std::string_view message) {
  if (lacking == HasCondition(reason)) return;
  if (lacking) {
    AddCondition(reason, std::string(message));
    FSD_LOG(kWarning, id(), "%s", conditions_.back().message);
  } else {
    RemoveCondition(reason);
  }
  surroundings_.changed(*this);
}

void Export::OnWorkerEnd(const WorkerEnd& end) {
  const pid_t pid = worker_->pid();
  worker_.reset();
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
  AddCondition(kWorkerCrashed, how);
  last_failure_ = conditions_.back();
  SetState(ExportState::kRecovering);
  restart_timer_ = surroundings_.loop.CallAfter(*delay, [this] { Restart(); });
}

void Export::Restart() {
  ++restarts_;
  if (const absl::Status status = LaunchWorker(); !status.ok()) {
    FSD_LOG(kError, id(), "worker cannot be started: %s", std::string(status.message()));
    OnFailure(ReasonOf(status).value_or("WORKER_FAILED"), std::string(status.message()),
              absl::ZeroDuration());
    TellRestarted(status);
  }
}

bool Export::in_use() const {
  return left_to_earlier_worker_ || status_.state() == internal::WorkerStatus::STATE_CONNECTED ||
         status_.state() == internal::WorkerStatus::STATE_MOUNTED;
}

bool Export::is_drained() const {
  if (!draining_ || left_to_earlier_worker_) return false;
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
  const bool same_qos = IsSame(record.spec().qos(), record_.spec().qos());
  record_ = std::move(record);
  if (!same_qos && worker_ != nullptr) worker_->SetQos(record_.spec().qos());
  // Without a worker, the next one is on the way, or there will be none.
  if (!for_next_worker.empty() && worker_ != nullptr && !exchanging_ && !stopping_) {
    if (awaited_changes_.empty()) worker_->Retire();
    awaited_changes_.insert(for_next_worker.begin(), for_next_worker.end());
    std::string names;
    for (const std::string_view name : awaited_changes_) {
      absl::StrAppend(&names, names.empty() ? "" : ", ", Absl(name));
    }
    AddCondition(kUpdatePending,
                 absl::StrCat("these take effect when no front-end is connected: ", names));
  }
  surroundings_.changed(*this);
}

bool Export::worker_knows_draining() const {
  // One that is not ready may have been told only after its start.
  return worker_ == nullptr || exchanging_ ||
         (status_.state() != internal::WorkerStatus::STATE_UNSPECIFIED &&
          status_.draining() == draining_);
}

bool Export::updates_are_known() const {
  // Whoever is not there yet, or not any more, is followed by one whose specification has them.
  if (worker_ == nullptr || exchanging_ || stopping_) return true;
  if (!awaited_changes_.empty() && !status_.retiring()) return false;
  return status_.state() == internal::WorkerStatus::STATE_UNSPECIFIED ||
         IsSame(status_.qos(), record_.spec().qos());
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
  Restart();
}

void Export::Revive(os::UniqueFd source, ReadyCallback ready) {
  FSD_LOG(kInfo, id(), "begins anew as asked for");
  conditions_.clear();
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

void Export::LeaveToEarlierWorker() {
  left_to_earlier_worker_ = true;
  Fail("WORKER_NOT_ADOPTED",
       "a worker that an earlier supervisor left running serves it, and is left alone; delete the "
       "export with force and create it again to replace it");
}

void Export::Fail(const absl::Status& why) {
  Fail(ReasonOf(why).value_or("INTERNAL"), std::string(why.message()));
}

void Export::Fail(std::string_view reason, std::string_view message) {
  FSD_LOG(kError, id(), "given up: %s", message);
  AddCondition(reason, message);
  last_failure_ = conditions_.back();
  if (vhost_.has_value()) vhost_->StopListening();
  SetState(ExportState::kFailed);
}

void Export::AddCondition(std::string_view reason, std::string_view message) {
  RemoveCondition(reason);
  conditions_.push_back(
      {.reason = std::string(reason), .message = std::string(message), .since = absl::Now()});
}

bool Export::HasCondition(std::string_view reason) const {
  return std::any_of(conditions_.begin(), conditions_.end(),
                     [reason](const Condition& c) { return c.reason == reason; });
}

void Export::RemoveCondition(std::string_view reason) {
  std::erase_if(conditions_, [reason](const Condition& c) { return c.reason == reason; });
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
  if (left_to_earlier_worker_) {
    auto stopping =
        EarlierWorker::Stop(surroundings_.loop, ControlSocketPath(surroundings_.config, id()),
                            record_.spec().socket_path(), deleted);
    if (stopping.ok()) {
      stopping_ = true;
      earlier_worker_ = *std::move(stopping);
      return;
    }
    FSD_LOG(kWarning, id(), "earlier worker: %s", std::string(stopping.status().message()));
  }
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
