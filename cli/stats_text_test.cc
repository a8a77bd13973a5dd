#include "cli/stats_text.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace fsd::cli {
namespace {

using testing::HasSubstr;

v1::OpcodeStats& AddOpcode(v1::ExportStats& stats, const char* name, uint64_t requests) {
  v1::OpcodeStats& opcode = *stats.add_opcodes();
  opcode.set_name(name);
  opcode.set_requests(requests);
  opcode.mutable_latency()->set_sum_nanoseconds(requests * 1500);
  v1::LatencyBucket& bucket = *opcode.mutable_latency()->add_buckets();
  bucket.set_upper_bound_nanoseconds(2000);
  bucket.set_requests(requests);
  return opcode;
}

TEST(StatsText, HasTheMostUsedOperationFirst) {
  v1::ExportStats stats;
  stats.set_name("exports/web");
  stats.set_bytes_read(4096);
  stats.set_throttled_nanoseconds(1'500'000'000);
  AddOpcode(stats, "LOOKUP", 5);
  v1::ErrnoCount& error = *AddOpcode(stats, "READ", 12).add_errors();
  error.set_name("EIO");
  error.set_requests(3);

  EXPECT_THAT(StatsText(stats, {}), HasSubstr("Bytes read:     4096\n"));
  EXPECT_THAT(StatsText(stats, {}), HasSubstr("1.50s of waiting for the limits of qos\n"));
  EXPECT_THAT(StatsText(stats, {}),
              HasSubstr("\n"
                        "OPERATION  REQUESTS  ERRORS  MEAN    P50     P99     MAX\n"
                        "READ       12        3       1.50us  2.00us  2.00us  2.00us\n"
                        "LOOKUP     5         0       1.50us  2.00us  2.00us  2.00us\n"));
  EXPECT_THAT(StatsText(stats, {.format = Format::kWide}), HasSubstr("2.00us  EIO 3\n"));
}

TEST(InflightText, SaysWhenThereAreMore) {
  v1::ListInflightRequestsResponse response;
  v1::InflightRequest& request = *response.add_requests();
  request.set_queue(1);
  request.set_unique(77);
  request.set_nodeid(1);
  request.set_opcode_name("READ");
  request.mutable_age()->set_nanos(4'500'000);
  response.set_total_requests(3);

  EXPECT_EQ(InflightText(response, {}),
            "AGE     OPERATION  NODE  QUEUE  UNIQUE\n"
            "4.50ms  READ       1     1      77\n"
            "and 2 more; --limit shows more\n");
}

}  // namespace
}  // namespace fsd::cli
