#include "server/telemetry/rate_limit.h"

#include "gtest/gtest.h"

namespace fsd::telemetry {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr RateLimit::Clock::time_point kStart{std::chrono::hours(1)};

int TakeAllAt(RateLimit& limit, RateLimit::Clock::time_point now) {
  int taken = 0;
  while (taken < 1000 && limit.Take(now)) ++taken;
  return taken;
}

TEST(RateLimit, GivesABurstAtOnceAndThenOneEachInterval) {
  RateLimit limit(3, milliseconds(100));
  EXPECT_EQ(TakeAllAt(limit, kStart), 3);
  EXPECT_EQ(TakeAllAt(limit, kStart + milliseconds(99)), 0);
  EXPECT_EQ(TakeAllAt(limit, kStart + milliseconds(100)), 1);
  EXPECT_EQ(TakeAllAt(limit, kStart + milliseconds(150)), 0);
  EXPECT_EQ(TakeAllAt(limit, kStart + milliseconds(350)), 2);
}

TEST(RateLimit, SavesUpNoMoreThanABurst) {
  RateLimit limit(3, milliseconds(100));
  EXPECT_EQ(TakeAllAt(limit, kStart), 3);
  EXPECT_EQ(TakeAllAt(limit, kStart + seconds(60)), 3);
}

}  // namespace
}  // namespace fsd::telemetry
