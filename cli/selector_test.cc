#include "cli/selector.h"

#include "gtest/gtest.h"

namespace fsd::cli {
namespace {

TEST(SelectorFilter, IsOfEveryRequirement) {
  EXPECT_EQ(SelectorFilter("example.com/tier=front,zone!=1,keep,!drop,a==b"),
            "labels.\"example.com/tier\" = \"front\" AND labels.\"zone\" != \"1\" AND "
            "labels.\"keep\":* AND NOT labels.\"drop\":* AND labels.\"a\" = \"b\"");
}

TEST(SelectorFilter, QuotesWhatWouldEndTheString) {
  EXPECT_EQ(SelectorFilter(R"(a=x"\y)"), R"(labels."a" = "x\"\\y")");
}

TEST(SelectorFilter, RefusesARequirementWithoutAKey) {
  for (const char* selector : {"=x", "!", "a=b,", "a=b,,c", "!=x"}) {
    EXPECT_THROW(SelectorFilter(selector), CLI::ValidationError) << selector;
  }
}

TEST(BothFilters, HoldTogether) {
  EXPECT_EQ(BothFilters("a = 1 OR b = 2", "c = 3"), "(a = 1 OR b = 2) AND (c = 3)");
  EXPECT_EQ(BothFilters("", "c = 3"), "c = 3");
  EXPECT_EQ(BothFilters("a = 1", ""), "a = 1");
}

TEST(OrderBy, TakesShortNamesAndTheApis) {
  EXPECT_EQ(OrderBy("state,-created,update_time"), "status.state,create_time desc,update_time");
}

}  // namespace
}  // namespace fsd::cli
