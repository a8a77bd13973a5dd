// Timing: every bound on time that the supervisor keeps; tests shorten them.
#ifndef FSD_SERVER_SUPERVISOR_TIMING_H_
#define FSD_SERVER_SUPERVISOR_TIMING_H_

#include "absl/time/time.h"
#include "server/supervisor/restart_policy.h"
#include "server/supervisor/worker_process.h"

namespace fsd::supervisor {

struct Timing {
  WorkerLimits worker;
  RestartLimits restart;
  // From the start of a source's opening until its silence is worth a condition.
  absl::Duration source = absl::Seconds(30);
  // What is granted to a killed worker, which may be blocked in the kernel, before the waiting call
  // is answered without it.
  absl::Duration kill = absl::Seconds(2);
};

}  // namespace fsd::supervisor

#endif  // FSD_SERVER_SUPERVISOR_TIMING_H_
