#include "cli/apply_plan.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace fsd::cli {
namespace {

using testing::HasSubstr;

ApplyStep Updating() {
  ApplyStep step;
  step.action = ApplyAction::kUpdate;
  step.wanted.set_name("exports/web");
  step.update.mutable_export_()->set_read_only(true);
  v1::FieldEffect* effect = step.update.add_effects();
  effect->set_field("read_only");
  effect->set_effect(v1::FieldEffect::NEXT_CONNECTION);
  return step;
}

TEST(ApplyText, HasALineForEachFieldThatChanges) {
  EXPECT_EQ(ApplyText(Updating(), false),
            "updated exports/web\n"
            "  read_only: unset -> true (next connection)\n");
}

TEST(ApplyText, SaysThatNothingWasDone) {
  ApplyStep step;
  step.action = ApplyAction::kDelete;
  step.before.set_name("exports/old");
  EXPECT_EQ(ApplyText(step, true), "deleted exports/old (dry run)\n");
}

TEST(ApplyJson, IsForPrograms) {
  const std::string json = ApplyJson({Updating()});
  EXPECT_THAT(json, HasSubstr("\"action\": \"UPDATED\""));
  EXPECT_THAT(json, HasSubstr("\"before\": \"unset\""));
  EXPECT_THAT(json, HasSubstr("\"effect\": \"NEXT_CONNECTION\""));
}

TEST(WithServersChoices, KeepsTheSocketThatTheServerChose) {
  v1::Export before;
  before.mutable_socket()->set_path("/run/fsd/web.sock");
  before.mutable_socket()->set_mode(0600);
  v1::Export with_mode;
  with_mode.mutable_socket()->set_mode(0660);
  v1::Export with_path;
  with_path.mutable_socket()->set_path("/other");

  EXPECT_EQ(WithServersChoices({}, before).socket().mode(), 0600u);
  EXPECT_EQ(WithServersChoices(with_mode, before).socket().path(), "/run/fsd/web.sock");
  EXPECT_EQ(WithServersChoices(with_mode, before).socket().mode(), 0660u);
  EXPECT_EQ(WithServersChoices(with_path, before).socket().path(), "/other");
}

}  // namespace
}  // namespace fsd::cli
