// Starting an export's worker: its specification, control socket, user namespace and cgroup, then
// its process.
#ifndef FSD_SERVER_SUPERVISOR_WORKER_START_H_
#define FSD_SERVER_SUPERVISOR_WORKER_START_H_

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"
#include "proto/fsd/internal/export_spec.pb.h"
#include "proto/fsd/internal/worker.pb.h"
#include "server/ipc/worker_channel.h"
#include "server/supervisor/cgroup_subtree.h"
#include "server/supervisor/config.h"
#include "server/supervisor/export_socket.h"
#include "server/supervisor/user_namespaces.h"
#include "server/supervisor/worker_launcher.h"
#include "server/telemetry/log.h"

namespace fsd::supervisor {

// All borrowed for the call.
struct WorkerStart {
  const Config& config;
  UserNamespaces& user_namespaces;
  CgroupSubtree* cgroups;  // null: none
  telemetry::LogLevel log_level;
  int64_t slow_request_nanos;
  const internal::ExportRecord& record;
  bool draining;
  internal::ExportHistory history;  // but for the source, which is looked at
  int vhost_listener;
  int source_directory;
  int counters;
};

struct StartedWorker {
  LaunchedWorker launched;
  ipc::WorkerChannel channel;     // dialled; it finds us in its backlog
  ExportSocket control;           // its name; only the worker listens
  std::string unenforced_limits;  // as WorkerCgroup::unenforced
};

// The control socket's name must be free, or that of a dead socket. On the loop's thread.
absl::StatusOr<StartedWorker> StartWorker(const WorkerStart& start);

// Which directory an O_PATH descriptor is; its file system is not asked. 0, 0: not known.
void DescribeSource(int source, internal::ExportHistory& history);

}  // namespace fsd::supervisor

#endif  // FSD_SERVER_SUPERVISOR_WORKER_START_H_
