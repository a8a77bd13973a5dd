#include <memory>

#include "gtest/gtest.h"
#include "server/errors/errno_or.h"
#include "server/errors/status_macros.h"

namespace fsd {
namespace {

ErrnoOr<int> Half(int value) {
  if (value % 2 != 0) return Errno(EDOM);
  return value / 2;
}

ErrnoOr<int> Quarter(int value) {
  FSD_ASSIGN_OR_RETURN_ERRNO(const int half, Half(value));
  return Half(half);
}

TEST(ErrnoOr, CarriesValueOrErrno) {
  EXPECT_EQ(*Half(4), 2);
  EXPECT_EQ(Half(3).error(), Errno(EDOM));
}

TEST(ErrnoOr, MacroHandsTheErrnoUp) {
  EXPECT_EQ(*Quarter(8), 2);
  EXPECT_EQ(Quarter(6).error(), Errno(EDOM));
}

TEST(ErrnoOr, HoldsMoveOnlyValues) {
  ErrnoOr<std::unique_ptr<int>> result(std::make_unique<int>(7));
  EXPECT_EQ(*std::move(result).value(), 7);
}

TEST(ErrnoOrDeathTest, ReadingAMissingValueAborts) {
  EXPECT_DEATH((void)*Half(3), "check failed");
}

TEST(ErrnoStatus, NamesWhatFailedAndWhy) {
  const absl::Status status = ErrnoStatus(Errno(ENOENT), "open /x");
  EXPECT_EQ(status.code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(std::string(status.message()), "open /x: No such file or directory");
}

TEST(Annotate, PutsContextInFront) {
  const absl::Status status = Annotate(absl::InternalError("broken"), "export web");
  EXPECT_EQ(std::string(status.message()), "export web: broken");
  EXPECT_TRUE(Annotate(absl::OkStatus(), "export web").ok());
}

}  // namespace
}  // namespace fsd
