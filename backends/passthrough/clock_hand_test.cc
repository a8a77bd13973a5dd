#include "backends/passthrough/clock_hand.h"

#include <optional>
#include <vector>

#include "backends/passthrough/passthrough_fixture.h"
#include "gtest/gtest.h"

namespace fsd::passthrough {
namespace {

std::vector<uint32_t> Take(ClockHand& hand, int count) {
  std::vector<uint32_t> taken;
  for (int i = 0; i < count; ++i) taken.push_back(hand.Next().value_or(UINT32_MAX));
  return taken;
}

TEST(ClockHand, GoesRoundInOrder) {
  ClockHand hand = Must(ClockHand::Create(1000));
  for (const uint32_t slot : {999u, 3u, 64u, 63u}) hand.Add(slot);
  EXPECT_EQ(Take(hand, 6), (std::vector<uint32_t>{3, 63, 64, 999, 3, 63}));
}

TEST(ClockHand, ComesBackToWhatIsBehindWhileOthersAreAddedAhead) {
  ClockHand hand = Must(ClockHand::Create(1000));
  hand.Add(1);
  hand.Add(2);
  EXPECT_EQ(Take(hand, 1), (std::vector<uint32_t>{1}));
  for (uint32_t slot = 3; slot < 10; ++slot) {
    hand.Add(slot);
    const uint32_t taken = hand.Next().value_or(UINT32_MAX);
    if (taken == 1) return;
    hand.Remove(taken);
  }
  ADD_FAILURE();
}

TEST(ClockHand, FindsTheOnlyOneAgainWhereverItIs) {
  ClockHand hand = Must(ClockHand::Create(1000));
  for (const uint32_t slot : {0u, 5u, 63u, 64u, 999u}) {
    hand.Add(slot);
    EXPECT_EQ(Take(hand, 2), (std::vector<uint32_t>{slot, slot}));
    hand.Remove(slot);
    EXPECT_EQ(hand.Next(), std::nullopt);
  }
}

TEST(ClockHand, CountsWhatIsInTheSetOnce) {
  ClockHand hand = Must(ClockHand::Create(100));
  hand.Add(7);
  hand.Add(7);
  hand.Add(8);
  EXPECT_EQ(hand.size(), 2u);
  hand.Remove(7);
  hand.Remove(7);
  EXPECT_EQ(hand.size(), 1u);
  EXPECT_EQ(Take(hand, 2), (std::vector<uint32_t>{8, 8}));
}

}  // namespace
}  // namespace fsd::passthrough
