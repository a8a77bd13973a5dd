// UpdateExport, DeleteExport's modes and the calls of maintenance, from request to supervisor.
#include <future>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "gmock/gmock.h"
#include "grpcpp/grpcpp.h"
#include "proto/google/rpc/error_details.pb.h"
#include "proto/google/rpc/status.pb.h"
#include "server/control/export_service.h"
#include "server/control/fake_supervisor.h"

namespace fsd::control {
namespace {

using grpc::StatusCode;
using supervisor::ExportState;
using ::testing::HasSubstr;

std::string Reason(const grpc::Status& status) {
  google::rpc::Status details;
  google::rpc::ErrorInfo info;
  if (!details.ParseFromString(status.error_details()) || details.details_size() == 0) return "";
  return details.details(0).UnpackTo(&info) ? info.reason() : "";
}

class MaintenanceCallsTest : public testing::Test {
 protected:
  MaintenanceCallsTest() {
    grpc::ServerBuilder builder;
    builder.RegisterService(&service_);
    server_ = builder.BuildAndStart();
    stub_ = v1::ExportService::NewStub(server_->InProcessChannel({}));
    v1::CreateExportRequest request;
    request.set_export_id("web");
    request.mutable_export_()->mutable_source()->mutable_passthrough()->set_path("/srv/web");
    request.mutable_export_()->set_tag("web");
    request.mutable_export_()->mutable_cache()->set_mmap(true);
    grpc::ClientContext context;
    EXPECT_TRUE(stub_->CreateExport(&context, request, &created_).ok());
  }

  template <typename Request, typename Response>
  grpc::Status Call(grpc::Status (v1::ExportService::Stub::*method)(grpc::ClientContext*,
                                                                    const Request&, Response*),
                    const Request& request, Response* response) {
    grpc::ClientContext context;
    return (stub_.get()->*method)(&context, request, response);
  }

  static v1::UpdateExportRequest UpdateOf(const std::vector<std::string>& paths) {
    v1::UpdateExportRequest request;
    request.mutable_export_()->set_name("exports/web");
    for (const std::string& path : paths) request.mutable_update_mask()->add_paths(path);
    return request;
  }
  grpc::Status Update(const v1::UpdateExportRequest& request,
                      v1::UpdateExportResponse* response = nullptr) {
    v1::UpdateExportResponse ignored;
    return Call(&v1::ExportService::Stub::UpdateExport, request,
                response != nullptr ? response : &ignored);
  }

