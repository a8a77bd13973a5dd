// What a worker's end means for its export.
#ifndef FSD_SERVER_SUPERVISOR_WORKER_FAILURE_H_
#define FSD_SERVER_SUPERVISOR_WORKER_FAILURE_H_

#include "absl/status/status.h"
#include "server/supervisor/error_reason.h"
#include "server/supervisor/worker_process.h"

namespace fsd::supervisor {

ErrorReason ReasonOfEnd(const WorkerEnd& end);

// Of a worker that ended before it was ready: why, and what to do.
absl::Status StartFailure(const WorkerEnd& end);

}  // namespace fsd::supervisor

#endif  // FSD_SERVER_SUPERVISOR_WORKER_FAILURE_H_
