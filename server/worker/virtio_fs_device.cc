#include "server/worker/virtio_fs_device.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "server/errors/check.h"
#include "server/errors/errno_or.h"
#include "server/errors/status_macros.h"
#include "server/telemetry/log.h"
#include "server/virtqueue/virtqueue.h"

namespace fsd::worker {

absl::StatusOr<std::unique_ptr<VirtioFsDevice>> VirtioFsDevice::Create(Options options,
                                                                       fuse::Session& session,
                                                                       TaskQueue& tasks) {
  if (options.tag.empty() || options.tag.size() > kMaxTagBytes) {
    return absl::InvalidArgumentError(
        absl::StrCat("tag of ", options.tag.size(), " bytes; it must have 1 to ", kMaxTagBytes));
  }
  if (options.request_queues == 0 || options.request_queues > kMaxRequestQueues) {
    return absl::InvalidArgumentError(absl::StrCat(
        options.request_queues, " request queues; there must be 1 to ", kMaxRequestQueues));
  }
  ErrnoOr<std::unique_ptr<StuckWatch>> watch = StuckWatch::Create();
  if (!watch.ok()) {
    return absl::ResourceExhaustedError(ErrnoStatus(watch.error(), "make a timer").message());
  }
  FSD_ASSIGN_OR_RETURN(std::unique_ptr<SlowLane> slow_lane,
                       SlowLane::Create("fsd-slow", options.slow_threads));
  return std::unique_ptr<VirtioFsDevice>(new VirtioFsDevice(
      std::move(options), session, tasks, *std::move(watch), std::move(slow_lane)));
}

VirtioFsDevice::VirtioFsDevice(Options options, fuse::Session& session, TaskQueue& tasks,
                               std::unique_ptr<StuckWatch> watch,
                               std::unique_ptr<SlowLane> slow_lane)
    : options_(std::move(options)),
      session_(session),
      tasks_(tasks),
      memory_(tasks),
      watch_(std::move(watch)),
      slow_lane_(std::move(slow_lane)) {
  config_.fill(std::byte{0});
  std::memcpy(config_.data(), options_.tag.data(), options_.tag.size());
  for (size_t i = 0; i < sizeof(uint32_t); ++i) {
    config_[kMaxTagBytes + i] = static_cast<std::byte>(options_.request_queues >> (8 * i));
  }
  for (size_t i = 0; i < 1 + options_.request_queues; ++i) {
    vrings_.push_back(std::make_unique<Vring>());
  }
}

VirtioFsDevice::~VirtioFsDevice() {
  FSD_CHECK(std::ranges::all_of(vrings_, [](const auto& v) { return v->thread == nullptr; }));
}

void VirtioFsDevice::OnTick() {
  for (const auto& vring : vrings_) {
    if (vring->thread != nullptr) vring->thread->HandOverIfStuck();
  }
  if (AnyAwake()) return watch_->GoOn();
  watch_->Rest();
  if (AnyAwake()) watch_->Rouse();
}

size_t VirtioFsDevice::RunningVrings() const {
  return static_cast<size_t>(
      std::ranges::count_if(vrings_, [](const auto& v) { return v->thread != nullptr; }));
}

bool VirtioFsDevice::AnyAwake() const {
  return std::ranges::any_of(
      vrings_, [](const auto& v) { return v->thread != nullptr && v->thread->awake(); });
}

void VirtioFsDevice::SetMemory(std::shared_ptr<const virtqueue::GuestMemory> memory,
                               std::function<void()> done) {
  memory_.Replace(std::move(memory), std::move(done));
  for (const auto& vring : vrings_) {
    if (vring->thread != nullptr) vring->thread->RefreshMemory();
  }
}

void VirtioFsDevice::SetDirtyLog(std::shared_ptr<const virtqueue::DirtyLog> log) {
  log_ = std::move(log);
  for (const auto& vring : vrings_) {
    if (vring->thread != nullptr) vring->thread->SetDirtyLog(log_);
  }
}

absl::Status VirtioFsDevice::StartVring(size_t index, vhost_user::VringStart start) {
  Vring& vring = *vrings_[index];
  if (vring.thread != nullptr || reset_phase_ != ResetPhase::kNone) {
    return absl::FailedPreconditionError(absl::StrCat("vring ", index, " has not stopped"));
  }
  FSD_ASSIGN_OR_RETURN(std::unique_ptr<virtqueue::Virtqueue> queue,
                       virtqueue::Virtqueue::Create(start.setup, memory_.table()));
  if (ring_lane_ == nullptr) {
    const size_t threads = queue_count() + options_.spare_threads;
    FSD_ASSIGN_OR_RETURN(ring_lane_, SlowLane::Create("fsd-queue", threads, 0));
  }
  FSD_RETURN_IF_ERROR(ring_lane_->Reserve(RunningVrings() + 1));
  const QueueServices services{.export_name = options_.export_name,
                               .session = session_,
                               .slow_lane = *slow_lane_,
                               .ring_lane = *ring_lane_,
                               .watch = *watch_,
                               .memory = memory_,
                               .tasks = tasks_};
  FSD_ASSIGN_OR_RETURN(vring.thread, QueueThread::Start(services, {.index = index,
                                                                   .queue = std::move(queue),
                                                                   .kick = std::move(start.kick),
                                                                   .enabled = vring.enabled,
                                                                   .poll = options_.poll,
                                                                   .call = vring.call,
                                                                   .error = vring.error,
                                                                   .log = log_}));
  return absl::OkStatus();
}

void VirtioFsDevice::StopVring(size_t index, std::function<void(uint16_t)> done) {
  Vring& vring = *vrings_[index];
  vring.on_stopped = std::move(done);
  if (vring.thread == nullptr) {
    tasks_.Post([this, index] { AnswerStop(index); });
  } else {
    BeginStop(index);
  }
}

void VirtioFsDevice::AnswerStop(size_t index) {
  Vring& vring = *vrings_[index];
  if (const auto done = std::exchange(vring.on_stopped, nullptr)) done(vring.next_available);
}

void VirtioFsDevice::BeginStop(size_t index) {
  Vring& vring = *vrings_[index];
  if (vring.thread == nullptr || std::exchange(vring.stopping, true)) return;
  vring.thread->Stop([this, index] { OnVringStopped(index); });
}

void VirtioFsDevice::OnVringStopped(size_t index) {
  Vring& vring = *vrings_[index];
  vring.next_available = vring.thread->next_available();
  vring.thread.reset();
  vring.stopping = false;
  AnswerStop(index);
  EndSessionIfIdle();
}

void VirtioFsDevice::SetVringEnabled(size_t index, bool enabled) {
  Vring& vring = *vrings_[index];
  vring.enabled = enabled;
  if (vring.thread != nullptr) vring.thread->SetEnabled(enabled);
}

void VirtioFsDevice::SetVringCall(size_t index, os::UniqueFd call) {
  if (const absl::Status status = vrings_[index]->call.Set(std::move(call)); !status.ok()) {
    FSD_LOG(kWarning, options_.export_name, "queue %d has no call: %s", index, status.ToString());
  }
}

void VirtioFsDevice::SetVringError(size_t index, os::UniqueFd error) {
  if (const absl::Status status = vrings_[index]->error.Set(std::move(error)); !status.ok()) {
    FSD_LOG(kWarning, options_.export_name, "queue %d has no error descriptor: %s", index,
            status.ToString());
  }
}

void VirtioFsDevice::Reset(std::function<void()> done) {
  on_reset_ = std::move(done);
  memory_.ForgetWaiting();
  for (size_t index = 0; index < vrings_.size(); ++index) {
    vrings_[index]->on_stopped = nullptr;
    BeginStop(index);
  }
  // The session that a reset still under way is ending is the one to end.
  if (reset_phase_ != ResetPhase::kNone) return;
  reset_phase_ = ResetPhase::kStoppingRings;
  EndSessionIfIdle();
}

void VirtioFsDevice::EndSessionIfIdle() {
  if (reset_phase_ != ResetPhase::kStoppingRings) return;
  for (const auto& vring : vrings_) {
    if (vring->thread != nullptr) return;
  }
  for (const auto& vring : vrings_) {
    vring->enabled = false;
    vring->next_available = 0;
  }
  reset_phase_ = ResetPhase::kEndingSession;
  slow_lane_->Submit(*this);
}

void VirtioFsDevice::Run() {
  session_.Reset();
  tasks_.Post([this] { OnSessionEnded(); });
}

void VirtioFsDevice::OnSessionEnded() {
  // Without rings its threads are idle or about to be: their end is not waited for long.
  ring_lane_.reset();
  reset_phase_ = ResetPhase::kNone;
  options_.on_session_ended();
  const auto done = std::exchange(on_reset_, nullptr);
  done();
}

}  // namespace fsd::worker
