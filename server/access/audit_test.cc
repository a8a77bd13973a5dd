#include "server/access/audit.h"

#include <string>

#include "gmock/gmock.h"
#include "proto/fsd/v1/export_service.pb.h"
#include "server/telemetry/log.h"

namespace fsd::access {
namespace {

using testing::HasSubstr;

constexpr char kCreate[] = "/fsd.v1.ExportService/CreateExport";
constexpr char kDelete[] = "/fsd.v1.ExportService/DeleteExport";

grpc::ByteBuffer Bytes(const std::string& text) {
  const grpc::Slice slice(text);
  return grpc::ByteBuffer(&slice, 1);
}

grpc::ByteBuffer DeletionOf(const std::string& name) {
  v1::DeleteExportRequest request;
  request.set_name(name);
  return Bytes(request.SerializeAsString());
}

TEST(RequestedResource, IsTheNameThatTheRequestHasOrWillHave) {
  v1::CreateExportRequest creation;
  creation.set_export_id("web");
  creation.mutable_export_()->set_name("ignored");
  v1::UpdateExportRequest update;
  update.mutable_export_()->set_name("exports/web");

  EXPECT_EQ(RequestedResource(kDelete, DeletionOf("exports/web")), "exports/web");
  EXPECT_EQ(RequestedResource(kCreate, Bytes(creation.SerializeAsString())), "exports/web");
  EXPECT_EQ(
      RequestedResource("/fsd.v1.ExportService/UpdateExport", Bytes(update.SerializeAsString())),
      "exports/web");
}

TEST(RequestedResource, IsEmptyWhereThereIsNone) {
  EXPECT_EQ(RequestedResource(kDelete, DeletionOf("")), "");
  EXPECT_EQ(RequestedResource(kDelete, Bytes("\xff\xff\xff")), "");
  EXPECT_EQ(RequestedResource(kDelete, grpc::ByteBuffer()), "");
  for (const char* method : {"", "/", "x", "/no.such.Service/Method"}) {
    EXPECT_EQ(RequestedResource(method, DeletionOf("exports/web")), "") << method;
  }
}

TEST(Audit, ACallIsALineWhateverTheLevel) {
  Audit audit;
  telemetry::SetLogLevel(telemetry::LogLevel::kError);
  testing::internal::CaptureStderr();
  audit.LogCall(UnixCaller({.pid = 17, .uid = 1, .gid = 2}, supervisor::Role::kAdministrator),
                kDelete, DeletionOf("exports/web"), grpc::Status(grpc::StatusCode::NOT_FOUND, "m"),
                absl::Microseconds(5310));
  telemetry::SetLogLevel(telemetry::LogLevel::kInfo);

  EXPECT_THAT(testing::internal::GetCapturedStderr(),
              HasSubstr("audit: uid=1 gid=2 pid=17 role=admin "
                        "called=/fsd.v1.ExportService/DeleteExport resource=\"exports/web\" "
                        "code=NOT_FOUND duration_us=5310\n"));
}

TEST(Audit, WhatAClientWritesIsOneQuotedWord) {
  Audit audit;
  testing::internal::CaptureStderr();
  audit.LogCall({.name = "n"}, kDelete, DeletionOf("x\" code=OK\n" + std::string(1000, 'y')),
                grpc::Status(grpc::StatusCode::INVALID_ARGUMENT, ""), absl::ZeroDuration());

  EXPECT_THAT(
      testing::internal::GetCapturedStderr(),
      HasSubstr("role=none called=" + std::string(kDelete) + " resource=\"x\\\" code=OK\\n" +
                std::string(245, 'y') + "\" code=INVALID_ARGUMENT"));
}

TEST(Audit, OfManyRefusalsSomeAreLeftOutAndCounted) {
  Audit audit;
  const grpc::Status refusal(grpc::StatusCode::PERMISSION_DENIED, "why");
  testing::internal::CaptureStderr();
  for (int i = 0; i < 200; ++i) audit.LogRefusal({.name = "peer=x"}, "/m", refusal);
  const std::string log = testing::internal::GetCapturedStderr();

  EXPECT_THAT(log, HasSubstr("audit: peer=x role=none was refused \"/m\" code=PERMISSION_DENIED: "
                             "why\n"));
  EXPECT_LT(std::count(log.begin(), log.end(), '\n'), 150);
}

TEST(CodeName, IsThatOfTheApisDocuments) {
  EXPECT_EQ(CodeName(grpc::StatusCode::OK), "OK");
  EXPECT_EQ(CodeName(grpc::StatusCode::PERMISSION_DENIED), "PERMISSION_DENIED");
  EXPECT_EQ(CodeName(grpc::StatusCode::ABORTED), "ABORTED");
  EXPECT_EQ(CodeName(grpc::StatusCode::UNAUTHENTICATED), "UNAUTHENTICATED");
  EXPECT_EQ(CodeName(static_cast<grpc::StatusCode>(99)), "UNKNOWN");
}

}  // namespace
}  // namespace fsd::access
