#include "cli/stats_rates.h"

#include <string>

#include "gtest/gtest.h"

namespace fsd::cli {
namespace {

v1::ExportStats Reading(int64_t seconds, uint64_t requests, uint64_t bytes) {
  v1::ExportStats stats;
  stats.set_uid("1");
  stats.mutable_time()->set_seconds(seconds);
  stats.set_bytes_read(bytes);
  v1::OpcodeStats* opcode = stats.add_opcodes();
  opcode->set_requests(requests);
  opcode->mutable_latency()->set_sum_nanoseconds(requests * 2000);
  opcode->add_errors()->set_requests(requests / 10);
  return stats;
}

TEST(RatesBetween, ArePerSecond) {
  const Rates rates = RatesBetween(Reading(100, 1000, 0), Reading(102, 1400, 4096));

  EXPECT_DOUBLE_EQ(rates.operations, 200);
  EXPECT_DOUBLE_EQ(rates.errors, 20);
  EXPECT_DOUBLE_EQ(rates.bytes_read, 2048);
  EXPECT_DOUBLE_EQ(rates.mean_latency_ns, 2000);
}

TEST(RatesBetween, CountTheQueuesThatWereThrottled) {
  v1::ExportStats before = Reading(100, 1000, 0);
  v1::ExportStats now = Reading(102, 1400, 0);
  before.set_throttled_nanoseconds(1'000'000'000);
  now.set_throttled_nanoseconds(4'000'000'000);

  EXPECT_DOUBLE_EQ(RatesBetween(before, now).throttled, 1.5);
}

TEST(RatesBetween, AreNoneOfCountersThatDoNotContinue) {
  v1::ExportStats other = Reading(102, 1400, 4096);
  other.set_uid("2");
  v1::ExportStats counted_anew = Reading(102, 1400, 4096);
  counted_anew.mutable_since()->set_seconds(101);

  EXPECT_DOUBLE_EQ(RatesBetween(Reading(100, 1000, 0), other).operations, 0);
  EXPECT_DOUBLE_EQ(RatesBetween(Reading(100, 1000, 0), counted_anew).operations, 0);
  EXPECT_DOUBLE_EQ(RatesBetween(Reading(100, 1000, 0), Reading(102, 400, 0)).operations, 0);
  EXPECT_DOUBLE_EQ(RatesBetween(Reading(100, 1000, 0), Reading(100, 1400, 0)).operations, 0);
}

TEST(QuantileNanoseconds, IsTheBoundOfItsBucket) {
  v1::LatencyHistogram histogram;
  for (const auto& [bound, requests] : {std::pair{1000, 50}, {2000, 49}, {4000, 0}, {0, 1}}) {
    v1::LatencyBucket* bucket = histogram.add_buckets();
    bucket->set_upper_bound_nanoseconds(bound);
    bucket->set_requests(requests);
  }

  EXPECT_EQ(QuantileNanoseconds(histogram, 0.5), 1000u);
  EXPECT_EQ(QuantileNanoseconds(histogram, 0.51), 2000u);
  EXPECT_EQ(QuantileNanoseconds(histogram, 0.99), 2000u);
  EXPECT_EQ(QuantileNanoseconds(histogram, 1), 4000u);
  EXPECT_EQ(QuantileNanoseconds({}, 0.5), 0u);
}

TEST(Texts, HaveThreeDigits) {
  EXPECT_EQ(LatencyText(0), "0ns");
  EXPECT_EQ(LatencyText(850), "850ns");
  EXPECT_EQ(LatencyText(12'345), "12.3us");
  EXPECT_EQ(LatencyText(4'500'000), "4.50ms");
  EXPECT_EQ(RateText(7.25), "7.25");
  EXPECT_EQ(RateText(45'600), "45.6k");
  EXPECT_EQ(BytesRateText(512), "512B");
  EXPECT_EQ(BytesRateText(1536), "1.50K");
}

}  // namespace
}  // namespace fsd::cli
