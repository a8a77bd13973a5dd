#include "backends/passthrough/lookup_history.h"

#include "gtest/gtest.h"

namespace fsd::passthrough {
namespace {

void AddUnknown(LookupHistory& history, int times) {
  for (int i = 0; i < times; ++i) history.Add(false);
}

TEST(LookupHistory, ExpectsNothingAtFirst) { EXPECT_FALSE(LookupHistory().ExpectUnknown()); }

TEST(LookupHistory, ExpectsMoreOfWhatCameEightTimesInARow) {
  LookupHistory history;
  AddUnknown(history, 7);
  EXPECT_FALSE(history.ExpectUnknown());
  AddUnknown(history, 1);
  EXPECT_TRUE(history.ExpectUnknown());
  AddUnknown(history, 100);
  EXPECT_TRUE(history.ExpectUnknown());
}

TEST(LookupHistory, OneThatIsKnownEndsTheRow) {
  LookupHistory history;
  AddUnknown(history, 100);

  history.Add(true);

  AddUnknown(history, 7);
  EXPECT_FALSE(history.ExpectUnknown());
  AddUnknown(history, 1);
  EXPECT_TRUE(history.ExpectUnknown());
}

}  // namespace
}  // namespace fsd::passthrough
