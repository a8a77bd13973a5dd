#include "server/os/program.h"

#include <fcntl.h>

#include <csignal>

#include "gmock/gmock.h"
#include "server/os/unique_fd.h"

namespace fsd::os {
namespace {

using ::testing::HasSubstr;

constexpr std::chrono::seconds kPatience{60};

absl::Status Shell(const std::string& script) {
  return RunProgram("/bin/sh", {"-c", script}, kPatience);
}

TEST(ProgramTest, AProgramThatExitsWithZeroHasSucceeded) {
  EXPECT_TRUE(RunProgram("/bin/true", {"any", "argument"}, kPatience).ok());
}

TEST(ProgramTest, AFailureSaysHowItEndedAndWhatItWrote) {
  EXPECT_EQ(Shell("echo one; printf 'two\\033\\n' >&2; exit 3").message(),
            "/bin/sh exited with status 3: one two?");
  EXPECT_THAT(std::string(Shell("kill -9 $$").message()), HasSubstr("was killed by signal 9"));
}

TEST(ProgramTest, WhatIsToldOfItsOutputIsBounded) {
  EXPECT_LT(Shell("yes | head -c 100000; exit 1").message().size(), 500u);
}

// SIGPIPE is the lowest bit of the fourth digit. The C library ignores two signals of its own.
TEST(ProgramTest, ItInheritsNoDescriptorNoSignalSettingAndNoEnvironment) {
  const UniqueFd leaked(::open("/dev/null", O_RDONLY));
  ::setenv("FSD_TEST", "leaked", 1);
  ::signal(SIGPIPE, SIG_IGN);
  EXPECT_EQ(Shell("test -z \"$FSD_TEST\" && test ! -e /proc/$$/fd/" + std::to_string(leaked.get()) +
                  " && grep -q 'SigIgn:.*[02468ace]...$' /proc/$$/status")
                .message(),
            "");
  ::signal(SIGPIPE, SIG_DFL);
}

TEST(ProgramTest, OneThatDoesNotEndIsKilled) {
  const absl::Status status = RunProgram("/bin/sleep", {"1000"}, std::chrono::milliseconds(50));
  EXPECT_EQ(status.code(), absl::StatusCode::kDeadlineExceeded);
  EXPECT_THAT(std::string(status.message()), HasSubstr("/bin/sleep did not end within 50 ms"));
}

TEST(ProgramTest, OneThatIsNotThereIsNamed) {
  EXPECT_THAT(std::string(RunProgram("/nonexistent", {}, kPatience).message()),
              HasSubstr("start /nonexistent: No such file"));
}

}  // namespace
}  // namespace fsd::os
