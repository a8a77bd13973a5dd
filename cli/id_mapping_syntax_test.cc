#include "cli/id_mapping_syntax.h"

#include <string>

#include "gtest/gtest.h"

namespace fsd::cli {
namespace {

struct Case {
  const char* text;
  v1::IdTranslation::Kind kind;
  uint32_t guest_first;
  uint32_t host_first;
};

class GoodTranslation : public testing::TestWithParam<Case> {};

TEST_P(GoodTranslation, IsReadAndShown) {
  const auto translation = ParseIdTranslation(GetParam().text);

  ASSERT_TRUE(translation.has_value());
  EXPECT_EQ(translation->kind(), GetParam().kind);
  EXPECT_EQ(translation->guest_first(), GetParam().guest_first);
  EXPECT_EQ(translation->host_first(), GetParam().host_first);
  EXPECT_EQ(translation->count(), 3u);
  EXPECT_EQ(IdTranslationText(*translation), GetParam().text);
}

INSTANTIATE_TEST_SUITE_P(
    Forms, GoodTranslation,
    testing::Values(Case{"map:1:2:3", v1::IdTranslation::MAP, 1, 2},
                    Case{"guest:1:2:3", v1::IdTranslation::GUEST, 1, 2},
                    Case{"host:1:2:3", v1::IdTranslation::HOST, 2, 1},
                    Case{"squash-guest:1:2:3", v1::IdTranslation::SQUASH_GUEST, 1, 2},
                    Case{"squash-host:1:2:3", v1::IdTranslation::SQUASH_HOST, 2, 1},
                    Case{"forbid-guest:1:3", v1::IdTranslation::FORBID_GUEST, 1, 0}));

class BadTranslation : public testing::TestWithParam<const char*> {};

TEST_P(BadTranslation, IsRefused) { EXPECT_FALSE(ParseIdTranslation(GetParam()).has_value()); }

INSTANTIATE_TEST_SUITE_P(Forms, BadTranslation,
                         testing::Values("", "map", "map:1:2", "map:1:2:3:4",
                                         "map:1:2:", "map::2:3", "Map:1:2:3", "squash:1:2:3",
                                         "forbid-guest:1:2:3", "forbid-guest:1", "map:-1:2:3",
                                         "map:+1:2:3", "map:1:2:3 ", "map: 1:2:3", "map:0x1:2:3",
                                         "map:4294967296:2:3", "map:1:2:18446744073709551616"));

TEST(IdTranslationText, SaysThatItDoesNotKnowAKind) {
  v1::IdTranslation translation;
  translation.set_kind(static_cast<v1::IdTranslation::Kind>(99));

  EXPECT_EQ(IdTranslationText(translation), "unknown");
}

TEST(IdRange, IsReadAndShown) {
  const auto range = ParseIdRange("0:100000:65536");

  ASSERT_TRUE(range.has_value());
  EXPECT_EQ(range->inside_first(), 0u);
  EXPECT_EQ(range->outside_first(), 100000u);
  EXPECT_EQ(range->count(), 65536u);
  EXPECT_EQ(IdRangeText(*range), "0:100000:65536");
}

class BadRange : public testing::TestWithParam<const char*> {};

TEST_P(BadRange, IsRefused) { EXPECT_FALSE(ParseIdRange(GetParam()).has_value()); }

INSTANTIATE_TEST_SUITE_P(Forms, BadRange,
                         testing::Values("", "0", "0:0", "0:0:", "0:0:1:", "0 0 1", "a:0:1",
                                         "0:4294967296:1"));

}  // namespace
}  // namespace fsd::cli
