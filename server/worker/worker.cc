#include "server/worker/worker.h"

#include <poll.h>
#include <sys/epoll.h>

#include <algorithm>
#include <chrono>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "server/errors/errno_or.h"
#include "server/errors/status_macros.h"
#include "server/ipc/worker_channel.h"
#include "server/telemetry/export_counters.h"
#include "server/telemetry/log.h"
#include "server/worker/request_rates.h"
#include "server/worker/session_options.h"

namespace fsd::worker {
namespace {

bool PeerIsGone(int socket) {
  pollfd entry{.fd = socket, .events = POLLRDHUP, .revents = 0};
  return ::poll(&entry, 1, 0) == 1;
}

internal::WorkerStatus::HandleLack HandleLackOf(const backends::FilesystemUsage& usage) {
  switch (usage.handle_lack) {
    case backends::HandleLack::kNone:
      return internal::WorkerStatus::HANDLE_LACK_NONE;
    case backends::HandleLack::kNotPermitted:
      return internal::WorkerStatus::HANDLE_LACK_NOT_PERMITTED;
    case backends::HandleLack::kUnsupported:
      break;
  }
  return internal::WorkerStatus::HANDLE_LACK_UNSUPPORTED;
}

}  // namespace

absl::StatusOr<std::unique_ptr<Worker>> Worker::Create(Options options) {
  if (!ipc::IsSpoken(options.spec.version(), 0)) {
    return absl::InvalidArgumentError(absl::StrCat("specification of version ",
                                                   options.spec.version(), "; this worker knows ",
                                                   ipc::kProtocolVersion));
  }
  ErrnoOr<std::unique_ptr<TaskQueue>> tasks = TaskQueue::Create();
  if (!tasks.ok()) return ErrnoStatus(tasks.error(), "make the task queue");
  ErrnoOr<os::Epoll> epoll = os::Epoll::Create();
  if (!epoll.ok()) return ErrnoStatus(epoll.error(), "make the control thread's epoll");
  std::unique_ptr<Worker> worker(new Worker(options, *std::move(tasks), *std::move(epoll)));
  FSD_RETURN_IF_ERROR(worker->SetUp(options));
  return worker;
}

Worker::Worker(Options& options, std::unique_ptr<TaskQueue> tasks, os::Epoll epoll)
    : spec_(std::move(options.spec)),
      name_(spec_.spec().id()),
      tasks_(std::move(tasks)),
      epoll_(std::move(epoll)),
      filesystem_(std::move(options.filesystem)),
      counters_(std::move(options.counters)),
      landlock_lacking_(options.landlock_lacking),
      devices_refused_(options.devices_refused),
      draining_(spec_.draining()),
      qos_(spec_.spec().qos()) {}

Worker::~Worker() = default;

absl::Status Worker::SetUp(Options& options) {
  // A change of the worker's conditions is told at once; the numbers are when they are asked for.
  filesystem_->WhenInodesAreRefused([this] {
    // A guest can bring it about as often as it likes.
    if (refusal_posted_.exchange(true)) return;
    tasks_->Post([this] {
      refusal_posted_.store(false);
      status_pacer_->Push();
    });
  });
  session_ = std::make_unique<fuse::Session>(
      *filesystem_, SessionOptionsOf(spec_.spec()),
      [this](const fuse::NegotiatedInit& init) { OnMountChange(init); },
      [this] { OnMountChange(std::nullopt); });
  const size_t request_queues = std::max<uint32_t>(1, spec_.spec().request_queues());
  std::shared_ptr<const telemetry::ExportCounters> counters;
  if (counters_.valid()) {
    FSD_ASSIGN_OR_RETURN(telemetry::ExportCounters mapped,
                         telemetry::ExportCounters::Map(counters_.get(), 1 + request_queues));
    counters = std::make_shared<const telemetry::ExportCounters>(std::move(mapped));
  }
  FSD_ASSIGN_OR_RETURN(
      device_,
      VirtioFsDevice::Create({.export_name = name_,
                              .tag = spec_.spec().tag(),
                              .request_queues = request_queues,
                              .poll = std::chrono::microseconds(spec_.spec().poll_us()),
                              .clock = options.clock,
                              .counters = std::move(counters),
                              .slow_request = std::chrono::nanoseconds(spec_.slow_request_nanos()),
                              .limits = RequestRatesOf(qos_),
                              .on_session_ended = [this] { OnUnmounted(); }},
                             *session_, *tasks_));
  supervisors_ = std::make_unique<SupervisorLinks>(
      epoll_,
      SupervisorLinks::Options{
          .export_name = name_,
          .export_uid = spec_.export_uid(),
          .status = [this] { return Status(); },
          .stop = [this] { tasks_->Post([this] { Stop(); }); },
          .set_slow_request =
              [this](std::chrono::nanoseconds slow) { device_->SetSlowRequest(slow); },
          .set_draining =
              [this](bool draining) { tasks_->Post([this, draining] { SetDraining(draining); }); },
          .set_qos =
              [this](const internal::ExportSpec::Qos& qos) {
                tasks_->Post([this, qos] { SetQos(qos); });
              },
          .disconnect = [this] { tasks_->Post([this] { Disconnect(); }); },
          .retire = [this] { tasks_->Post([this] { Retire(); }); },
          .inflight = [this](size_t max_requests) { return InFlight(max_requests); },
          .handover =
              [this] {
                return SupervisorLinks::Handover{.spec = spec_,
                                                 .vhost_listener = vhost_acceptor_->listener(),
                                                 .counters = counters_.get()};
              }});
  FSD_ASSIGN_OR_RETURN(status_pacer_,
                       StatusPacer::Create(epoll_, [this] { supervisors_->PushStatus(); }));
  const ErrnoOr<void> watched =
      epoll_.Add(tasks_->fd(), EPOLLIN, [this](uint32_t) { tasks_->Run(); });
  if (!watched.ok()) return ErrnoStatus(watched.error(), "watch the task queue");
  const ErrnoOr<void> ticks =
      epoll_.Add(device_->tick_fd(), EPOLLIN, [this](uint32_t) { device_->OnTick(); });
  if (!ticks.ok()) return ErrnoStatus(ticks.error(), "watch the device's timer");
  FSD_ASSIGN_OR_RETURN(
      control_acceptor_,
      Acceptor::Create(epoll_, std::move(options.control_listener), name_,
                       [this](os::UniqueFd socket) { supervisors_->Add(std::move(socket)); }));
  FSD_ASSIGN_OR_RETURN(vhost_acceptor_, Acceptor::Create(epoll_, std::move(options.vhost_listener),
                                                         name_, [this](os::UniqueFd socket) {
                                                           OnFrontEnd(std::move(socket));
                                                         }));
  return absl::OkStatus();
}

int Worker::Run() {
  while (!exit_status_.has_value()) epoll_.Wait(-1);
  return *exit_status_;
}

void Worker::OnFrontEnd(os::UniqueFd socket) {
  if (draining_) {
    ++connections_refused_;
    FSD_LOG(kWarning, name_, "front-end refused: the export drains");
    return;
  }
  if (connection_ != nullptr && !PeerIsGone(connection_->fd())) {
    ++connections_refused_;
    FSD_LOG(kWarning, name_, "second front-end refused: one is connected");
    return;
  }
  if (connection_ == nullptr) return Connect(std::move(socket));
  // A guest's end and the next one's start can arrive together, in any order.
  next_front_end_ = std::move(socket);
  EndConnection("closed by the front-end");
}

void Worker::Connect(os::UniqueFd socket) {
  ++connections_accepted_;
  connected_since_unix_nanos_ = absl::ToUnixNanos(absl::Now());
  connection_ = std::make_unique<vhost_user::Connection>(
      std::move(socket), *device_,
      vhost_user::Connection::Options{.export_name = name_,
                                      .offer_config = spec_.spec().advertise_tag(),
                                      .resume = [this] { Advance(0); }});
  FSD_LOG(kInfo, name_, "front-end connected");
  Enter(Phase::kConnected);
  watched_events_ = EPOLLIN;
  const ErrnoOr<void> watched =
      epoll_.Add(connection_->fd(), watched_events_, [this](uint32_t events) { Advance(events); });
  if (!watched.ok()) EndConnection(ErrnoStatus(watched.error(), "watch it").ToString());
}

void Worker::Advance(uint32_t events) {
  if (const auto reason = connection_->Advance(events); reason.has_value()) {
    return EndConnection(vhost_user::StopReasonName(*reason));
  }
  const uint32_t wanted =
      (connection_->wants_read() ? EPOLLIN : 0U) | (connection_->wants_write() ? EPOLLOUT : 0U);
  if (wanted == watched_events_) return;
  watched_events_ = wanted;
  if (!epoll_.Modify(connection_->fd(), wanted).ok()) EndConnection("cannot be watched");
}

void Worker::EndConnection(std::string_view why) {
  FSD_LOG(kInfo, name_, "front-end gone: %s", Absl(why));
  epoll_.Remove(connection_->fd());
  connection_.reset();
  vhost_acceptor_->Pause();
  phase_ = Phase::kEnding;
  ResetDevice();
}

void Worker::ResetDevice() {
  device_->Reset([this] { OnConnectionEnded(); });
}

void Worker::OnConnectionEnded() {
  // Only now, as RESET_DEVICE keeps them: the next front-end is not to be called through the last
  // one's eventfds, nor the guest's memory to stay mapped until then.
  for (size_t index = 0; index < device_->queue_count(); ++index) {
    device_->SetVringCall(index, os::UniqueFd());
    device_->SetVringError(index, os::UniqueFd());
  }
  device_->SetDirtyLog(nullptr);
  device_->SetMemory(std::make_shared<const virtqueue::GuestMemory>(), [] {});
  if (stopping_) {
    // The destructors would wait for the stuck threads; so the supervisor is told first.
    if (device_->stuck()) supervisors_->PushStatus();
    exit_status_ = 0;
    return;
  }
  if (!next_front_end_.valid()) {
    Enter(Phase::kListening);
    if (!retiring_) vhost_acceptor_->Resume();
    return;
  }
  phase_ = Phase::kListening;
  vhost_acceptor_->Resume();
  Connect(std::move(next_front_end_));
}

void Worker::Enter(Phase phase) {
  phase_ = phase;
  status_pacer_->Push();
}

void Worker::OnMountChange(std::optional<fuse::NegotiatedInit> mounted) {
  {
    const os::MutexLock lock(mount_mutex_);
    mount_change_ = mounted;
    if (std::exchange(mount_change_posted_, true)) return;
  }
  tasks_->Post([this] { TakeMountChange(); });
}

void Worker::TakeMountChange() {
  std::optional<fuse::NegotiatedInit> mounted;
  {
    const os::MutexLock lock(mount_mutex_);
    mount_change_posted_ = false;
    mounted = mount_change_;
  }
  if (mounted) return OnMounted(*mounted);
  OnUnmounted();
}

void Worker::OnMounted(const fuse::NegotiatedInit& init) {
  if (connection_ == nullptr) return;
  init_ = init;
  Enter(Phase::kMounted);
}

void Worker::OnUnmounted() {
  init_ = {};
  if (phase_ == Phase::kMounted) Enter(Phase::kConnected);
}

void Worker::Stop() {
  if (std::exchange(stopping_, true)) return;
  vhost_acceptor_->Pause();
  if (connection_ != nullptr) return EndConnection("the worker stops");
  if (phase_ == Phase::kListening) ResetDevice();
}

void Worker::SetDraining(bool draining) {
  draining_ = draining;
  status_pacer_->Push();
}

void Worker::SetQos(const internal::ExportSpec::Qos& qos) {
  qos_ = qos;
  device_->SetLimits(RequestRatesOf(qos_));
  status_pacer_->Push();
}

void Worker::Disconnect() {
  if (connection_ != nullptr) EndConnection("the supervisor ends its connection");
}

void Worker::Retire() {
  retiring_ = true;
  if (phase_ == Phase::kListening && !stopping_) vhost_acceptor_->Pause();
  status_pacer_->Push();
}

internal::FromWorker::InflightRequests Worker::InFlight(size_t max_requests) const {
  const VirtioFsDevice::InFlightList list = device_->ListInFlight(max_requests);
  internal::FromWorker::InflightRequests requests;
  requests.set_total(list.total);
  for (const VirtioFsDevice::InFlight& request : list.oldest) {
    internal::InflightRequest& told = *requests.add_requests();
    told.set_queue(static_cast<uint32_t>(request.queue));
    told.set_opcode(request.opcode);
    told.set_unique(request.unique);
    told.set_node_id(request.node);
    told.set_age_nanos(static_cast<uint64_t>(request.age.count()));
  }
  return requests;
}

internal::WorkerStatus Worker::Status() const {
  internal::WorkerStatus status;
  status.set_state(phase_ == Phase::kListening ? internal::WorkerStatus::STATE_LISTENING
                   : phase_ == Phase::kMounted ? internal::WorkerStatus::STATE_MOUNTED
                                               : internal::WorkerStatus::STATE_CONNECTED);
  if (phase_ != Phase::kListening) {
    internal::Connection& connection = *status.mutable_connection();
    connection.set_since_unix_nanos(connected_since_unix_nanos_);
    if (connection_ != nullptr) {
      connection.set_virtio_features(connection_->virtio_features());
      connection.set_protocol_features(connection_->protocol_features());
      connection.set_queues(static_cast<uint32_t>(connection_->started_vrings()));
    }
    connection.set_fuse_major(init_.major);
    connection.set_fuse_minor(init_.minor);
    connection.set_init_flags(init_.flags);
  }
  status.set_stuck(stopping_ && device_->stuck());
  const backends::FilesystemUsage usage = filesystem_->Usage();
  status.set_handle_lack(HandleLackOf(usage));
  status.set_landlock_lacking(landlock_lacking_);
  status.set_devices_refused(devices_refused_);
  status.set_draining(draining_);
  status.set_retiring(retiring_);
  if (qos_.ByteSizeLong() > 0) *status.mutable_qos() = qos_;
  status.set_inodes(usage.inodes);
  status.set_open_files(usage.open_files);
  status.set_inodes_refused(usage.inodes_refused);
  status.set_inodes_spent(usage.inodes_spent);
  status.set_connections_accepted(connections_accepted_);
  status.set_connections_refused(connections_refused_);
  return status;
}

}  // namespace fsd::worker
