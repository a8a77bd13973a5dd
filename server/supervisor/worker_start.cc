#include "server/supervisor/worker_start.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include <memory>
#include <span>
#include <utility>

#include "absl/time/time.h"
#include "server/errors/status_macros.h"
#include "server/os/memory_file.h"
#include "server/os/unique_fd.h"
#include "server/os/unix_socket.h"
#include "server/supervisor/export_spec.h"
#include "server/supervisor/worker_cgroup.h"

namespace fsd::supervisor {
namespace {

bool HasPidNamespace(const internal::ExportSpec& spec) {
  return spec.sandbox_mode() != internal::ExportSpec::SANDBOX_CHROOT &&
         spec.sandbox_mode() != internal::ExportSpec::SANDBOX_NONE;
}

absl::StatusOr<os::UniqueFd> MakeWorkerSpec(const WorkerStart& start, bool in_user_namespace,
                                            bool has_device_wall) {
  internal::WorkerSpec spec;
  spec.set_version(ipc::kProtocolVersion);
  spec.set_export_uid(start.record.uid());
  *spec.mutable_spec() = start.record.spec();
  spec.set_log_level(static_cast<int>(start.log_level));
  spec.set_draining(start.draining);
  spec.set_slow_request_nanos(start.slow_request_nanos);
  spec.set_in_user_namespace(in_user_namespace);
  spec.set_has_device_wall(has_device_wall);
  *spec.mutable_history() = start.history;
  DescribeSource(start.source_directory, *spec.mutable_history());
  const std::string bytes = spec.SerializeAsString();
  auto file = os::CreateSealedFile("fsd-worker-spec", std::as_bytes(std::span(bytes)));
  if (!file.ok()) return ErrnoStatus(file.error(), "make the worker's specification");
  return *std::move(file);
}

}  // namespace

void DescribeSource(int source, internal::ExportHistory& history) {
  struct statx info;
  if (::statx(source, "", AT_EMPTY_PATH | AT_STATX_DONT_SYNC, STATX_INO, &info) != 0) return;
  history.set_source_device(makedev(info.stx_dev_major, info.stx_dev_minor));
  history.set_source_inode(info.stx_ino);
}

absl::StatusOr<StartedWorker> StartWorker(const WorkerStart& start) {
  const internal::ExportSpec& spec = start.record.spec();
  FSD_ASSIGN_OR_RETURN(
      ExportSocket control,
      ExportSocket::Listen(ControlSocketPath(start.config, spec.id()), os::SocketType::kSeqPacket,
                           {.mode = 0600}, ExportSocket::IfDead::kReplace));
  // Dialled while it is surely ours.
  auto channel = os::ConnectUnix(control.path(), os::SocketType::kSeqPacket);
  if (!channel.ok()) return ErrnoStatus(channel.error(), "dial the worker's control socket");
  FSD_ASSIGN_OR_RETURN(const auto user_namespace, start.user_namespaces.For(spec));
  WorkerCgroup cgroup = MakeWorkerCgroup(start.cgroups, spec);
  FSD_ASSIGN_OR_RETURN(const os::UniqueFd spec_file,
                       MakeWorkerSpec(start, user_namespace != nullptr, cgroup.has_device_wall));
  FSD_ASSIGN_OR_RETURN(
      LaunchedWorker launched,
      LaunchWorker({.binary = start.config.worker_binary,
                    .export_id = spec.id(),
                    .spec = spec_file.get(),
                    .control_listener = control.fd(),
                    .vhost_listener = start.vhost_listener,
                    .source_directory = start.source_directory,
                    .counters = start.counters,
                    .pid_namespace = HasPidNamespace(spec),
                    .user_namespace = user_namespace == nullptr ? -1 : user_namespace->get(),
                    .cgroup_procs = cgroup.procs.get()}));
  ThrottleWorker(start.cgroups, spec, start.source_directory, cgroup);
  control.StopListening();
  return StartedWorker{.launched = std::move(launched),
                       .channel = ipc::WorkerChannel(*std::move(channel)),
                       .control = std::move(control),
                       .unenforced_limits = std::move(cgroup.unenforced)};
}

}  // namespace fsd::supervisor
