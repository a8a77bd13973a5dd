// ExportCounting: what one export counts across its workers: the counter file that each of them is
// given, and the numbers of their statuses that begin anew with each.
//
// For the loop's thread.
#ifndef FSD_SERVER_SUPERVISOR_EXPORT_COUNTING_H_
#define FSD_SERVER_SUPERVISOR_EXPORT_COUNTING_H_

#include <cstddef>
#include <cstdint>
#include <memory>

#include "absl/status/statusor.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "proto/fsd/internal/export_spec.pb.h"
#include "proto/fsd/internal/worker.pb.h"
#include "server/os/unique_fd.h"
#include "server/supervisor/export_sample.h"

namespace fsd::supervisor {

class ExportCounting {
 public:
  // The file for the next worker, which serves `spec`; still ours. Made for the first one. What the
  // system lacks.
  absl::StatusOr<int> FileFor(const internal::ExportSpec& spec);
  void OnWorkerEnd(const internal::WorkerStatus& last);

  // What the next worker is to keep, for a supervisor that adopts it.
  void Describe(internal::ExportHistory& history) const;
  // Goes on counting where a supervisor before has, whose worker tells: `file`, if valid, is a
  // counter file of our layout. Nothing has been counted yet.
  void Adopt(const internal::ExportHistory& history, os::UniqueFd file);
  ExportSample Sample(ExportView view, absl::Duration slow_request) const;

 private:
  absl::Time since_ = absl::Now();
  std::shared_ptr<const os::UniqueFd> file_;
  size_t queues_ = 0;  // the most that any worker has had
  // Of workers that have ended.
  uint64_t connections_accepted_ = 0;
  uint64_t connections_refused_ = 0;
};

}  // namespace fsd::supervisor

#endif  // FSD_SERVER_SUPERVISOR_EXPORT_COUNTING_H_
