#include "server/control/status_details.h"

#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "proto/google/rpc/error_details.pb.h"
#include "proto/google/rpc/status.pb.h"
#include "server/supervisor/error_reason.h"

namespace fsd::control {
namespace {

using supervisor::ErrorReason;

google::rpc::Status Decode(const grpc::Status& status) {
  google::rpc::Status decoded;
  EXPECT_TRUE(decoded.ParseFromString(status.error_details()));
  EXPECT_EQ(decoded.code(), static_cast<int>(status.error_code()));
  EXPECT_EQ(decoded.message(), status.error_message());
  return decoded;
}

google::rpc::ErrorInfo InfoOf(const grpc::Status& status) {
  google::rpc::ErrorInfo info;
  EXPECT_TRUE(Decode(status).details(0).UnpackTo(&info));
  EXPECT_EQ(info.domain(), "fsd");
  return info;
}

google::rpc::BadRequest BadRequestOf(const grpc::Status& status) {
  google::rpc::BadRequest bad;
  EXPECT_TRUE(Decode(status).details(1).UnpackTo(&bad));
  return bad;
}

TEST(FailedCall, CarriesCodeMessageReasonAndExport) {
  const grpc::Status status =
      FailedCall(supervisor::ReasonedError(absl::StatusCode::kFailedPrecondition,
                                           ErrorReason::kExportInUse, "a guest is connected"),
                 "web");

  EXPECT_EQ(status.error_code(), grpc::StatusCode::FAILED_PRECONDITION);
  EXPECT_EQ(status.error_message(), "a guest is connected");
  EXPECT_EQ(InfoOf(status).reason(), "EXPORT_IN_USE");
  EXPECT_EQ(InfoOf(status).metadata().at("export"), "exports/web");
}

TEST(FailedCall, WithoutAReasonIsAnInternalFailure) {
  const grpc::Status status = FailedCall(absl::InternalError("oops"), "");

  EXPECT_EQ(status.error_code(), grpc::StatusCode::INTERNAL);
  EXPECT_EQ(InfoOf(status).reason(), "INTERNAL_FAILURE");
  EXPECT_TRUE(InfoOf(status).metadata().empty());
}

TEST(FailedCall, EveryReasonOfTheSupervisorIsInTheApi) {
  for (int i = 0; i <= static_cast<int>(ErrorReason::kEtagMismatch); ++i) {
    const std::string name(supervisor::ErrorReasonName(static_cast<ErrorReason>(i)));
    v1::ErrorReason parsed = v1::ERROR_REASON_UNSPECIFIED;
    EXPECT_TRUE(v1::ErrorReason_Parse(name, &parsed)) << name;
  }
}

TEST(FailedCall, ALongMessageIsCutBetweenCharacters) {
  std::string text(1023, 'x');
  text += "ää";

  EXPECT_EQ(FailedCall(absl::InternalError(text), "").error_message(),
            std::string(1023, 'x') + "…");
}

TEST(EtagMismatch, IsAborted) {
  const grpc::Status status = FailedCall(EtagMismatch(), "web");

  EXPECT_EQ(status.error_code(), grpc::StatusCode::ABORTED);
  EXPECT_EQ(InfoOf(status).reason(), "ETAG_MISMATCH");
  EXPECT_EQ(InfoOf(status).metadata().at("export"), "exports/web");
}

TEST(FailedWith, CarriesTheReasonAndWhatBelongsToIt) {
  const grpc::Status status =
      FailedWith(absl::ResourceExhaustedError("many"), v1::LIMIT_REACHED, {{"limit", "3"}});

  EXPECT_EQ(status.error_code(), grpc::StatusCode::RESOURCE_EXHAUSTED);
  EXPECT_EQ(InfoOf(status).reason(), "LIMIT_REACHED");
  EXPECT_EQ(InfoOf(status).metadata().at("limit"), "3");
}

TEST(InvalidFields, NamesEachField) {
  const grpc::Status status =
      InvalidFields({{"export.tag", v1::FIELD_REQUIRED, "is missing"},
                     {"export.qos", v1::FIELD_NOT_SERVED, "is not served"}});

  EXPECT_EQ(status.error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_EQ(status.error_message(), "export.tag: is missing (and 1 more)");
  EXPECT_EQ(InfoOf(status).reason(), "FIELD_INVALID");
  const google::rpc::BadRequest bad = BadRequestOf(status);
  ASSERT_EQ(bad.field_violations_size(), 2);
  EXPECT_EQ(bad.field_violations(1).field(), "export.qos");
  EXPECT_EQ(bad.field_violations(1).description(), "is not served");
  EXPECT_EQ(bad.field_violations(1).reason(), "FIELD_NOT_SERVED");
}

TEST(InvalidFields, AReasonThatAllShareIsTheCallsReason) {
  EXPECT_EQ(InfoOf(InvalidFields({{"a", v1::FIELD_NOT_SERVED, "x"}})).reason(), "FIELD_NOT_SERVED");
}

TEST(InvalidFields, StayBelowWhatClientsAccept) {
  FieldViolations violations;
  for (int i = 0; i < 500; ++i) {
    violations.push_back(
        {"export.labels." + std::to_string(i), v1::FIELD_INVALID, std::string(50, 'd')});
  }

  const grpc::Status status = InvalidFields(violations);

  EXPECT_LT(status.error_details().size(), 5500u);
  EXPECT_GT(BadRequestOf(status).field_violations_size(), 20);
  EXPECT_THAT(status.error_message(), testing::HasSubstr("(and 499 more)"));
}

}  // namespace
}  // namespace fsd::control
