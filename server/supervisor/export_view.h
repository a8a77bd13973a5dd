// ExportView: what an export looks like from outside the supervisor's thread.
#ifndef FSD_SERVER_SUPERVISOR_EXPORT_VIEW_H_
#define FSD_SERVER_SUPERVISOR_EXPORT_VIEW_H_

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "proto/fsd/internal/export_spec.pb.h"
#include "proto/fsd/internal/worker.pb.h"

namespace fsd::supervisor {

// Where an export is in its life. The legal transitions are in export.cc's table.
enum class ExportState {
  kCreating,    // its worker is not ready yet
  kListening,   // the socket waits for a front-end
  kConnected,   // a front-end is there
  kMounted,     // a guest has mounted it
  kRecovering,  // its worker ended; another is on the way (the socket still takes connections)
  kFailed,      // given up; see the conditions
  kDeleting,
  kDraining,  // a front-end that is there may finish; no other may come
};

// What is worth an operator's attention, e.g. WORKER_CRASHED with the signal and when.
struct Condition {
  std::string reason;  // UPPER_SNAKE_CASE
  std::string message;
  absl::Time since;
};

// A copy of one export's present state.
struct ExportView {
  internal::ExportRecord record;
  ExportState state = ExportState::kCreating;
  std::vector<Condition> conditions;
  // The latest failure; stays when its condition does not.
  std::optional<Condition> last_failure;
  pid_t worker_pid = 0;           // the keeper's, in the supervisor's pid namespace; 0 if none runs
  uint64_t restarts = 0;          // of the worker, as far as its supervisors knew
  internal::WorkerStatus worker;  // last reported
  bool gone = false;              // the last view of an export that has been removed
};

}  // namespace fsd::supervisor

#endif  // FSD_SERVER_SUPERVISOR_EXPORT_VIEW_H_
