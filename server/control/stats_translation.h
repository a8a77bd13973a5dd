// From what the supervisor knows of an export's work to the API's words for it.
#ifndef FSD_SERVER_CONTROL_STATS_TRANSLATION_H_
#define FSD_SERVER_CONTROL_STATS_TRANSLATION_H_

#include <cstddef>

#include "absl/time/time.h"
#include "proto/fsd/v1/export_service.pb.h"
#include "proto/fsd/v1/export_stats.pb.h"
#include "server/supervisor/export_sample.h"
#include "server/telemetry/counter_reader.h"

namespace fsd::control {

// `counts`, of the sample's counters, read at `time`.
v1::ExportStats ToStats(const supervisor::ExportSample& sample,
                        const telemetry::ExportCounts& counts, absl::Time time);

// At most `page_size` requests; 0: 100; more than 1000 counts as 1000.
v1::ListInflightRequestsResponse ToInflight(const supervisor::InflightRequests& list,
                                            int32_t page_size);

}  // namespace fsd::control

#endif  // FSD_SERVER_CONTROL_STATS_TRANSLATION_H_
