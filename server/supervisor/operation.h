// Operation: a call on one export that is not answered yet.
//
// While there is one, other calls that would change the export are turned away.
#ifndef FSD_SERVER_SUPERVISOR_OPERATION_H_
#define FSD_SERVER_SUPERVISOR_OPERATION_H_

#include <functional>
#include <string>
#include <utility>

#include "absl/status/statusor.h"
#include "server/supervisor/event_loop.h"
#include "server/supervisor/export_view.h"

namespace fsd::supervisor {

class Operation {
 public:
  enum class Kind {
    kCreate,
    kDelete,
    kMaintain,  // waits for a drain, a disconnection or a worker's restart
  };

  // kCreate or kMaintain.
  Operation(Kind kind, std::function<void(absl::StatusOr<ExportView>)> done)
      : kind_(kind), viewed_(std::move(done)) {}
  explicit Operation(std::function<void(absl::Status)> deleted)
      : kind_(Kind::kDelete), deleted_(std::move(deleted)) {}

  Kind kind() const { return kind_; }

  // With which a creation is answered when it is undone; OK as long as it may succeed.
  absl::Status failure;
  // What keeps it from being done, with which a deletion has been answered; OK if nothing does.
  absl::Status stuck;
  TimerId deadline = kNoTimer;

  // The call is answered once; what comes later is dropped.
  void AnswerView(ExportView view);
  void AnswerDeleted();
  void AnswerFailure(const absl::Status& status);

 private:
  Kind kind_;
  std::function<void(absl::StatusOr<ExportView>)> viewed_;
  std::function<void(absl::Status)> deleted_;
};

// Answers that several calls have in common.
absl::Status ShuttingDownError();
absl::Status NotFoundError(const std::string& id);
absl::Status BusyError(const std::string& id);

}  // namespace fsd::supervisor

#endif  // FSD_SERVER_SUPERVISOR_OPERATION_H_
