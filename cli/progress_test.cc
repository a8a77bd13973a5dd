#include "cli/progress.h"

#include "gtest/gtest.h"

namespace fsd::cli {
namespace {

TEST(ProgressText, CountsUpToTheLimit) {
  using std::chrono::seconds;
  EXPECT_EQ(ProgressText("waiting", seconds(12), seconds(30)), "waiting ... 12s of 30s");
  EXPECT_EQ(ProgressText("waiting", seconds(180), std::nullopt), "waiting ... 3m");
}

}  // namespace
}  // namespace fsd::cli