  FakeSupervisor supervisor_;
  ExportService service_{supervisor_, WatchHub::Create({})};
  std::unique_ptr<grpc::Server> server_;
  std::unique_ptr<v1::ExportService::Stub> stub_;
  v1::Export created_;
};

TEST_F(MaintenanceCallsTest, AnUpdateChangesWhatTheMaskNamesAndSaysWhenItTakesEffect) {
  v1::UpdateExportRequest request = UpdateOf({"labels.tier", "cache.policy"});
  (*request.mutable_export_()->mutable_labels())["tier"] = "front";
  request.mutable_export_()->mutable_cache()->set_policy(v1::Cache::NEVER);
  request.mutable_export_()->set_tag("ignored");
  v1::UpdateExportResponse response;

  const grpc::Status status = Update(request, &response);

  ASSERT_TRUE(status.ok()) << status.error_message();
  EXPECT_EQ(response.export_().labels().at("tier"), "front");
  EXPECT_EQ(response.export_().cache().policy(), v1::Cache::NEVER);
  EXPECT_TRUE(response.export_().cache().mmap());
  EXPECT_EQ(response.export_().tag(), "web");
  EXPECT_NE(response.export_().etag(), created_.etag());
  ASSERT_EQ(response.effects_size(), 2);
  EXPECT_EQ(response.effects(0).field(), "cache.policy");
  EXPECT_EQ(response.effects(0).effect(), v1::FieldEffect::NEXT_CONNECTION);
  EXPECT_EQ(response.effects(1).field(), "labels");
  EXPECT_EQ(response.effects(1).effect(), v1::FieldEffect::LIVE);
}

TEST_F(MaintenanceCallsTest, AnUpdateIsCheckedInTheExportThatThereIs) {
  // Right by itself, and wrong together with the export's cache policy.
  v1::UpdateExportRequest request = UpdateOf({"cache.zero_message_open", "tag"});
  request.mutable_export_()->mutable_cache()->set_zero_message_open(true);

  const grpc::Status status = Update(request);

  EXPECT_EQ(status.error_code(), StatusCode::INVALID_ARGUMENT);
  EXPECT_THAT(status.error_message(), HasSubstr("(and 1 more)"));
}

TEST_F(MaintenanceCallsTest, AnUpdateComparesTheEtag) {
  v1::UpdateExportRequest request = UpdateOf({"owner.vm_id"});
  request.mutable_export_()->mutable_owner()->set_vm_id("7");
  request.set_etag(created_.etag());
  EXPECT_TRUE(Update(request).ok());

  const grpc::Status status = Update(request);

  EXPECT_EQ(status.error_code(), StatusCode::ABORTED);
  EXPECT_EQ(Reason(status), "ETAG_MISMATCH");
}

TEST_F(MaintenanceCallsTest, AnUpdateOfNothingIsRefused) {
  EXPECT_EQ(Reason(Update(UpdateOf({}))), "FIELD_REQUIRED");
  EXPECT_EQ(Reason(Update(UpdateOf({"status.state"}))), "FIELD_OUTPUT_ONLY");
  EXPECT_EQ(Reason(Update(UpdateOf({"qos.read.burst"}))), "FIELD_NOT_SERVED");
}

TEST_F(MaintenanceCallsTest, AnUpdateOfWhatIsNotThereIsNotFound) {
  v1::UpdateExportRequest request = UpdateOf({"labels"});
  request.mutable_export_()->set_name("exports/db");
  EXPECT_EQ(Reason(Update(request)), "EXPORT_NOT_FOUND");
}

TEST_F(MaintenanceCallsTest, ADeletionHandsItsModeAndTimeOver) {
  v1::DeleteExportRequest request;
  request.set_name("exports/web");
  request.set_mode(v1::DeleteExportRequest::DRAIN);
  request.mutable_drain_timeout()->set_seconds(7);
  google::protobuf::Empty empty;

  ASSERT_TRUE(Call(&v1::ExportService::Stub::DeleteExport, request, &empty).ok());

  EXPECT_EQ(supervisor_.last_deletion().mode, supervisor::Deletion::Mode::kDrain);
  EXPECT_EQ(supervisor_.last_deletion().wait.timeout, absl::Seconds(7));
}

TEST_F(MaintenanceCallsTest, DrainAndResumeAnswerWithTheExport) {
  v1::DrainExportRequest drain;
  drain.set_name("exports/web");
  v1::Export shown;
  ASSERT_TRUE(Call(&v1::ExportService::Stub::DrainExport, drain, &shown).ok());
  EXPECT_EQ(shown.status().state(), v1::ExportStatus::DRAINING);
  EXPECT_EQ(shown.etag(), created_.etag()) << "draining is no change of the specification";
  EXPECT_FALSE(supervisor_.last_drain().has_value());

  v1::ResumeExportRequest resume;
  resume.set_name("exports/web");
  ASSERT_TRUE(Call(&v1::ExportService::Stub::ResumeExport, resume, &shown).ok());
  EXPECT_EQ(shown.status().state(), v1::ExportStatus::LISTENING);
}

TEST_F(MaintenanceCallsTest, AClientThatLeavesCancelsItsDrain) {
  supervisor_.Hold();
  grpc::ClientContext context;
  std::thread client([this, &context] {
    v1::DrainExportRequest request;
    request.set_name("exports/web");
    request.mutable_timeout()->set_seconds(1000);
    v1::Export shown;
    EXPECT_EQ(stub_->DrainExport(&context, request, &shown).error_code(), StatusCode::CANCELLED);
  });
  supervisor_.WaitForHeld(1);
  EXPECT_EQ(supervisor_.last_drain()->timeout, absl::Seconds(1000));
  std::promise<void> cancelled;
  supervisor_.last_drain()->cancellation->SetListener([&cancelled] { cancelled.set_value(); });

  context.TryCancel();

  cancelled.get_future().wait();
  client.join();
  supervisor_.Release();
}

TEST_F(MaintenanceCallsTest, AWorkerInUseIsRestartedByForceOnly) {
  supervisor_.SetState("web", ExportState::kMounted);
  v1::RestartWorkerRequest request;
  request.set_name("exports/web");
  v1::Export shown;
  const grpc::Status refused = Call(&v1::ExportService::Stub::RestartWorker, request, &shown);
  EXPECT_EQ(Reason(refused), "EXPORT_IN_USE");

  request.set_force(true);
  ASSERT_TRUE(Call(&v1::ExportService::Stub::RestartWorker, request, &shown).ok());
  EXPECT_EQ(shown.status().restarts(), 1u);
}

TEST_F(MaintenanceCallsTest, EveryCallComparesTheEtag) {
  v1::Export shown;
  v1::DrainExportRequest drain;
  drain.set_name("exports/web");
  drain.set_etag("\"other\"");
  EXPECT_EQ(Reason(Call(&v1::ExportService::Stub::DrainExport, drain, &shown)), "ETAG_MISMATCH");
  v1::DisconnectExportRequest disconnect;
  disconnect.set_name("exports/web");
  disconnect.set_etag("\"other\"");
  EXPECT_EQ(Reason(Call(&v1::ExportService::Stub::DisconnectExport, disconnect, &shown)),
            "ETAG_MISMATCH");
  disconnect.set_etag(created_.etag());
  EXPECT_TRUE(Call(&v1::ExportService::Stub::DisconnectExport, disconnect, &shown).ok());
}

}  // namespace
}  // namespace fsd::control
