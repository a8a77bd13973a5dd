#include "cli/wait_condition.h"

#include "gtest/gtest.h"

namespace fsd::cli {
namespace {

v1::Export In(v1::ExportStatus::State state) {
  v1::Export resource;
  resource.mutable_status()->set_state(state);
  return resource;
}

bool IsMet(const std::string& condition, const v1::Export& resource) {
  return WaitCondition::Parse(condition).value().IsMet(resource);
}

TEST(WaitCondition, OfAState) {
  const v1::Export mounted = In(v1::ExportStatus::MOUNTED);
  EXPECT_TRUE(IsMet("state=MOUNTED", mounted));
  EXPECT_TRUE(IsMet("state=mounted", mounted));
  EXPECT_TRUE(IsMet("mounted", mounted));
  EXPECT_FALSE(IsMet("state=LISTENING", mounted));
  EXPECT_EQ(WaitCondition::Parse("listening")->Difference(mounted), "it is MOUNTED, not LISTENING");
}

TEST(WaitCondition, DrainedMeansThatNobodyIsConnected) {
  v1::Export draining = In(v1::ExportStatus::DRAINING);
  EXPECT_TRUE(IsMet("drained", draining));
  EXPECT_FALSE(IsMet("drained", In(v1::ExportStatus::LISTENING)));
  draining.mutable_status()->mutable_connection();
  EXPECT_FALSE(IsMet("drained", draining));
}

TEST(WaitCondition, OfACondition) {
  v1::Export resource;
  EXPECT_FALSE(IsMet("condition=UPDATE_PENDING", resource));
  EXPECT_TRUE(IsMet("condition=UPDATE_PENDING=false", resource));
  resource.mutable_status()->add_conditions()->set_reason("UPDATE_PENDING");
  EXPECT_TRUE(IsMet("condition=update_pending", resource));
  EXPECT_FALSE(IsMet("condition=UPDATE_PENDING=false", resource));
}

TEST(WaitCondition, OfDeletionIsNeverMetByAnExportThatIsThere) {
  EXPECT_TRUE(WaitCondition::Parse("deleted")->IsDeletion());
  EXPECT_FALSE(IsMet("deleted", In(v1::ExportStatus::DELETING)));
}

TEST(WaitCondition, RefusesWhatIsNone) {
  for (const char* text : {"", "state=", "state=GONE", "gone", "condition=", "condition==true",
                           "condition=X=maybe", "STATE_UNSPECIFIED"}) {
    EXPECT_FALSE(WaitCondition::Parse(text).has_value()) << text;
  }
}

}  // namespace
}  // namespace fsd::cli
