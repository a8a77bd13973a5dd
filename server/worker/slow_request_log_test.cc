#include "server/worker/slow_request_log.h"

#include <algorithm>
#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace fsd::worker {
namespace {

using ::testing::HasSubstr;
using ::testing::internal::CaptureStderr;
using ::testing::internal::GetCapturedStderr;

TEST(SlowRequestLog, SlowIsWhatTakesLongerThanTheThreshold) {
  const SlowRequestLog log("web", std::chrono::milliseconds(1));
  EXPECT_FALSE(log.IsSlow(FUSE_READ, 1'000'000));
  EXPECT_TRUE(log.IsSlow(FUSE_READ, 1'000'001));
  EXPECT_FALSE(log.IsSlow(FUSE_SETLKW, UINT64_MAX));
  EXPECT_FALSE(SlowRequestLog("web", std::chrono::nanoseconds(0)).IsSlow(FUSE_READ, UINT64_MAX));
}

TEST(SlowRequestLog, TheThresholdCanChange) {
  SlowRequestLog log("web", std::chrono::nanoseconds(0));
  log.SetThreshold(std::chrono::nanoseconds(5));
  EXPECT_TRUE(log.IsSlow(FUSE_READ, 6));
  log.SetThreshold(std::chrono::nanoseconds(0));
  EXPECT_FALSE(log.IsSlow(FUSE_READ, UINT64_MAX));
}

TEST(SlowRequestLog, NamesTheRequest) {
  SlowRequestLog log("web", std::chrono::nanoseconds(1));
  CaptureStderr();
  log.Tell(
      {.queue = 2, .opcode = FUSE_READ, .node = 7, .unique = 9, .took = std::chrono::seconds(3)});
  const std::string line = GetCapturedStderr();
  EXPECT_THAT(line, HasSubstr("web"));
  EXPECT_THAT(line, HasSubstr("slow request: READ of inode 7 took 3s (queue 2, unique 9)"));
}

TEST(SlowRequestLog, OfManyAFewAreTold) {
  SlowRequestLog log("web", std::chrono::nanoseconds(1));
  CaptureStderr();
  const auto begin = std::chrono::steady_clock::now();
  constexpr int kRequests = 1000;
  for (int i = 0; i < kRequests; ++i) log.Tell({.opcode = FUSE_READ});
  const auto seconds =
      std::chrono::duration_cast<std::chrono::seconds>(std::chrono::steady_clock::now() - begin);
  const std::string lines = GetCapturedStderr();
  const auto count = std::count(lines.begin(), lines.end(), '\n');
  EXPECT_GE(count, SlowRequestLog::kBurst);
  EXPECT_LE(count, SlowRequestLog::kBurst + 1 + seconds.count());
}

}  // namespace
}  // namespace fsd::worker
