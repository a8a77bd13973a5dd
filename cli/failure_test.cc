#include "cli/failure.h"

#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "proto/google/rpc/error_details.pb.h"
#include "proto/google/rpc/status.pb.h"

namespace fsd::cli {
namespace {

grpc::Status WithDetails(grpc::StatusCode code, const std::string& message,
                         const std::string& reason, const google::rpc::BadRequest& bad = {}) {
  google::rpc::ErrorInfo info;
  info.set_reason(reason);
  google::rpc::Status details;
  details.add_details()->PackFrom(info);
  if (bad.field_violations_size() != 0) details.add_details()->PackFrom(bad);
  return grpc::Status(code, message, details.SerializeAsString());
}

TEST(DescribeFailure, SaysWhatWasWrongAndWhatToDo) {
  const grpc::Status status =
      WithDetails(grpc::StatusCode::ABORTED, "another operation is pending", "EXPORT_BUSY");

  EXPECT_EQ(DescribeFailure(status, "delete exports/web"),
            "fsctl: cannot delete exports/web: another operation is pending\n"
            "hint: another call works on this export; try again\n");
}

TEST(DescribeFailure, NamesTheExportThatIsInUse) {
  google::rpc::ErrorInfo info;
  info.set_reason("EXPORT_IN_USE");
  (*info.mutable_metadata())["export"] = "exports/web";
  google::rpc::Status details;
  details.add_details()->PackFrom(info);
  const grpc::Status status(grpc::StatusCode::FAILED_PRECONDITION, "a front-end is connected",
                            details.SerializeAsString());

  EXPECT_EQ(DescribeFailure(status, "delete exports/web"),
            "fsctl: cannot delete exports/web: a front-end is connected\n"
            "hint: export \"web\" is in use by a connected VM; drain it first ('fsctl export drain "
            "web'), or use --force\n");
}

TEST(DescribeFailure, SaysThatAnOlderServerLacksACall) {
  EXPECT_EQ(DescribeFailure(grpc::Status(grpc::StatusCode::UNIMPLEMENTED, ""), "check the host"),
            "fsctl: cannot check the host: this server does not serve that call\n"
            "hint: 'fsctl version' shows the versions of both; a newer fsd may serve it\n");
}

TEST(DescribeFailure, ListsEachBadField) {
  google::rpc::BadRequest bad;
  for (const char* field : {"export.tag", "export_id"}) {
    auto& violation = *bad.add_field_violations();
    violation.set_field(field);
    violation.set_description("is missing");
  }

  EXPECT_EQ(DescribeFailure(WithDetails(grpc::StatusCode::INVALID_ARGUMENT, "export.tag: is …",
                                        "FIELD_REQUIRED", bad),
                            "create exports/"),
            "fsctl: cannot create exports/: the request is not valid\n"
            "  export.tag: is missing\n"
            "  export_id: is missing\n");
}

TEST(DescribeFailure, WithoutDetailsTheMessageStands) {
  EXPECT_EQ(
      DescribeFailure(grpc::Status(grpc::StatusCode::UNKNOWN, "what\n\x1b[1m"), "list exports"),
      "fsctl: cannot list exports: what\\x0a\\x1b[1m\n");
}

}  // namespace
}  // namespace fsd::cli
