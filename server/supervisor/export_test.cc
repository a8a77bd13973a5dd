#include "server/supervisor/export.h"

#include "gtest/gtest.h"

namespace fsd::supervisor {
namespace {

TEST(ExportStateTest, AFailedExportCanOnlyBeDeleted) {
  EXPECT_TRUE(IsLegalTransition(ExportState::kFailed, ExportState::kDeleting));
  EXPECT_FALSE(IsLegalTransition(ExportState::kFailed, ExportState::kListening));
  EXPECT_FALSE(IsLegalTransition(ExportState::kFailed, ExportState::kRecovering));
}

TEST(ExportStateTest, NothingGoesBackToCreating) {
  for (const ExportState from :
       {ExportState::kCreating, ExportState::kListening, ExportState::kConnected,
        ExportState::kMounted, ExportState::kRecovering, ExportState::kFailed,
        ExportState::kDeleting}) {
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
