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
namespace {

constexpr size_t kHighPriorityQueue = 0;

}  // namespace

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
  if (!options.clock.has_value()) options.clock = os::CycleClock::Start();
  options.clock->Calibrate();
  if (options.counters == nullptr) {
    ErrnoOr<telemetry::ExportCounters> counters = telemetry::ExportCounters::MakePrivate();
    if (!counters.ok()) {
      return absl::ResourceExhaustedError(ErrnoStatus(counters.error(), "map counters").message());
    }
    options.counters = std::make_shared<const telemetry::ExportCounters>(*std::move(counters));
  }
  ErrnoOr<std::unique_ptr<StuckWatch>> watch = StuckWatch::Create();
  if (!watch.ok()) {
    return absl::ResourceExhaustedError(ErrnoStatus(watch.error(), "make a timer").message());
  }
  FSD_ASSIGN_OR_RETURN(std::unique_ptr<SlowLane> slow_lane,
                       SlowLane::Create("fsd-slow", options.slow_threads, 0));
  return std::unique_ptr<VirtioFsDevice>(new VirtioFsDevice(
      std::move(options), session, tasks, *std::move(watch), std::move(slow_lane)));
}

VirtioFsDevice::VirtioFsDevice(Options options, fuse::Session& session, TaskQueue& tasks,
                               std::unique_ptr<StuckWatch> watch,
                               std::unique_ptr<SlowLane> slow_lane)
    : options_(std::move(options)),
      session_(session),
      tasks_(tasks),
      slow_requests_(options_.export_name, options_.slow_request),
      limits_(options_.limits_clock),
      memory_(tasks),
      watch_(std::move(watch)),
      slow_lane_(std::move(slow_lane)) {
  limits_.Set(options_.limits);
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
  if (!Draining()) {
    drain_ = {};
  } else if (const auto now = std::chrono::steady_clock::now(); !drain_.since.has_value()) {
    drain_.since = now;
  } else if (absl::FromChrono(now - *drain_.since) >= options_.drain_patience) {
    EndDrain();
  }
  if (AnyAwake() || Draining()) return watch_->GoOn();
  watch_->Rest();
  if (AnyAwake()) watch_->Rouse();
}

bool VirtioFsDevice::Stopping() const {
  return std::ranges::any_of(vrings_, [](const auto& v) { return v->stopping; });
}

bool VirtioFsDevice::Draining() const { return Stopping() || memory_.waiting(); }

void VirtioFsDevice::EndDrain() {
  for (const auto& vring : vrings_) {
    if (vring->stopping && !vring->thread->Quiesce()) return;
  }
  if (!RenewMemory()) return;
  std::vector<size_t> suspended;
  for (size_t index = 0; index < vrings_.size(); ++index) {
    // What Suspend refuses has just ended by itself.
    if (vrings_[index]->stopping && vrings_[index]->thread->Suspend()) suspended.push_back(index);
  }
  if (const ErrnoOr<void> revoked = memory_.RevokeEarlier(); !revoked.ok()) {
    for (const size_t index : suspended) vrings_[index]->thread->Unsuspend();
    return CannotEndDrain(ErrnoStatus(revoked.error(), "make it private"));
  }
  drain_ = {};
  for (const size_t index : suspended) {
    FSD_LOG(kWarning, options_.export_name,
            "queue %d stops with requests in flight that do not end: the guest's memory is taken "
            "from them",
            index);
    Vring& vring = *vrings_[index];
    vring.thread->KeepArguments();
    vring.next_available = vring.thread->next_available();
    vring.suspended = std::move(vring.thread);
    vring.stopping = false;
    if (reset_phase_ != ResetPhase::kNone) Discard(std::move(vring.suspended));
  }
  for (const size_t index : suspended) AnswerStop(index);
  EndSessionIfIdle();
}

bool VirtioFsDevice::RenewMemory() {
  if (Stopping() && !drain_.memory_renewed) {
    if (const absl::Status renewed = memory_.Renew(); !renewed.ok()) {
      CannotEndDrain(renewed);
      return false;
    }
    drain_.memory_renewed = true;
    for (const auto& vring : vrings_) {
      if (vring->thread != nullptr) vring->thread->RefreshMemory();
    }
  }
  return std::ranges::none_of(vrings_, [this](const auto& vring) {
    return vring->thread != nullptr && vring->thread->MayUseEarlier(memory_.generation());
  });
}

void VirtioFsDevice::CannotEndDrain(const absl::Status& why) {
  drain_.since.reset();
  if (std::exchange(drain_.told, true)) return;
  FSD_LOG(kWarning, options_.export_name,
          "a stop or a change of memory waits for requests in flight, which keep the guest's "
          "memory: %s",
          why.ToString());
}

absl::Status VirtioFsDevice::ResumeVring(Vring& vring, QueueSetup& setup) {
  FSD_RETURN_IF_ERROR(vring.suspended->Resume(std::move(setup)));
  vring.thread = std::move(vring.suspended);
  return absl::OkStatus();
}

void VirtioFsDevice::Discard(std::unique_ptr<QueueThread> suspended) {
  QueueThread* const ring = suspended.get();
  leaving_.push_back(std::move(suspended));
  ring->Discard([this, ring] {
    std::erase_if(leaving_, [ring](const auto& leaving) { return leaving.get() == ring; });
  });
}

