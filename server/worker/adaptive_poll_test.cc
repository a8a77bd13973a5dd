#include "server/worker/adaptive_poll.h"

#include "gtest/gtest.h"

namespace fsd::worker {
namespace {

using std::chrono::microseconds;
using std::chrono::seconds;

// Opens the window as far as it goes.
void Open(AdaptivePoll& poll) {
  for (int i = 0; i < 10; ++i) poll.OnPause(microseconds(80));
}

TEST(AdaptivePoll, BeginsWithoutLooking) {
  const AdaptivePoll poll(microseconds(80));

  EXPECT_TRUE(poll.on());
  EXPECT_EQ(poll.window(), microseconds(0));
}

TEST(AdaptivePoll, OpensForPausesThatTheLimitCovers) {
  AdaptivePoll poll(microseconds(80));

  poll.OnPause(microseconds(70));
  EXPECT_EQ(poll.window(), microseconds(10));
  poll.OnPause(microseconds(70));
  EXPECT_EQ(poll.window(), microseconds(20));
}

TEST(AdaptivePoll, StaysAsItIsWhenLookingWasEnough) {
  AdaptivePoll poll(microseconds(80));
  poll.OnPause(microseconds(70));

  poll.OnPause(microseconds(9));

  EXPECT_EQ(poll.window(), microseconds(10));
}

TEST(AdaptivePoll, NeverLooksLongerThanTheLimit) {
  AdaptivePoll poll(microseconds(80));

  Open(poll);

  EXPECT_EQ(poll.window(), microseconds(80));
}

TEST(AdaptivePoll, GivesUpAfterAFewLongPauses) {
  AdaptivePoll poll(microseconds(80));
  Open(poll);

  for (int i = 0; i < 4; ++i) poll.OnPause(seconds(1));

  EXPECT_EQ(poll.window(), microseconds(0));
}

TEST(AdaptivePoll, OfNoLimitIsOff) {
  AdaptivePoll poll(microseconds(0));

  poll.OnPause(microseconds(0));
  poll.OnPause(seconds(1));

  EXPECT_FALSE(poll.on());
  EXPECT_EQ(poll.window(), microseconds(0));
}

}  // namespace
}  // namespace fsd::worker
