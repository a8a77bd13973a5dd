#include "server/supervisor/restart_policy.h"

#include <vector>

#include "gmock/gmock.h"

namespace fsd::supervisor {
namespace {

using ::testing::ElementsAre;
using ::testing::Eq;
using ::testing::Optional;

std::vector<int64_t> DelaysUntilGivingUp(RestartPolicy& policy) {
  std::vector<int64_t> delays_ms;
  while (const auto delay = policy.OnFailure(absl::ZeroDuration())) {
    delays_ms.push_back(absl::ToInt64Milliseconds(*delay));
  }
  return delays_ms;
}

TEST(RestartPolicyTest, EachFailureInARowDoublesTheDelayAndTheEighthGivesUp) {
  RestartPolicy policy{RestartLimits{}};
  EXPECT_THAT(DelaysUntilGivingUp(policy), ElementsAre(100, 200, 400, 800, 1600, 3200, 6400));
  EXPECT_EQ(policy.failures_in_a_row(), 8);
}

TEST(RestartPolicyTest, TheDelayHasACeiling) {
  RestartPolicy policy{RestartLimits{.max_failures = 11}};
  EXPECT_THAT(DelaysUntilGivingUp(policy),
              ElementsAre(100, 200, 400, 800, 1600, 3200, 6400, 10000, 10000, 10000));
}

TEST(RestartPolicyTest, AHealthyRunEndsTheRow) {
  RestartPolicy policy{RestartLimits{}};
  policy.OnFailure(absl::ZeroDuration());
  policy.OnFailure(absl::ZeroDuration());
  EXPECT_THAT(policy.OnFailure(absl::Seconds(30)), Optional(Eq(absl::Milliseconds(100))));
  EXPECT_EQ(policy.failures_in_a_row(), 1);
}

TEST(RestartPolicyTest, ARunThatIsTooShortDoesNotEndTheRow) {
  RestartPolicy policy{RestartLimits{}};
  policy.OnFailure(absl::ZeroDuration());
  EXPECT_THAT(policy.OnFailure(absl::Seconds(29)), Optional(Eq(absl::Milliseconds(200))));
}

TEST(RestartPolicyTest, WorkersThatRunLongAreRestartedForEver) {
  RestartPolicy policy{RestartLimits{}};
  for (int i = 0; i < 1000; ++i) {
    ASSERT_THAT(policy.OnFailure(absl::Hours(1)), Optional(Eq(absl::Milliseconds(100))));
  }
}

}  // namespace
}  // namespace fsd::supervisor
