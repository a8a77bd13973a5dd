#include "server/telemetry/log.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace fsd::telemetry {
namespace {

using ::testing::ContainsRegex;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

TEST(Log, WritesLevelProgramExportAndMessage) {
  testing::internal::CaptureStderr();
  FSD_LOG(kWarning, "web", "queue %d stopped", 3);
  EXPECT_THAT(testing::internal::GetCapturedStderr(),
              ContainsRegex("warning fsd.*: export web: queue 3 stopped\n$"));
}

TEST(Log, ForeignNewlinesCannotForgeALine) {
  testing::internal::CaptureStderr();
  FSD_LOG(kInfo, "", "%s", "name\n2026 error: forged");
  EXPECT_THAT(testing::internal::GetCapturedStderr(), HasSubstr("name\\x0a2026 error: forged\n"));
}

TEST(Log, BelowTheLevelNothingIsWrittenOrFormatted) {
  SetLogLevel(LogLevel::kError);
  bool formatted = false;
  const auto format = [&] { return formatted = true, 1; };
  testing::internal::CaptureStderr();
  FSD_LOG(kInfo, "", "%d", format());
  EXPECT_THAT(testing::internal::GetCapturedStderr(), IsEmpty());
  EXPECT_FALSE(formatted);
  SetLogLevel(LogLevel::kInfo);
}

TEST(Log, LevelsHaveTheirNames) {
  EXPECT_EQ(ParseLogLevel("debug"), LogLevel::kDebug);
  EXPECT_EQ(ParseLogLevel("loud"), std::nullopt);
}

}  // namespace
}  // namespace fsd::telemetry
