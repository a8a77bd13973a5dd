#include "cli/duration_syntax.h"

#include "gtest/gtest.h"

namespace fsd::cli {
namespace {

struct Case {
  const char* text;
  int64_t seconds;
  int32_t nanos;
  const char* shown;
};

class GoodDuration : public testing::TestWithParam<Case> {};

TEST_P(GoodDuration, IsReadAndShown) {
  const auto duration = ParseDuration(GetParam().text);

  ASSERT_TRUE(duration.has_value());
  EXPECT_EQ(duration->seconds(), GetParam().seconds);
  EXPECT_EQ(duration->nanos(), GetParam().nanos);
  EXPECT_EQ(DurationText(*duration), GetParam().shown);
}

INSTANTIATE_TEST_SUITE_P(
    Durations, GoodDuration,
    testing::Values(Case{"0s", 0, 0, "0s"}, Case{"1s", 1, 0, "1s"},
                    Case{"1.5s", 1, 500000000, "1500ms"}, Case{"250ms", 0, 250000000, "250ms"},
                    Case{"2m", 120, 0, "2m"}, Case{"90s", 90, 0, "90s"}, Case{"1h", 3600, 0, "1h"},
                    Case{"1d", 86400, 0, "1d"}, Case{"0.5d", 43200, 0, "12h"},
                    Case{"0.000000001s", 0, 1, "0.000000001s"},
                    Case{"3.000005ms", 0, 3000005, "0.003000005s"},
                    Case{"7.25s", 7, 250000000, "7250ms"}, Case{"1.0000100s", 1, 10000, "1.00001s"},
                    Case{"999999999999d", 86399999999913600, 0, "999999999999d"}));

class BadDuration : public testing::TestWithParam<const char*> {};

TEST_P(BadDuration, IsRefused) { EXPECT_FALSE(ParseDuration(GetParam()).has_value()); }

INSTANTIATE_TEST_SUITE_P(Durations, BadDuration,
                         testing::Values("", "1", "s", "-1s", "+1s", " 1s", "1s ", "1 s", "1.s",
                                         ".5s", "1.5.5s", "1e3s", "1S", "1sec", "1us", "1h30m",
                                         "0x1s", "0.0000000001s", "0.0000001ms", "1000000000000d"));

TEST(ParseTimeout, TakesSecondsWithoutAUnitToo) {
  EXPECT_EQ(ParseTimeout("30"), std::chrono::seconds(30));
  EXPECT_EQ(ParseTimeout("250ms"), std::chrono::milliseconds(250));
  EXPECT_EQ(ParseTimeout("1h"), std::chrono::hours(1));
  for (const char* text : {"", "-1", "1.5", "soon", "11000d"}) {
    EXPECT_EQ(ParseTimeout(text), std::nullopt) << text;
  }
}

}  // namespace
}  // namespace fsd::cli
