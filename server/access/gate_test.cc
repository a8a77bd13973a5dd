#include "server/access/gate.h"

#include <google/protobuf/empty.pb.h>

#include <atomic>
#include <string>
#include <thread>
#include <vector>

#include "gmock/gmock.h"
#include "grpcpp/grpcpp.h"
#include "proto/fsd/v1/error_reason.pb.h"
#include "proto/fsd/v1/export_service.grpc.pb.h"
#include "proto/google/rpc/error_details.pb.h"
#include "proto/google/rpc/status.pb.h"
#include "server/access/call_relay.h"

namespace fsd::access {
namespace {

using grpc::StatusCode;
using supervisor::Role;
using testing::HasSubstr;

// What is behind the gate.
class FakeExports final : public v1::ExportService::CallbackService {
 public:
  grpc::ServerUnaryReactor* GetExport(grpc::CallbackServerContext* context,
                                      const v1::GetExportRequest* request,
                                      v1::Export* response) override {
    ++calls;
    deadline = context->deadline();
    response->set_name(request->name());
    auto* reactor = context->DefaultReactor();
    reactor->Finish(grpc::Status::OK);
    return reactor;
  }
  grpc::ServerUnaryReactor* DeleteExport(grpc::CallbackServerContext* context,
                                         const v1::DeleteExportRequest*,
                                         google::protobuf::Empty*) override {
    ++calls;
    auto* reactor = context->DefaultReactor();
    reactor->Finish(grpc::Status(StatusCode::NOT_FOUND, "gone", "details"));
    return reactor;
  }
  // Answers nobody, until its client goes away.
  grpc::ServerUnaryReactor* CreateExport(grpc::CallbackServerContext*,
                                         const v1::CreateExportRequest*, v1::Export*) override {
    class Waiting final : public grpc::ServerUnaryReactor {
     public:
      explicit Waiting(std::atomic<int>& cancelled) : cancelled_(cancelled) {}
      void OnCancel() override {
        ++cancelled_;
        Finish(grpc::Status::CANCELLED);
      }
      void OnDone() override { delete this; }

     private:
      std::atomic<int>& cancelled_;
    };
    ++calls;
    return new Waiting(cancelled);
  }

  std::atomic<int> calls = 0;
  std::atomic<int> cancelled = 0;
  std::chrono::system_clock::time_point deadline;
};

class GateTest : public testing::Test {
 protected:
  GateTest() {
    grpc::ServerBuilder inner;
    inner.RegisterService(&exports_);
    behind_ = inner.BuildAndStart();
    gate_ = std::make_unique<Gate>(
        behind_->InProcessChannel({}),
        [this](const grpc::GenericCallbackServerContext&) { return caller_; }, audit_, calls_);
    grpc::ServerBuilder outer;
    outer.RegisterCallbackGenericService(gate_.get());
    before_ = outer.BuildAndStart();
    stub_ = v1::ExportService::NewStub(before_->InProcessChannel({}));
  }
  ~GateTest() override {
    before_->Shutdown(std::chrono::system_clock::now());
    behind_->Shutdown(std::chrono::system_clock::now());
  }

  grpc::Status Get(v1::Export& response) {
    grpc::ClientContext context;
    v1::GetExportRequest request;
    request.set_name("exports/web");
    return stub_->GetExport(&context, request, &response);
  }
  grpc::Status Delete() {
    grpc::ClientContext context;
    v1::DeleteExportRequest request;
    request.set_name("exports/web");
    google::protobuf::Empty response;
    return stub_->DeleteExport(&context, request, &response);
  }

  // Of a method of ExportService, with that result.
  uint64_t Counted(const std::string& method, const std::string& code) const {
    const auto counted = calls_->Snapshot();
    const auto found = counted.find({"fsd.v1.ExportService/" + method, code});
    return found == counted.end() ? 0 : found->second;
  }

