#include "server/worker/coalescing.h"

#include "gtest/gtest.h"

namespace fsd::worker {
namespace {

using std::chrono::microseconds;

TEST(Coalescing, LeavesFewForAMillisecond) {
  Coalescing coalescing(128);

  EXPECT_EQ(coalescing.After(1), microseconds(1000));
  EXPECT_EQ(coalescing.After(31), microseconds(1000));
  EXPECT_EQ(coalescing.After(96), microseconds(1000));
}

TEST(Coalescing, ServesAFullRingSoonerAndSooner) {
  Coalescing coalescing(128);

  EXPECT_EQ(coalescing.After(128), microseconds(500));
  EXPECT_EQ(coalescing.After(97), microseconds(250));
  EXPECT_EQ(coalescing.After(128), microseconds(125));
  EXPECT_EQ(coalescing.After(128), microseconds(125));
}

TEST(Coalescing, StaysAsItIsForWhatFitsTheRing) {
  Coalescing coalescing(128);
  coalescing.After(128);

  EXPECT_EQ(coalescing.After(32), microseconds(500));
  EXPECT_EQ(coalescing.After(96), microseconds(500));
}

TEST(Coalescing, GoesBackToAMillisecond) {
  Coalescing coalescing(128);
  for (int i = 0; i < 10; ++i) coalescing.After(128);

  EXPECT_EQ(coalescing.After(31), microseconds(250));
  EXPECT_EQ(coalescing.After(0), microseconds(500));
  EXPECT_EQ(coalescing.After(0), microseconds(1000));
  EXPECT_EQ(coalescing.After(0), microseconds(1000));
}

}  // namespace
}  // namespace fsd::worker