size_t VirtioFsDevice::RunningVrings() const {
  return static_cast<size_t>(
      std::ranges::count_if(vrings_, [](const auto& v) { return v->thread != nullptr; }));
}

bool VirtioFsDevice::AnyAwake() const {
  return std::ranges::any_of(
      vrings_, [](const auto& v) { return v->thread != nullptr && v->thread->awake(); });
}

VirtioFsDevice::InFlightList VirtioFsDevice::ListInFlight(size_t max_requests) const {
  const auto younger = [](const InFlight& a, const InFlight& b) { return a.age > b.age; };
  InFlightList list;
  const uint64_t now = options_.clock->Now();
  for (size_t index = 0; index < vrings_.size(); ++index) {
    const Vring& vring = *vrings_[index];
    const QueueThread* const ring =
        vring.thread != nullptr ? vring.thread.get() : vring.suspended.get();
    if (ring == nullptr) continue;
    ring->VisitInFlight([&](const RequestSlot::Sight& sight) {
      ++list.total;
      if (max_requests == 0) return;
      list.oldest.push_back(
          {.queue = index,
           .opcode = sight.opcode,
           .unique = sight.unique,
           .node = sight.node,
           .age = std::chrono::nanoseconds(options_.clock->NanosecondsBetween(sight.since, now))});
      // A heap whose top is the youngest: that gives way.
      std::ranges::push_heap(list.oldest, younger);
      if (list.oldest.size() <= max_requests) return;
      std::ranges::pop_heap(list.oldest, younger);
      list.oldest.pop_back();
    });
  }
  std::ranges::sort_heap(list.oldest, younger);
  return list;
}

void VirtioFsDevice::SetMemory(std::shared_ptr<const virtqueue::GuestMemory> memory,
                               std::function<void()> done) {
  memory_.Replace(std::move(memory), std::move(done));
  watch_->Rouse();
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
  const virtqueue::VirtqueueSetup& ring = start.setup;
  // By mappings of its own, which stay the guest's when memory is taken from requests.
  FSD_ASSIGN_OR_RETURN(const std::shared_ptr<const virtqueue::GuestMemory> areas,
                       memory_.table()->MappedAgain(std::array<uint64_t, 3>{
                           ring.descriptor_address, ring.available_address, ring.used_address}));
  FSD_ASSIGN_OR_RETURN(std::unique_ptr<virtqueue::Virtqueue> queue,
                       virtqueue::Virtqueue::Create(ring, areas));
  if (ring_lane_ == nullptr) {
    const size_t threads = queue_count() + options_.spare_threads;
    FSD_ASSIGN_OR_RETURN(ring_lane_, SlowLane::Create("fsd-queue", threads, 0));
  }
  FSD_RETURN_IF_ERROR(ring_lane_->Reserve(RunningVrings() + 1));
  FSD_RETURN_IF_ERROR(slow_lane_->Reserve(1));
  const bool continued = vring.suspended != nullptr && vring.suspended->ContinuedBy(*queue);
  QueueSetup setup{.index = index,
                   .queue = std::move(queue),
                   .kick = std::move(start.kick),
                   .enabled = vring.enabled,
                   .poll = options_.poll,
                   // FORGETs come one by one and nobody waits for them. Served so they take a
                   // wake-up for two, and CPU time of some 2 µs each.
                   .coalesce = index == kHighPriorityQueue,
                   // FORGETs and INTERRUPTs only make things less.
                   .limits = index == kHighPriorityQueue ? nullptr : &limits_,
                   .call = vring.call,
                   .error = vring.error,
                   .log = log_};
  if (continued) return ResumeVring(vring, setup);
  if (vring.suspended != nullptr) Discard(std::move(vring.suspended));
  const QueueServices services{.export_name = options_.export_name,
                               .session = session_,
                               .slow_lane = *slow_lane_,
                               .ring_lane = *ring_lane_,
                               .watch = *watch_,
                               .memory = memory_,
                               .tasks = tasks_,
                               .clock = *options_.clock,
                               .counters = *options_.counters,
                               .slow_requests = slow_requests_,
                               .busy_rings = busy_rings_};
  FSD_ASSIGN_OR_RETURN(vring.thread, QueueThread::Start(services, std::move(setup)));
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
  drain_ = {};
  vring.thread->Stop([this, index] { OnVringStopped(index); });
  watch_->Rouse();
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
    if (vrings_[index]->suspended != nullptr) Discard(std::move(vrings_[index]->suspended));
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
  ErrnoOr<os::Thread> thread = os::Thread::Start("fsd-teardown", [this] { Run(); });
  if (thread.ok()) {
    teardown_ = *std::move(thread);
  } else if (slow_lane_->Reserve(1).ok()) {
    slow_lane_->Submit(*this);
  } else {
    Run();  // no ring has ever started, so that nothing is open whose closing could block
  }
}

void VirtioFsDevice::Run() {
  session_.Reset();
  tasks_.Post([this] { OnSessionEnded(); });
}

void VirtioFsDevice::OnSessionEnded() {
  teardown_.Join();
  // Without rings its threads are idle or about to be: their end is not waited for long.
  if (leaving_.empty()) ring_lane_.reset();
  reset_phase_ = ResetPhase::kNone;
  options_.on_session_ended();
  const auto done = std::exchange(on_reset_, nullptr);
  done();
}

}  // namespace fsd::worker
