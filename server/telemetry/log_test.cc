#include "server/telemetry/log.h"

#include <chrono>
#include <thread>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace fsd::telemetry {
namespace {

using ::testing::AllOf;
using ::testing::ContainsRegex;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

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

// Last of those that write, as the limit stays.
TEST(LogLimit, LeavesOutWhatIsTooMuchAndSaysHowMuch) {
  StartLog("fsd", LogLevel::kDebug, LogLimit{.burst = 3, .per_second = 1});
  testing::internal::CaptureStderr();
  for (int i = 0; i < 50; ++i) FSD_LOG(kWarning, "web", "line %d", i);
  FSD_LOG(kDebug, "web", "asked for");
  EXPECT_THAT(testing::internal::GetCapturedStderr(),
              AllOf(HasSubstr("line 2\n"), Not(HasSubstr("line 40\n")), HasSubstr("asked for\n")));
  std::this_thread::sleep_for(std::chrono::milliseconds(1100));
  testing::internal::CaptureStderr();
  FSD_LOG(kWarning, "web", "the next");
  EXPECT_THAT(testing::internal::GetCapturedStderr(),
              ContainsRegex("lines were left out, as they were too many\n.*the next\n"));
  SetLogLevel(LogLevel::kInfo);
}

TEST(Log, LevelsHaveTheirNames) {
  EXPECT_EQ(ParseLogLevel("debug"), LogLevel::kDebug);
  EXPECT_EQ(ParseLogLevel("loud"), std::nullopt);
}

}  // namespace
}  // namespace fsd::telemetry
