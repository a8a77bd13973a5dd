// ExportSample: what is known of an export's work at one moment, and where its counters are.
#ifndef FSD_SERVER_SUPERVISOR_EXPORT_SAMPLE_H_
#define FSD_SERVER_SUPERVISOR_EXPORT_SAMPLE_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "absl/time/time.h"
#include "proto/fsd/internal/worker.pb.h"
#include "server/errors/errno_or.h"
#include "server/os/unique_fd.h"
#include "server/supervisor/export_view.h"
#include "server/telemetry/counter_reader.h"

namespace fsd::supervisor {

struct ExportSample {
  ExportView view;
  // Of all its workers, as far as they have said.
  uint64_t connections_accepted = 0;
  uint64_t connections_refused = 0;
  absl::Duration slow_request;  // the threshold; 0: no request is slow
  absl::Time counted_since;
  std::shared_ptr<const os::UniqueFd> counters;  // null: no worker has been given any
  size_t counted_queues = 0;

  // Any thread; waits for nobody.
  ErrnoOr<telemetry::ExportCounts> ReadCounts() const {
    if (counters == nullptr) return telemetry::ExportCounts{};
    return telemetry::ReadCounters(counters->get(), counted_queues);
  }
};

// The guest's requests that its worker has not answered; the oldest first.
struct InflightRequests {
  std::vector<internal::InflightRequest> requests;
  uint64_t total = 0;  // at least as many as `requests`
};

}  // namespace fsd::supervisor

#endif  // FSD_SERVER_SUPERVISOR_EXPORT_SAMPLE_H_
