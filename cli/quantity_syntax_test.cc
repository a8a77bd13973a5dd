#include "cli/quantity_syntax.h"

#include "gtest/gtest.h"

namespace fsd::cli {
namespace {

struct Case {
  const char* text;
  uint64_t value;
  const char* shown;
};

class GoodBytes : public testing::TestWithParam<Case> {};

TEST_P(GoodBytes, AreReadAndShown) {
  ASSERT_EQ(ParseBytes(GetParam().text), GetParam().value);
  EXPECT_EQ(BytesText(GetParam().value), GetParam().shown);
}

INSTANTIATE_TEST_SUITE_P(
    Amounts, GoodBytes,
    testing::Values(Case{"0", 0, "0"}, Case{"1", 1, "1"}, Case{"1024", 1024, "1K"},
                    Case{"512M", 536870912, "512M"}, Case{"10MiB", 10485760, "10M"},
                    Case{"1KiB", 1024, "1K"}, Case{"1536K", 1572864, "1536K"},
                    Case{"2G", 2147483648, "2G"}, Case{"1024G", 1099511627776, "1T"},
                    Case{"16777215T", 18446742974197923840u, "16777215T"},
                    Case{"18446744073709551615", UINT64_MAX, "18446744073709551615"}));

class BadBytes : public testing::TestWithParam<const char*> {};

TEST_P(BadBytes, AreRefused) { EXPECT_FALSE(ParseBytes(GetParam()).has_value()); }

INSTANTIATE_TEST_SUITE_P(Amounts, BadBytes,
                         testing::Values("", "M", "-1", "+1", " 1", "1 ", "1.5M", "1m", "1MB",
                                         "1iB", "iB", "MiB", "1Mi", "1MiBiB", "0x1", "16777216T",
                                         "18446744073709551616"));

class GoodMillionths : public testing::TestWithParam<Case> {};

TEST_P(GoodMillionths, AreReadAndShown) {
  ASSERT_EQ(ParseMillionths(GetParam().text), GetParam().value);
  EXPECT_EQ(MillionthsText(GetParam().value), GetParam().shown);
}

INSTANTIATE_TEST_SUITE_P(
    Amounts, GoodMillionths,
    testing::Values(Case{"0", 0, "0"}, Case{"2", 2000000, "2"}, Case{"0.5", 500000, "0.5"},
                    Case{"0.050", 50000, "0.05"}, Case{"1.000001", 1000001, "1.000001"},
                    Case{"18446744073708", 18446744073708000000u, "18446744073708"}));

class BadMillionths : public testing::TestWithParam<const char*> {};

TEST_P(BadMillionths, AreRefused) { EXPECT_FALSE(ParseMillionths(GetParam()).has_value()); }

INSTANTIATE_TEST_SUITE_P(Amounts, BadMillionths,
                         testing::Values("", ".", ".5", "1.", "-1", "1.-5", "1.5.5", "1e3", "50%",
                                         "0.0000001", "18446744073709"));

}  // namespace
}  // namespace fsd::cli
