// LeftoverWorker: an earlier supervisor's worker that no export is to have any more, as the record
// of its export is gone, or the configuration forbids what it serves.
//
// It is asked to hand over its vhost-user socket, so that the socket's name can be removed, and to
// end, and is killed if it does not. For the loop's thread.
#ifndef FSD_SERVER_SUPERVISOR_LEFTOVER_WORKER_H_
#define FSD_SERVER_SUPERVISOR_LEFTOVER_WORKER_H_

#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "absl/status/statusor.h"
#include "server/supervisor/config.h"
#include "server/supervisor/earlier_worker.h"
#include "server/supervisor/event_loop.h"
#include "server/supervisor/export_socket.h"
#include "server/supervisor/worker_process.h"

namespace fsd::supervisor {

class LeftoverWorker {
 public:
  // `config` outlives it. `gone`: once, from the loop, when worker and sockets are gone; the
  // LeftoverWorker may be destroyed in it. One that cannot be watched is killed.
  static absl::StatusOr<std::unique_ptr<LeftoverWorker>> End(
      EventLoop& loop, const WorkerLimits& limits, const Config& config, std::string export_id,
      EarlierWorker worker, std::function<void()> gone);
  // Kills it, if it has not ended yet.
  ~LeftoverWorker();
  LeftoverWorker(const LeftoverWorker&) = delete;
  LeftoverWorker& operator=(const LeftoverWorker&) = delete;

 private:
  LeftoverWorker(const Config& config, std::string export_id, std::function<void()> gone)
      : config_(config), export_id_(std::move(export_id)), gone_(std::move(gone)) {}

  absl::Status OnHandover(Handover handover);
  void OnEnd(const WorkerEnd& end);

  const Config& config_;
  const std::string export_id_;
  std::function<void()> gone_;
  std::unique_ptr<WorkerProcess> process_;
  std::optional<ExportSocket> vhost_;
};

}  // namespace fsd::supervisor

#endif  // FSD_SERVER_SUPERVISOR_LEFTOVER_WORKER_H_
