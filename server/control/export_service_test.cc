#include "server/control/export_service.h"

#include <memory>
#include <string>
#include <thread>
#include <utility>

#include "gmock/gmock.h"
#include "grpcpp/grpcpp.h"
#include "gtest/gtest.h"
#include "proto/google/rpc/error_details.pb.h"
#include "proto/google/rpc/status.pb.h"
#include "server/control/fake_supervisor.h"

namespace fsd::control {
namespace {

using grpc::StatusCode;

class ExportServiceTest : public testing::Test {
 protected:
  ExportServiceTest() {
    grpc::ServerBuilder builder;
    builder.RegisterService(&service_);
    server_ = builder.BuildAndStart();
    stub_ = v1::ExportService::NewStub(server_->InProcessChannel({}));
  }

  static v1::CreateExportRequest WebRequest(const std::string& id) {
    v1::CreateExportRequest request;
    request.set_export_id(id);
    request.mutable_export_()->mutable_source()->mutable_passthrough()->set_path("/srv/web");
    request.mutable_export_()->set_tag("web");
    return request;
  }

  grpc::Status Create(const v1::CreateExportRequest& request, v1::Export* created = nullptr) {
    grpc::ClientContext context;
    v1::Export ignored;
    return stub_->CreateExport(&context, request, created != nullptr ? created : &ignored);
  }

  grpc::Status Get(const std::string& name, v1::Export* found = nullptr) {
    grpc::ClientContext context;
    v1::GetExportRequest request;
    request.set_name(name);
    v1::Export ignored;
    return stub_->GetExport(&context, request, found != nullptr ? found : &ignored);
  }

  grpc::Status Delete(const v1::DeleteExportRequest& request) {
    grpc::ClientContext context;
    google::protobuf::Empty empty;
    return stub_->DeleteExport(&context, request, &empty);
  }

  static v1::DeleteExportRequest DeleteRequest(const std::string& name) {
    v1::DeleteExportRequest request;
    request.set_name(name);
    return request;
  }

  static std::string Reason(const grpc::Status& status) {
    google::rpc::Status details;
    google::rpc::ErrorInfo info;
    if (!details.ParseFromString(status.error_details()) || details.details_size() == 0 ||
        !details.details(0).UnpackTo(&info)) {
      return "";
    }
    return info.reason();
  }

