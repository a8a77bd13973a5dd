#include "server/metrics/export_metrics.h"

#include <cmath>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "prometheus/check_names.h"

namespace fsd::metrics {
namespace {

std::vector<prometheus::MetricFamily> Web(const telemetry::ExportCounts& counts) {
  supervisor::ExportSample sample;
  sample.view.record.mutable_spec()->set_id("web");
  MetricFamilies families;
  AddExport(sample, counts, families);
  return families.Take();
}

TEST(ExportMetrics, AHistogramsBucketsAreCumulativeAndEndWithAll) {
  telemetry::ExportCounts counts;
  telemetry::OpcodeCounts& read = counts.opcodes[15];
  for (uint64_t& bucket : read.latency) bucket = 1;
  read.requests = telemetry::kLatencyBuckets;
  read.nanoseconds = 2'000'000'000;
  for (const prometheus::MetricFamily& family : Web(counts)) {
    if (family.type != prometheus::MetricType::Histogram) continue;
    ASSERT_EQ(family.metric.size(), 1U);
    const auto& histogram = family.metric[0].histogram;
    EXPECT_EQ(histogram.sample_count, telemetry::kLatencyBuckets);
    EXPECT_DOUBLE_EQ(histogram.sample_sum, 2);
    double bound = 0;
    uint64_t cumulative = 0;
    for (const auto& bucket : histogram.bucket) {
      EXPECT_GT(bucket.upper_bound, bound);
      EXPECT_GT(bucket.cumulative_count, cumulative);
      // Every counter's bucket up to the bound, and no other.
      if (std::isfinite(bucket.upper_bound)) {
        EXPECT_EQ(bucket.cumulative_count, telemetry::LatencyBucketOf(static_cast<uint64_t>(
                                               std::llround(bucket.upper_bound * 1e9))) +
                                               1);
      }
      bound = bucket.upper_bound;
      cumulative = bucket.cumulative_count;
    }
    EXPECT_TRUE(std::isinf(bound));
    EXPECT_EQ(cumulative, telemetry::kLatencyBuckets);
    return;
  }
  FAIL() << "no histogram";
}

TEST(ExportMetrics, ThrottledTimeIsInSeconds) {
  telemetry::ExportCounts counts;
  counts.throttled_nanoseconds = 1'500'000'000;
  for (const prometheus::MetricFamily& family : Web(counts)) {
    if (family.name != "fsd_export_throttled_seconds_total") continue;
    EXPECT_DOUBLE_EQ(family.metric.at(0).counter.value, 1.5);
    return;
  }
  FAIL() << "no such metric";
}

TEST(ExportMetrics, NamesAreAsPrometheusWantsThem) {
  telemetry::ExportCounts counts;
  counts.opcodes[15].requests = 1;
  counts.opcodes[15].errors[5] = 1;
  for (const prometheus::MetricFamily& family : Web(counts)) {
    EXPECT_TRUE(prometheus::CheckMetricName(family.name)) << family.name;
    EXPECT_EQ(family.name.ends_with("_total"), family.type == prometheus::MetricType::Counter)
        << family.name;
    EXPECT_FALSE(family.help.empty());
    for (const auto& metric : family.metric) {
      ASSERT_FALSE(metric.label.empty());
      EXPECT_EQ(metric.label[0].name, "export");
      EXPECT_EQ(metric.label[0].value, "web");
    }
  }
}

}  // namespace
}  // namespace fsd::metrics
