#include "server/worker/coalescing.h"

#include "gtest/gtest.h"

namespace fsd::worker {
namespace {

using std::chrono::microseconds;

TEST(Coalescing, LeavesFewForAMillisecond) {
  Coalescing coalescing(128);

  EXPECT_EQ(coalescing.After(1), microseconds(1000));
  EXPECT_EQ(coalescing.After(0), microseconds(1000));
  EXPECT_EQ(coalescing.After(112), microseconds(1000));
}

TEST(Coalescing, LetsSevenEighthsOfTheRingGather) {
  Coalescing coalescing(128);

  EXPECT_EQ(coalescing.After(128), microseconds(875));
  EXPECT_EQ(coalescing.After(112), microseconds(875));
  EXPECT_EQ(coalescing.After(100), microseconds(980));
}

TEST(Coalescing, KeepsUpWithAFlood) {
  Coalescing coalescing(128);

  // More than the ring holds: it was filled again while it was served.
  EXPECT_EQ(coalescing.After(448), microseconds(250));
  EXPECT_EQ(coalescing.After(448), microseconds(125));
}

TEST(Coalescing, LeavesTheOnlyOneOfATinyRingForAMillisecond) {
  for (const size_t size : {1, 2}) {
    Coalescing coalescing(size);

    EXPECT_EQ(coalescing.After(1), microseconds(1000));
  }
}

TEST(Coalescing, GoesBackToAMillisecondAtOnce) {
  Coalescing coalescing(128);
  for (int i = 0; i < 10; ++i) coalescing.After(448);

  EXPECT_EQ(coalescing.After(14), microseconds(1000));
}

}  // namespace
}  // namespace fsd::worker
