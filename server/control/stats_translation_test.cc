#include "server/control/stats_translation.h"

#include <cerrno>

#include "gtest/gtest.h"

namespace fsd::control {
namespace {

supervisor::ExportSample WebSample() {
  supervisor::ExportSample sample;
  sample.view.record.mutable_spec()->set_id("web");
  sample.view.record.set_uid("uid-1");
  sample.view.restarts = 3;
  sample.view.worker.set_open_files(4);
  sample.view.worker.set_inodes(5);
  sample.connections_accepted = 6;
  sample.connections_refused = 7;
  sample.slow_request = absl::Milliseconds(1500);
  sample.counted_since = absl::FromUnixSeconds(1000);
  return sample;
}

TEST(StatsTranslation, TellsEveryNumber) {
  telemetry::ExportCounts counts;
  telemetry::OpcodeCounts& read = counts.opcodes[15];
  read.requests = 2;
  read.nanoseconds = 900;
  read.latency[0] = 1;
  read.latency[telemetry::kLatencyBuckets - 1] = 1;
  read.errors[EIO] = 1;
  counts.bytes_read = 8;
  counts.bytes_written = 9;
  counts.inflight = 10;
  counts.slow = 11;

  const v1::ExportStats stats = ToStats(WebSample(), counts, absl::FromUnixMillis(2500));

  EXPECT_EQ(stats.name(), "exports/web");
  EXPECT_EQ(stats.uid(), "uid-1");
  EXPECT_EQ(stats.time().seconds(), 2);
  EXPECT_EQ(stats.time().nanos(), 500'000'000);
  EXPECT_EQ(stats.since().seconds(), 1000);
  ASSERT_EQ(stats.opcodes_size(), 1);
  EXPECT_EQ(stats.opcodes(0).name(), "READ");
  EXPECT_EQ(stats.opcodes(0).requests(), 2U);
  EXPECT_EQ(stats.opcodes(0).errors(0).name(), "EIO");
  EXPECT_EQ(stats.opcodes(0).errors(0).errno_value(), static_cast<uint32_t>(EIO));
  const v1::LatencyHistogram& latency = stats.opcodes(0).latency();
  EXPECT_EQ(latency.sum_nanoseconds(), 900U);
  ASSERT_EQ(latency.buckets_size(), static_cast<int>(telemetry::kLatencyBuckets));
  EXPECT_EQ(latency.buckets(0).upper_bound_nanoseconds(), 256U);
  EXPECT_EQ(latency.buckets(0).requests(), 1U);
  EXPECT_EQ(latency.buckets(latency.buckets_size() - 1).upper_bound_nanoseconds(), 0U);
  EXPECT_EQ(stats.bytes_read(), 8U);
  EXPECT_EQ(stats.bytes_written(), 9U);
  EXPECT_EQ(stats.inflight_requests(), 10U);
  EXPECT_EQ(stats.open_files(), 4U);
  EXPECT_EQ(stats.inodes(), 5U);
  EXPECT_EQ(stats.connections_accepted(), 6U);
  EXPECT_EQ(stats.connections_refused(), 7U);
  EXPECT_EQ(stats.restarts(), 3U);
  EXPECT_EQ(stats.slow_requests(), 11U);
  EXPECT_EQ(stats.slow_request_threshold().seconds(), 1);
  EXPECT_EQ(stats.slow_request_threshold().nanos(), 500'000'000);
}

TEST(StatsTranslation, AnswersWithTheOldestOfWhatIsInFlight) {
  supervisor::InflightRequests list;
  list.total = 5000;
  list.requests.resize(1000);
  list.requests[0].set_queue(1);
  list.requests[0].set_opcode(15);
  list.requests[0].set_unique(2);
  list.requests[0].set_node_id(3);
  list.requests[0].set_age_nanos(UINT64_MAX);

  const auto response = ToInflight(list, 2);

  EXPECT_EQ(response.requests_size(), 2);
  EXPECT_EQ(response.total_requests(), 5000U);
  EXPECT_EQ(response.requests(0).queue(), 1U);
  EXPECT_EQ(response.requests(0).opcode_name(), "READ");
  EXPECT_EQ(response.requests(0).unique(), 2U);
  EXPECT_EQ(response.requests(0).nodeid(), 3U);
  EXPECT_EQ(response.requests(0).age().seconds(), 18'446'744'073);
  EXPECT_EQ(response.requests(1).opcode_name(), "UNKNOWN");
  EXPECT_EQ(ToInflight(list, 0).requests_size(), 100);
  EXPECT_EQ(ToInflight(list, INT32_MAX).requests_size(), 1000);
}

}  // namespace
}  // namespace fsd::control
