#include "cli/exit_code.h"

#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace fsd::cli {
namespace {

TEST(ToExitCode, TellsClassesOfFailuresApart) {
  EXPECT_EQ(ToExitCode(grpc::StatusCode::OK), ExitCode::kOk);
  EXPECT_EQ(ToExitCode(grpc::StatusCode::INTERNAL), ExitCode::kFailure);
  EXPECT_EQ(ToExitCode(grpc::StatusCode::NOT_FOUND), ExitCode::kNotFound);
  EXPECT_EQ(ToExitCode(grpc::StatusCode::ABORTED), ExitCode::kConflict);
  EXPECT_EQ(ToExitCode(grpc::StatusCode::INVALID_ARGUMENT), ExitCode::kInvalid);
  EXPECT_EQ(ToExitCode(grpc::StatusCode::UNAUTHENTICATED), ExitCode::kPermission);
  EXPECT_EQ(ToExitCode(grpc::StatusCode::UNAVAILABLE), ExitCode::kUnavailable);
  EXPECT_EQ(ToExitCode(grpc::StatusCode::FAILED_PRECONDITION), ExitCode::kPrecondition);
  EXPECT_EQ(ToExitCode(grpc::StatusCode::DEADLINE_EXCEEDED), ExitCode::kTimedOut);
  EXPECT_EQ(ToExitCode(grpc::StatusCode::UNIMPLEMENTED), ExitCode::kNotServed);
}

TEST(ExitCodeHelp, NamesTheLast) {
  const std::string last = std::to_string(static_cast<int>(ExitCode::kNotServed));
  EXPECT_THAT(kExitCodeHelp, testing::HasSubstr(last + " not served"));
}

}  // namespace
}  // namespace fsd::cli
