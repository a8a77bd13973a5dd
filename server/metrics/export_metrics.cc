#include "server/metrics/export_metrics.h"

#include <limits>
#include <string>

#include "server/telemetry/opcode_name.h"

namespace fsd::metrics {
namespace {

using supervisor::ExportState;

constexpr double kNanosecond = 1e-9;
// Of the counters' buckets, each of which has twice the one before, so many make one here: a series
// for each bucket, opcode and export has its price.
constexpr size_t kBucketsTogether = 2;

prometheus::ClientMetric::Histogram ToHistogram(const telemetry::OpcodeCounts& counts) {
  prometheus::ClientMetric::Histogram histogram;
  uint64_t cumulative = 0;
  for (size_t i = 0; i < telemetry::kLatencyBuckets; ++i) {
    cumulative += counts.latency[i];
    const bool last = i + 1 == telemetry::kLatencyBuckets;
    if (!last && i % kBucketsTogether != 0) continue;
    histogram.bucket.push_back(
        {cumulative, last ? std::numeric_limits<double>::infinity()
                          : static_cast<double>(telemetry::LatencyBound(i)) * kNanosecond});
  }
  histogram.sample_count = cumulative;
  histogram.sample_sum = static_cast<double>(counts.nanoseconds) * kNanosecond;
  return histogram;
}

void AddOpcodes(const std::string& id, const telemetry::ExportCounts& counts,
                MetricFamilies& families) {
  for (const auto& [opcode, row] : counts.opcodes) {
    const std::string_view name = telemetry::OpcodeName(opcode);
    families.Counter("fsd_export_requests_total", "Guests' requests that were answered.",
                     {{"export", id}, {"opcode", name}}, static_cast<double>(row.requests));
    families.Histogram("fsd_export_request_duration_seconds",
                       "From the moment a request is taken from its ring to its answer.",
                       {{"export", id}, {"opcode", name}}, ToHistogram(row));
    for (const auto& [error, requests] : row.errors) {
      families.Counter("fsd_export_request_errors_total",
                       "Guests' requests that were answered with an error.",
                       {{"export", id}, {"opcode", name}, {"errno", telemetry::ErrnoName(error)}},
                       static_cast<double>(requests));
    }
  }
}

}  // namespace

std::string_view StateName(ExportState state) {
  switch (state) {
    case ExportState::kCreating:
      return "CREATING";
    case ExportState::kListening:
      return "LISTENING";
    case ExportState::kConnected:
      return "CONNECTED";
    case ExportState::kMounted:
      return "MOUNTED";
    case ExportState::kRecovering:
      return "RECOVERING";
    case ExportState::kFailed:
      return "FAILED";
    case ExportState::kDeleting:
      return "DELETING";
    case ExportState::kDraining:
      return "DRAINING";
  }
  return "UNKNOWN";
}

void AddExport(const supervisor::ExportSample& sample, const telemetry::ExportCounts& counts,
               MetricFamilies& families) {
  const std::string& id = sample.view.record.spec().id();
  const auto counter = [&](const char* name, const char* help, uint64_t value) {
    families.Counter(name, help, {{"export", id}}, static_cast<double>(value));
  };
  const auto gauge = [&](const char* name, const char* help, uint64_t value) {
    families.Gauge(name, help, {{"export", id}}, static_cast<double>(value));
  };
  AddOpcodes(id, counts, families);
  counter("fsd_export_read_bytes_total", "Bytes of files' contents that guests have read.",
          counts.bytes_read);
  counter("fsd_export_written_bytes_total", "Bytes of files' contents that guests have written.",
          counts.bytes_written);
  counter("fsd_export_slow_requests_total",
          "Requests that took longer than the threshold of slow requests.", counts.slow);
  families.Counter("fsd_export_throttled_seconds_total",
                   "How long queues that had requests have waited because of qos, all of them "
                   "together.",
                   {{"export", id}},
                   static_cast<double>(counts.throttled_nanoseconds) * kNanosecond);
  gauge("fsd_export_inflight_requests", "Requests that were taken and are not answered yet.",
        counts.inflight);
  gauge("fsd_export_open_files", "Files and directories that the guest has open.",
        sample.view.worker.open_files());
  gauge("fsd_export_inodes", "Files and directories that the guest knows.",
        sample.view.worker.inodes());
  counter("fsd_export_connections_accepted_total", "Front-ends that have connected.",
          sample.connections_accepted);
  counter("fsd_export_connections_refused_total", "Front-ends that were turned away.",
          sample.connections_refused);
  counter("fsd_export_worker_restarts_total", "Times that another worker was started.",
          sample.view.restarts);
  families.Gauge("fsd_export_state", "1 for the state that the export is in.",
                 {{"export", id}, {"state", StateName(sample.view.state)}}, 1);
}

}  // namespace fsd::metrics
