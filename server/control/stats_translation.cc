#include "server/control/stats_translation.h"

#include <algorithm>
#include <string>

#include "google/protobuf/duration.pb.h"
#include "google/protobuf/timestamp.pb.h"
#include "server/control/export_name.h"
#include "server/telemetry/opcode_name.h"

namespace fsd::control {
namespace {

constexpr int32_t kDefaultPage = 100;
constexpr int32_t kMaxPage = 1000;

void SetTime(absl::Time time, google::protobuf::Timestamp& out) {
  const int64_t nanos = absl::ToUnixNanos(time);
  out.set_seconds(nanos / 1'000'000'000);
  out.set_nanos(static_cast<int32_t>(nanos % 1'000'000'000));
}

void SetDuration(uint64_t nanoseconds, google::protobuf::Duration& out) {
  out.set_seconds(static_cast<int64_t>(nanoseconds / 1'000'000'000));
  out.set_nanos(static_cast<int32_t>(nanoseconds % 1'000'000'000));
}

void SetOpcode(uint32_t opcode, const telemetry::OpcodeCounts& counts, v1::OpcodeStats& out) {
  out.set_opcode(opcode);
  out.set_name(std::string(telemetry::OpcodeName(opcode)));
  out.set_requests(counts.requests);
  for (const auto& [error, requests] : counts.errors) {
    v1::ErrnoCount& count = *out.add_errors();
    count.set_errno_value(static_cast<uint32_t>(error));
    count.set_name(std::string(telemetry::ErrnoName(error)));
    count.set_requests(requests);
  }
  for (size_t i = 0; i < telemetry::kLatencyBuckets; ++i) {
    v1::LatencyBucket& bucket = *out.mutable_latency()->add_buckets();
    if (i + 1 < telemetry::kLatencyBuckets) {
      bucket.set_upper_bound_nanoseconds(telemetry::LatencyBound(i));
    }
    bucket.set_requests(counts.latency[i]);
  }
  out.mutable_latency()->set_sum_nanoseconds(counts.nanoseconds);
}

}  // namespace

v1::ExportStats ToStats(const supervisor::ExportSample& sample,
                        const telemetry::ExportCounts& counts, absl::Time time) {
  v1::ExportStats stats;
  stats.set_name(ExportName(sample.view.record.spec().id()));
  stats.set_uid(sample.view.record.uid());
  SetTime(time, *stats.mutable_time());
  SetTime(sample.counted_since, *stats.mutable_since());
  for (const auto& [opcode, row] : counts.opcodes) SetOpcode(opcode, row, *stats.add_opcodes());
  stats.set_bytes_read(counts.bytes_read);
  stats.set_bytes_written(counts.bytes_written);
  stats.set_inflight_requests(counts.inflight);
  stats.set_open_files(sample.view.worker.open_files());
  stats.set_inodes(sample.view.worker.inodes());
  stats.set_connections_accepted(sample.connections_accepted);
  stats.set_connections_refused(sample.connections_refused);
  stats.set_restarts(sample.view.restarts);
  stats.set_slow_requests(counts.slow);
  SetDuration(static_cast<uint64_t>(absl::ToInt64Nanoseconds(sample.slow_request)),
              *stats.mutable_slow_request_threshold());
  stats.set_throttled_nanoseconds(counts.throttled_nanoseconds);
  return stats;
}

v1::ListInflightRequestsResponse ToInflight(const supervisor::InflightRequests& list,
                                            int32_t page_size) {
  const auto wanted =
      static_cast<size_t>(page_size == 0 ? kDefaultPage : std::min(page_size, kMaxPage));
  v1::ListInflightRequestsResponse response;
  response.set_total_requests(list.total);
  for (const internal::InflightRequest& request : list.requests) {
    if (static_cast<size_t>(response.requests_size()) == wanted) break;
    v1::InflightRequest& told = *response.add_requests();
    told.set_queue(request.queue());
    told.set_unique(request.unique());
    told.set_nodeid(request.node_id());
    told.set_opcode(request.opcode());
    told.set_opcode_name(std::string(telemetry::OpcodeName(request.opcode())));
    SetDuration(request.age_nanos(), *told.mutable_age());
  }
  return response;
}

}  // namespace fsd::control
