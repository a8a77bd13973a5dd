#include "server/supervisor/leftover_worker.h"

#include <utility>
#include <vector>

#include "server/errors/status_macros.h"
#include "server/ipc/worker_channel.h"
#include "server/os/unix_socket.h"
#include "server/supervisor/export_spec.h"
#include "server/supervisor/handover_check.h"
#include "server/telemetry/log.h"

namespace fsd::supervisor {

absl::StatusOr<std::unique_ptr<LeftoverWorker>> LeftoverWorker::End(
    EventLoop& loop, const WorkerLimits& limits, const Config& config, std::string export_id,
    EarlierWorker worker, std::function<void()> gone) {
  std::unique_ptr<LeftoverWorker> leftover(
      new LeftoverWorker(config, std::move(export_id), std::move(gone)));
  LeftoverWorker* const self = leftover.get();
  FSD_ASSIGN_OR_RETURN(
      self->process_,
      WorkerProcess::Watch(
          loop, limits, self->export_id_, /*export_uid=*/"", WorkerOrigin::kEarlierSupervisor,
          std::move(worker.worker), std::move(worker.channel),
          {.on_handover =
               [self](Handover handover) { return self->OnHandover(std::move(handover)); },
           .on_status = [](const internal::WorkerStatus&) {},
           .on_inflight = [](const internal::FromWorker::InflightRequests&) {},
           .on_kill = [] {},
           .on_end = [self](const WorkerEnd& end) { self->OnEnd(end); }}));
  return leftover;
}

LeftoverWorker::~LeftoverWorker() {
  if (process_ != nullptr) process_->Kill("the supervisor ends before it");
}

absl::Status LeftoverWorker::OnHandover(Handover handover) {
  // Only a socket that it really listens on, where exports' sockets may be, is taken away.
  const internal::ExportSpec& spec = handover.spec.spec();
  const os::SocketAccess access{.uid = spec.socket_uid(),
                                .gid = spec.socket_gid(),
                                .mode = static_cast<mode_t>(spec.socket_mode())};
  auto vhost = ExportSocket::AdoptBelow(SocketDirectories(config_), spec.socket_path(),
                                        os::SocketType::kStream, access, handover.vhost_listener);
  if (vhost.ok()) vhost_ = *std::move(vhost);
  std::vector<os::UniqueFd> rest;
  rest.push_back(std::move(handover.vhost_listener));
  rest.push_back(std::move(handover.counters));
  ipc::CloseInBackground(std::move(rest));
  process_->Stop();
  return absl::OkStatus();
}

void LeftoverWorker::OnEnd(const WorkerEnd& end) {
  FSD_LOG(kInfo, export_id_, "worker %d, left over, is gone: %s", process_->pid(), end.Describe());
  process_.reset();
  if (vhost_.has_value()) vhost_->RemoveFile();
  RemoveDeadSocket(DefaultSocketPath(config_, export_id_), os::SocketType::kStream);
  RemoveDeadSocket(ControlSocketPath(config_, export_id_), os::SocketType::kSeqPacket);
  const auto gone = std::move(gone_);
  gone();
}

}  // namespace fsd::supervisor
