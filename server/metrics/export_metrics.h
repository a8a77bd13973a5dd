// What Prometheus is told of one export. Every name begins with fsd_export_, every metric has the
// label `export`.
#ifndef FSD_SERVER_METRICS_EXPORT_METRICS_H_
#define FSD_SERVER_METRICS_EXPORT_METRICS_H_

#include <string_view>

#include "server/metrics/metric_families.h"
#include "server/supervisor/export_sample.h"
#include "server/telemetry/counter_reader.h"

namespace fsd::metrics {

// "LISTENING" and so on, as the API has it.
std::string_view StateName(supervisor::ExportState state);

void AddExport(const supervisor::ExportSample& sample, const telemetry::ExportCounts& counts,
               MetricFamilies& families);

}  // namespace fsd::metrics

#endif  // FSD_SERVER_METRICS_EXPORT_METRICS_H_
