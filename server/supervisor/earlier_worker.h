// EarlierWorker: a worker that an earlier supervisor has started and that runs still.
//
// It is found by its control socket, whose name lies in a directory that is the supervisor's alone:
// who listens there is the worker's first process, the one whose end is the whole worker's
// (worker/keeper.h), as that has called listen(2) (worker_launcher.h). It is not our child.
#ifndef FSD_SERVER_SUPERVISOR_EARLIER_WORKER_H_
#define FSD_SERVER_SUPERVISOR_EARLIER_WORKER_H_

#include <optional>
#include <string>

#include "absl/status/statusor.h"
#include "server/ipc/worker_channel.h"
#include "server/supervisor/worker_launcher.h"

namespace fsd::supervisor {

struct EarlierWorker {
  LaunchedWorker worker;
  ipc::WorkerChannel channel;  // dialled; it need not have accepted yet
};

// Who listens on `control_path` for export `export_id`; nothing if nobody does. UNAVAILABLE:
// somebody does, but is not known to be the export's worker, as one is for an instant of its start.
// Does not block.
absl::StatusOr<std::optional<EarlierWorker>> FindEarlierWorker(const std::string& control_path,
                                                               const std::string& export_id);

}  // namespace fsd::supervisor

#endif  // FSD_SERVER_SUPERVISOR_EARLIER_WORKER_H_
