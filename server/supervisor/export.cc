#include "server/supervisor/export.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "server/errors/check.h"
#include "server/errors/status_macros.h"
#include "server/os/unix_socket.h"
#include "server/supervisor/error_reason.h"
#include "server/supervisor/export_spec.h"
#include "server/supervisor/export_state.h"
#include "server/supervisor/handover_check.h"
#include "server/supervisor/paths.h"
#include "server/supervisor/worker_cgroup.h"
#include "server/telemetry/log.h"

namespace fsd::supervisor {
namespace {

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
  return counting_.Sample(View(), absl::Nanoseconds(surroundings_.slow_request_nanos.load()));
}

void Export::ListInflight(InflightCalls::Done done) {
  // An earlier supervisor's answers only what it is asked for once it has been adopted.
  if (worker_ == nullptr || adopting_) {
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

ExportSocket::IfDead Export::if_dead() const {
  // Our record names the socket: a dead one there is ours wherever it is.
  if (origin_ == Origin::kStore) return ExportSocket::IfDead::kReplace;
  return IfDeadFor(surroundings_.config, record_.spec());
}

absl::Status Export::Listen() {
  const internal::ExportSpec& spec = record_.spec();
  FSD_ASSIGN_OR_RETURN(
      vhost_, ExportSocket::ListenBelow(SocketDirectories(surroundings_.config), spec.socket_path(),
                                        os::SocketType::kStream, AccessOf(spec), if_dead()));
  return absl::OkStatus();
}

void Export::SetCondition(std::string_view reason, std::string_view message) {
  if (conditions_.Set(id(), reason, message)) surroundings_.changed(*this);
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

absl::Status Export::ChangeSocketAccess(const internal::ExportSpec& spec) {
  if (!vhost_.has_value() || vhost_->fd() < 0) return absl::OkStatus();
  return vhost_->ChangeAccess(AccessOf(spec));
}

void Export::Update(internal::ExportRecord record,
                    const std::vector<std::string_view>& for_next_worker) {
  const bool relimit = !IsSame(record.spec().limits(), record_.spec().limits());
  const bool same_qos = IsSame(record.spec().qos(), record_.spec().qos());
  record_ = std::move(record);
  if (!same_qos && worker_ != nullptr) worker_->SetQos(record_.spec().qos());
  if (relimit && worker_ != nullptr && !adopting_) Relimit();
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
  conditions_.Add(condition::kUpdatePending,
                  absl::StrCat("these take effect when no front-end is connected: ", all));
}

void Export::OnMemoryNotLimited(pid_t worker, Errno error) {
  if (worker_ == nullptr || worker_->pid() != worker) return;
  const std::string_view others = conditions_.MessageOf(condition::kLimitsNotEnforced);
  SetCondition(condition::kLimitsNotEnforced,
               absl::StrCat(Absl(others), others.empty() ? "" : "; ", "memory_bytes: ",
                            ErrnoStatus(error, "write it to memory.max").message()));
}

void Export::Relimit() {
  // Told where this may be gone, and this worker too.
  const auto on_memory = [this, queue = surroundings_.loop.queue(), alive = std::weak_ptr(alive_),
                          pid = worker_->pid()](ErrnoOr<void> written) {
    if (written.ok()) return;
    queue->Post([this, alive, pid, error = written.error()] {
      if (!alive.expired()) OnMemoryNotLimited(pid, error);
    });
  };
  SetCondition(condition::kLimitsNotEnforced,
               RelimitWorker(surroundings_.cgroups, record_.spec(), worker_->pid(), source_.get(),
                             [&](os::UniqueFd file, std::string text) {
                               slow_writes_->Write(std::move(file), std::move(text), on_memory);
                             }));
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

void Export::TellSlowRequest() {
  if (worker_ != nullptr) worker_->SetSlowRequest(surroundings_.slow_request_nanos);
}

void Export::Disconnect() {
  if (worker_ != nullptr) worker_->Disconnect();
}

void Export::CutConnection() {
  if (worker_ != nullptr) worker_->Kill("it did not end its front-end's connection");
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