  FakeSupervisor supervisor_;
  ExportService service_{supervisor_, WatchHub::Create({})};
  std::unique_ptr<grpc::Server> server_;
  std::unique_ptr<v1::ExportService::Stub> stub_;
};

TEST_F(ExportServiceTest, CreateAnswersWithTheExportThatGetShows) {
  v1::CreateExportRequest request = WebRequest("web");
  request.set_request_id("call-1");
  v1::Export created;
  ASSERT_TRUE(Create(request, &created).ok());

  EXPECT_EQ(created.name(), "exports/web");
  EXPECT_EQ(created.socket().path(), "/run/fake/web.sock");
  EXPECT_EQ(created.status().state(), v1::ExportStatus::LISTENING);
  EXPECT_EQ(supervisor_.last_request_id(), "call-1");
  v1::Export found;
  ASSERT_TRUE(Get("exports/web", &found).ok());
  EXPECT_EQ(found.SerializeAsString(), created.SerializeAsString());
}

TEST_F(ExportServiceTest, ValidateOnlyCreatesNothing) {
  v1::CreateExportRequest request = WebRequest("web");
  request.set_validate_only(true);
  v1::Export created;

  EXPECT_TRUE(Create(request, &created).ok());

  EXPECT_EQ(created.name(), "exports/web");
  EXPECT_EQ(Get("exports/web").error_code(), StatusCode::NOT_FOUND);
}

TEST_F(ExportServiceTest, CreateRefusesWhatIsNotServed) {
  v1::CreateExportRequest request = WebRequest("web");
  request.mutable_export_()->mutable_transport()->set_max_queue_size(256);

  const grpc::Status status = Create(request);

  EXPECT_EQ(status.error_code(), StatusCode::INVALID_ARGUMENT);
  EXPECT_EQ(Reason(status), "FIELD_NOT_SERVED");
  EXPECT_THAT(status.error_message(), testing::HasSubstr("export.transport.max_queue_size"));
  EXPECT_EQ(Get("exports/web").error_code(), StatusCode::NOT_FOUND);
}

TEST_F(ExportServiceTest, TheSupervisorsRefusalKeepsItsCodeAndReason) {
  ASSERT_TRUE(Create(WebRequest("web")).ok());
  v1::CreateExportRequest other = WebRequest("web");
  other.mutable_export_()->set_tag("other");

  EXPECT_TRUE(Create(WebRequest("web")).ok());
  const grpc::Status status = Create(other);
  EXPECT_EQ(status.error_code(), StatusCode::ALREADY_EXISTS);
  EXPECT_EQ(Reason(status), "EXPORT_EXISTS");
}

TEST_F(ExportServiceTest, GetSaysWhatIsNotThere) {
  const grpc::Status status = Get("exports/none");

  EXPECT_EQ(status.error_code(), StatusCode::NOT_FOUND);
  EXPECT_EQ(Reason(status), "EXPORT_NOT_FOUND");
  EXPECT_EQ(Get("none").error_code(), StatusCode::INVALID_ARGUMENT);
}

TEST_F(ExportServiceTest, ListGoesPageByPage) {
  for (const char* id : {"a", "b", "c"}) ASSERT_TRUE(Create(WebRequest(id)).ok());
  v1::ListExportsRequest request;
  request.set_page_size(2);
  grpc::ClientContext first_context, second_context;
  v1::ListExportsResponse first, second;

  ASSERT_TRUE(stub_->ListExports(&first_context, request, &first).ok());
  request.set_page_token(first.next_page_token());
  ASSERT_TRUE(stub_->ListExports(&second_context, request, &second).ok());

  ASSERT_EQ(first.exports_size(), 2);
  ASSERT_EQ(second.exports_size(), 1);
  EXPECT_EQ(second.exports(0).name(), "exports/c");
  EXPECT_EQ(second.next_page_token(), "");
}

TEST_F(ExportServiceTest, ListRefusesAForeignPageToken) {
  v1::ListExportsRequest request;
  request.set_page_token("junk");
  grpc::ClientContext context;
  v1::ListExportsResponse page;

  const grpc::Status status = stub_->ListExports(&context, request, &page);

  EXPECT_EQ(status.error_code(), StatusCode::INVALID_ARGUMENT);
  EXPECT_EQ(Reason(status), "PAGE_TOKEN_INVALID");
}

TEST_F(ExportServiceTest, DeleteIsSafeUnlessForced) {
  ASSERT_TRUE(Create(WebRequest("web")).ok());
  supervisor_.SetState("web", supervisor::ExportState::kMounted);

  const grpc::Status safe = Delete(DeleteRequest("exports/web"));
  EXPECT_EQ(safe.error_code(), StatusCode::FAILED_PRECONDITION);
  EXPECT_EQ(Reason(safe), "EXPORT_IN_USE");

  v1::DeleteExportRequest force = DeleteRequest("exports/web");
  force.set_mode(v1::DeleteExportRequest::FORCE);
  EXPECT_TRUE(Delete(force).ok());
  EXPECT_EQ(Get("exports/web").error_code(), StatusCode::NOT_FOUND);
}

TEST_F(ExportServiceTest, DeleteOfAMissingExportIsAnErrorUnlessAllowed) {
  v1::DeleteExportRequest request = DeleteRequest("exports/none");
  EXPECT_EQ(Delete(request).error_code(), StatusCode::NOT_FOUND);

  request.set_allow_missing(true);
  EXPECT_TRUE(Delete(request).ok());
  request.set_etag("\"1\"");
  EXPECT_TRUE(Delete(request).ok());
}

TEST_F(ExportServiceTest, DeleteComparesTheEtag) {
  v1::Export created;
  ASSERT_TRUE(Create(WebRequest("web"), &created).ok());
  v1::DeleteExportRequest request = DeleteRequest("exports/web");

  request.set_etag("\"stale\"");
  const grpc::Status stale = Delete(request);
  EXPECT_EQ(stale.error_code(), StatusCode::ABORTED);
  EXPECT_EQ(Reason(stale), "ETAG_MISMATCH");
  EXPECT_TRUE(Get("exports/web").ok());

  request.set_etag(created.etag());
  EXPECT_TRUE(Delete(request).ok());
}

TEST_F(ExportServiceTest, AnAnswerAfterTheClientHasGoneIsDropped) {
  supervisor_.Hold();
  grpc::ClientContext context;
  grpc::Status status;
  std::thread client([&] {
    v1::Export created;
    status = stub_->CreateExport(&context, WebRequest("web"), &created);
  });
  supervisor_.WaitForHeld(1);

  context.TryCancel();
  client.join();
  supervisor_.Release();

  EXPECT_EQ(status.error_code(), StatusCode::CANCELLED);
  EXPECT_TRUE(Get("exports/web").ok());
}

TEST_F(ExportServiceTest, ACallThatNobodyWillAnswerFails) {
  supervisor_.Hold();
  grpc::Status status;
  std::thread client([&] { status = Create(WebRequest("web")); });
  supervisor_.WaitForHeld(1);

  supervisor_.DropHeld();
  client.join();

  EXPECT_EQ(status.error_code(), StatusCode::INTERNAL);
  EXPECT_EQ(Reason(status), "INTERNAL_FAILURE");
}

TEST_F(ExportServiceTest, TheServerStopsWithACallWaiting) {
  supervisor_.Hold();
  grpc::Status status;
  std::thread client([&] { status = Create(WebRequest("web")); });
  supervisor_.WaitForHeld(1);

  server_->Shutdown(std::chrono::system_clock::now());
  client.join();
  supervisor_.Release();

  EXPECT_FALSE(status.ok());
}

}  // namespace
}  // namespace fsd::control
