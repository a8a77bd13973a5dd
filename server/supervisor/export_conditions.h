// ExportConditions: what of one export is worth an operator's attention, each reason once.
//
// For the loop's thread.
#ifndef FSD_SERVER_SUPERVISOR_EXPORT_CONDITIONS_H_
#define FSD_SERVER_SUPERVISOR_EXPORT_CONDITIONS_H_

#include <string>
#include <string_view>
#include <vector>

#include "proto/fsd/internal/worker.pb.h"
#include "server/supervisor/export_view.h"

namespace fsd::supervisor {

// Reasons that more than one place knows.
namespace condition {
inline constexpr std::string_view kWorkerCrashed = "WORKER_CRASHED";
inline constexpr std::string_view kUpdatePending = "UPDATE_PENDING";
inline constexpr std::string_view kLimitsNotEnforced = "LIMITS_NOT_ENFORCED";
inline constexpr std::string_view kSourceNotAnswering = "SOURCE_NOT_ANSWERING";
// Of an adopted worker's export: its source cannot be opened, or is another directory than it
// serves.
inline constexpr std::string_view kSourceUnavailable = "SOURCE_UNAVAILABLE";
inline constexpr std::string_view kSourceChanged = "SOURCE_CHANGED";
}  // namespace condition

class ExportConditions {
 public:
  const std::vector<Condition>& all() const { return conditions_; }
  bool Has(std::string_view reason) const;
  // Empty if there is none.
  std::string_view MessageOf(std::string_view reason) const;
  // From now on, in place of one with this reason.
  const Condition& Add(std::string_view reason, std::string_view message);
  void Remove(std::string_view reason);
  void Clear() { conditions_.clear(); }

  // It holds with this message; empty: it does not. A new message goes into the log of `export_id`.
  // Whether anything changed.
  bool Set(const std::string& export_id, std::string_view reason, std::string_view message);
  // Those that a worker's status tells of: inodes that are refused, walls and abilities that it
  // lacks. `inodes_refused`: a request was since the last status. Whether anything changed.
  bool TakeStatus(const std::string& export_id, const internal::WorkerStatus& status,
                  bool inodes_refused);

 private:
  // Null if there is none.
  const Condition* Find(std::string_view reason) const;

  std::vector<Condition> conditions_;
};

}  // namespace fsd::supervisor

#endif  // FSD_SERVER_SUPERVISOR_EXPORT_CONDITIONS_H_
