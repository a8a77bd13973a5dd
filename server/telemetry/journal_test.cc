#include "server/telemetry/journal.h"

#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace fsd::telemetry {
namespace {

// As the service manager sets it.
std::string StreamOf(int fd) {
  struct stat found;
  fstat(fd, &found);
  return std::to_string(found.st_dev) + ":" + std::to_string(found.st_ino);
}

TEST(Journal, IsKnownByTheStreamsDeviceAndInode) {
  int ends[2];
  ASSERT_EQ(pipe(ends), 0);

  EXPECT_TRUE(IsJournal(ends[1], StreamOf(ends[1]).c_str()));
  EXPECT_FALSE(IsJournal(ends[1], StreamOf(STDIN_FILENO).c_str()));
  EXPECT_FALSE(IsJournal(ends[1], nullptr));
  EXPECT_FALSE(IsJournal(ends[1], ""));
  close(ends[0]);
  close(ends[1]);
  EXPECT_FALSE(IsJournal(ends[1], StreamOf(STDIN_FILENO).c_str()));
}

TEST(Journal, LinesCarryTheirPriorityAndNoTime) {
  testing::internal::CaptureStderr();
  setenv(kJournalStream, StreamOf(STDERR_FILENO).c_str(), 1);
  StartLog("fsd", LogLevel::kDebug);
  FSD_LOG(kDebug, "", "d");
  FSD_LOG(kInfo, "web", "two\nlines");
  FSD_LOG(kWarning, "", "w");
  FSD_LOG(kError, "", "e");

  EXPECT_EQ(testing::internal::GetCapturedStderr(),
            "<7>d\n<6>export web: two\\x0alines\n<4>w\n<3>e\n");

  testing::internal::CaptureStderr();
  unsetenv(kJournalStream);
  StartLog("fsd", LogLevel::kInfo);
  FSD_LOG(kInfo, "", "a terminal's");
  EXPECT_THAT(testing::internal::GetCapturedStderr(),
              testing::ContainsRegex("^[0-9]{4}-.* info fsd.*: a terminal's\n$"));
}

}  // namespace
}  // namespace fsd::telemetry
