#include "server/supervisor/id_interval.h"

#include "gtest/gtest.h"

namespace fsd::supervisor {
namespace {

class GoodInterval : public ::testing::TestWithParam<const char*> {};

TEST_P(GoodInterval, IsReadAndShown) {
  const auto interval = ParseIdInterval(GetParam());
  ASSERT_TRUE(interval.has_value());
  EXPECT_EQ(IdIntervalText(*interval), GetParam());
}

INSTANTIATE_TEST_SUITE_P(Forms, GoodInterval,
                         ::testing::Values("0", "4294967294", "1000-1999", "0-4294967294"));

class BadInterval : public ::testing::TestWithParam<const char*> {};

TEST_P(BadInterval, IsRefused) { EXPECT_FALSE(ParseIdInterval(GetParam()).has_value()); }

INSTANTIATE_TEST_SUITE_P(Forms, BadInterval,
                         ::testing::Values("", "-", "-1", "1-", "+1", " 1", "1 ", "1-2-3", "2-1",
                                           "root", "0x1", "4294967295", "0-4294967295",
                                           "18446744073709551617"));

TEST(ContainTest, BothEndsBelongToAnInterval) {
  const std::vector<IdInterval> intervals = {{.first = 0, .last = 0}, {.first = 10, .last = 19}};
  EXPECT_TRUE(Contain(intervals, 0));
  EXPECT_TRUE(Contain(intervals, 10));
  EXPECT_TRUE(Contain(intervals, 19));
  EXPECT_FALSE(Contain(intervals, 1));
  EXPECT_FALSE(Contain(intervals, 9));
  EXPECT_FALSE(Contain(intervals, 20));
}

TEST(ContainTest, ByDefaultAnIntervalIsAllIds) {
  EXPECT_TRUE(Contain({{}}, 0));
  EXPECT_TRUE(Contain({{}}, 4294967294));
  EXPECT_FALSE(Contain({{}}, 4294967295));
}

}  // namespace
}  // namespace fsd::supervisor
