#include "server/supervisor/export_state.h"

#include "gtest/gtest.h"

namespace fsd::supervisor {
namespace {

TEST(ExportStateTest, AFailedExportCanOnlyBeDeletedOrBroughtBack) {
  EXPECT_TRUE(IsLegalTransition(ExportState::kFailed, ExportState::kDeleting));
  EXPECT_TRUE(IsLegalTransition(ExportState::kFailed, ExportState::kRecovering));
  EXPECT_FALSE(IsLegalTransition(ExportState::kFailed, ExportState::kListening));
  EXPECT_FALSE(IsLegalTransition(ExportState::kFailed, ExportState::kDraining));
}

TEST(ExportStateTest, NothingGoesBackToCreating) {
  for (const ExportState from :
       {ExportState::kCreating, ExportState::kListening, ExportState::kConnected,
        ExportState::kMounted, ExportState::kRecovering, ExportState::kFailed,
        ExportState::kDeleting, ExportState::kDraining}) {
    EXPECT_FALSE(IsLegalTransition(from, ExportState::kCreating)) << ExportStateName(from);
  }
}

TEST(ExportStateTest, AWorkersReportsMaySkipStates) {
  EXPECT_TRUE(IsLegalTransition(ExportState::kListening, ExportState::kMounted));
  EXPECT_TRUE(IsLegalTransition(ExportState::kMounted, ExportState::kListening));
  EXPECT_TRUE(IsLegalTransition(ExportState::kCreating, ExportState::kConnected));
}

}  // namespace
}  // namespace fsd::supervisor