  FakeExports exports_;
  Audit audit_;
  const std::shared_ptr<telemetry::CallCounters> calls_ =
      std::make_shared<telemetry::CallCounters>();
  Caller caller_{.name = "n", .is_known = true, .role = Role::kAdministrator};
  std::unique_ptr<grpc::Server> behind_;
  std::unique_ptr<Gate> gate_;
  std::unique_ptr<grpc::Server> before_;
  std::unique_ptr<v1::ExportService::Stub> stub_;
};

std::string ReasonOf(const grpc::Status& status) {
  google::rpc::Status details;
  google::rpc::ErrorInfo info;
  EXPECT_TRUE(details.ParseFromString(status.error_details()));
  EXPECT_EQ(details.details_size(), 1);
  EXPECT_TRUE(details.details(0).UnpackTo(&info));
  EXPECT_EQ(info.domain(), "fsd");
  return info.reason();
}

TEST_F(GateTest, ACallAndItsAnswerGoThroughUnchanged) {
  v1::Export response;
  ASSERT_TRUE(Get(response).ok());
  EXPECT_EQ(response.name(), "exports/web");

  const grpc::Status failure = Delete();
  EXPECT_EQ(failure.error_code(), StatusCode::NOT_FOUND);
  EXPECT_EQ(failure.error_message(), "gone");
  EXPECT_EQ(failure.error_details(), "details");
}

TEST_F(GateTest, AReaderReads) {
  caller_.role = Role::kReader;
  v1::Export response;

  EXPECT_TRUE(Get(response).ok());
}

TEST_F(GateTest, AReaderThatWouldMutateIsRefusedBeforeAnythingHappens) {
  caller_.role = Role::kReader;
  testing::internal::CaptureStderr();

  const grpc::Status status = Delete();

  EXPECT_EQ(status.error_code(), StatusCode::PERMISSION_DENIED);
  EXPECT_EQ(ReasonOf(status), "ROLE_NOT_SUFFICIENT");
  EXPECT_EQ(exports_.calls, 0);
  EXPECT_THAT(testing::internal::GetCapturedStderr(),
              HasSubstr("audit: n role=reader was refused \"/fsd.v1.ExportService/DeleteExport\" "
                        "code=PERMISSION_DENIED"));
}

TEST_F(GateTest, WhoHasNoRoleIsRefusedEverything) {
  caller_.role = std::nullopt;
  v1::Export response;

  EXPECT_EQ(Get(response).error_code(), StatusCode::PERMISSION_DENIED);
  EXPECT_EQ(ReasonOf(Get(response)), "ROLE_NOT_SUFFICIENT");
  EXPECT_EQ(exports_.calls, 0);
}

TEST_F(GateTest, WhoIsNotKnownIsUnauthenticatedWhateverItsRole) {
  caller_.is_known = false;
  v1::Export response;

  EXPECT_EQ(Get(response).error_code(), StatusCode::UNAUTHENTICATED);
  EXPECT_EQ(ReasonOf(Get(response)), "CLIENT_UNKNOWN");
  EXPECT_EQ(exports_.calls, 0);
}

TEST(CheckAccess, AMethodWithoutARowIsForNobody) {
  const grpc::Status status =
      CheckAccess({.name = "n", .is_known = true, .role = Role::kAdministrator},
                  "/fsd.v1.ExportService/FormatHost");

  EXPECT_EQ(status.error_code(), StatusCode::PERMISSION_DENIED);
  EXPECT_EQ(ReasonOf(status), "METHOD_NOT_ALLOWED");
}

TEST_F(GateTest, WhatMutatesIsAudited) {
  testing::internal::CaptureStderr();
  v1::Export response;
  ASSERT_TRUE(Get(response).ok());
  ASSERT_EQ(Delete().error_code(), StatusCode::NOT_FOUND);
  before_->Shutdown();  // the line is written when the call is over on the server's side

  const std::string log = testing::internal::GetCapturedStderr();
  EXPECT_THAT(log, HasSubstr("audit: n role=admin called=/fsd.v1.ExportService/DeleteExport "
                             "resource=\"exports/web\" code=NOT_FOUND"));
  EXPECT_THAT(log, testing::Not(HasSubstr("GetExport")));
}

TEST_F(GateTest, CallsAreCountedByTheirResultRefusedOnesToo) {
  v1::Export response;
  ASSERT_TRUE(Get(response).ok());
  ASSERT_TRUE(Get(response).ok());
  ASSERT_EQ(Delete().error_code(), StatusCode::NOT_FOUND);
  caller_.role = Role::kReader;
  ASSERT_EQ(Delete().error_code(), StatusCode::PERMISSION_DENIED);
  before_->Shutdown();  // calls are counted when they are over on the server's side

  EXPECT_EQ(Counted("GetExport", "OK"), 2u);
  EXPECT_EQ(Counted("DeleteExport", "NOT_FOUND"), 1u);
  EXPECT_EQ(Counted("DeleteExport", "PERMISSION_DENIED"), 1u);
  EXPECT_EQ(calls_->Snapshot().size(), 3u);
}

TEST_F(GateTest, TheClientsDeadlineIsTheServices) {
  grpc::ClientContext context;
  const auto deadline = std::chrono::system_clock::now() + std::chrono::hours(1);
  context.set_deadline(deadline);
  v1::GetExportRequest request;
  v1::Export response;

  ASSERT_TRUE(stub_->GetExport(&context, request, &response).ok());

  EXPECT_LT(exports_.deadline - deadline, std::chrono::minutes(1));
  EXPECT_GT(exports_.deadline - deadline, -std::chrono::minutes(1));
}

TEST_F(GateTest, AClientThatGoesAwayEndsTheServicesCall) {
  grpc::ClientContext context;
  std::thread leaver([&] {
    while (exports_.calls == 0) std::this_thread::yield();
    context.TryCancel();
  });
  v1::CreateExportRequest request;
  v1::Export response;

  const grpc::Status status = stub_->CreateExport(&context, request, &response);

  leaver.join();
  EXPECT_EQ(status.error_code(), StatusCode::CANCELLED);
  // The service behind the gate is told by a thread of its own; if it is not, this never ends.
  while (exports_.cancelled == 0) std::this_thread::yield();
  before_->Shutdown();
  EXPECT_EQ(Counted("CreateExport", "CANCELLED"), 1u);
}

TEST_F(GateTest, ManyCallsAtOnceEachGetTheirOwnAnswer) {
  std::vector<std::thread> clients;
  std::atomic<int> right = 0;
  for (int client = 0; client < 16; ++client) {
    clients.emplace_back([&, client] {
      for (int i = 0; i < 200; ++i) {
        grpc::ClientContext context;
        v1::GetExportRequest request;
        request.set_name("exports/" + std::to_string(client) + "-" + std::to_string(i));
        v1::Export response;
        if (stub_->GetExport(&context, request, &response).ok() &&
            response.name() == request.name()) {
          ++right;
        }
      }
    });
  }
  for (std::thread& client : clients) client.join();

  EXPECT_EQ(right, 16 * 200);
}

}  // namespace
}  // namespace fsd::access
