// RestartPolicy: when a worker that ended gets a successor, and when to give up.
//
// The n-th failure in a row waits first_delay * 2^(n-1), at most max_delay, so that a worker that
// cannot start does not occupy the host. A worker that ran well for healthy_after ends the row.
// No clock, no state but a count: the caller says how long the worker ran.
#ifndef FSD_SERVER_SUPERVISOR_RESTART_POLICY_H_
#define FSD_SERVER_SUPERVISOR_RESTART_POLICY_H_

#include <optional>

#include "absl/time/time.h"

namespace fsd::supervisor {

struct RestartLimits {
  absl::Duration first_delay = absl::Milliseconds(100);
  absl::Duration max_delay = absl::Seconds(10);
  absl::Duration healthy_after = absl::Seconds(30);
  int max_failures = 8;  // in a row; the last of them is not followed by a restart
};

class RestartPolicy {
 public:
  explicit RestartPolicy(const RestartLimits& limits) : limits_(limits) {}

  // A worker has ended (or could not be started) after serving for `healthy_for`: zero if it never
  // became ready. Results in the delay before the next one, or nothing: give up.
  std::optional<absl::Duration> OnFailure(absl::Duration healthy_for);

  int failures_in_a_row() const { return failures_; }

 private:
  RestartLimits limits_;
  int failures_ = 0;
};

}  // namespace fsd::supervisor

#endif  // FSD_SERVER_SUPERVISOR_RESTART_POLICY_H_
