#include "server/control/grpc_server.h"

#include <sys/stat.h>

#include <cstdlib>
#include <filesystem>
#include <map>
#include <memory>
#include <string>

#include "gmock/gmock.h"
#include "grpcpp/generic/generic_stub.h"
#include "grpcpp/grpcpp.h"
#include "gtest/gtest.h"
#include "proto/fsd/v1/export_service.grpc.pb.h"
#include "proto/fsd/v1/server_service.grpc.pb.h"
#include "server/control/fake_supervisor.h"

namespace fsd::control {
namespace {

using grpc::StatusCode;

// What grpc.health.v1.HealthCheckResponse's bytes are.
const std::string kServing = "\x08\x01";
const std::string kNotServing = "\x08\x02";

class GrpcServerTest : public testing::Test {
 protected:
  GrpcServerTest() {
    char name[] = "/tmp/grpc_server.XXXXXX";
    directory_ = mkdtemp(name);
    path_ = directory_ + "/fsd.sock";
    config_.listen = {{.address = "unix://" + path_}};
    config_.runtime_dir = directory_;
    config_.state_dir = directory_ + "/state";
    config_.allow_source = {"/srv"};
  }
  ~GrpcServerTest() override {
    server_.reset();
    std::filesystem::remove_all(directory_);
  }

  void Start() {
    auto server = GrpcServer::Start(config_, "1.2.3", supervisor_);
    ASSERT_TRUE(server.ok()) << server.status();
    server_ = std::move(*server);
    channel_ = grpc::CreateChannel("unix://" + path_, grpc::InsecureChannelCredentials());
  }

  grpc::Status CreateWeb() {
    v1::CreateExportRequest request;
    request.set_export_id("web");
    request.mutable_export_()->mutable_source()->mutable_passthrough()->set_path("/srv/web");
    request.mutable_export_()->set_tag("web");
    grpc::ClientContext context;
    v1::Export created;
    return v1::ExportService::NewStub(channel_)->CreateExport(&context, request, &created);
  }

  // Any unary call, in bytes.
  grpc::Status Call(const std::string& method, const std::string& request, std::string* response) {
    grpc::ClientContext context;
    const grpc::Slice slice(request);
    const grpc::ByteBuffer out(&slice, 1);
    grpc::ByteBuffer in;
    grpc::CompletionQueue queue;
    grpc::Status status;
    auto call = grpc::GenericStub(channel_).PrepareUnaryCall(&context, method, out, &queue);
    call->StartCall();
    call->Finish(&in, &status, nullptr);
    void* tag;
    bool ok;
    queue.Next(&tag, &ok);
    grpc::Slice whole;
    if (status.ok() && in.DumpToSingleSlice(&whole).ok()) {
      response->assign(reinterpret_cast<const char*>(whole.begin()), whole.size());
    }
    return status;
  }

  // Health of a service, as HealthCheckResponse's bytes or the failure's code.
  std::string Health(const std::string& service) {
    std::string request;
    if (!service.empty()) {
      request = std::string("\x0a") + static_cast<char>(service.size()) + service;
    }
    std::string response;
    const grpc::Status status = Call("/grpc.health.v1.Health/Check", request, &response);
    return status.ok() ? response : std::to_string(status.error_code());
  }

  supervisor::Config config_;
  FakeSupervisor supervisor_;
  std::string directory_;
  std::string path_;
  std::unique_ptr<GrpcServer> server_;
  std::shared_ptr<grpc::Channel> channel_;
};

TEST_F(GrpcServerTest, TheSocketIsForItsOwnerAlone) {
  Start();

  struct stat socket;
  ASSERT_EQ(stat(path_.c_str(), &socket), 0);
  EXPECT_TRUE(S_ISSOCK(socket.st_mode));
  EXPECT_EQ(socket.st_mode & 07777, 0600u);
}

TEST_F(GrpcServerTest, ServesTheApi) {
  Start();

  ASSERT_TRUE(CreateWeb().ok());
  grpc::ClientContext context;
  v1::ServerInfo info;
  ASSERT_TRUE(v1::ServerService::NewStub(channel_)
                  ->GetServerInfo(&context, v1::GetServerInfoRequest(), &info)
                  .ok());

  EXPECT_EQ(info.version(), "1.2.3");
  EXPECT_GT(info.start_time().seconds(), 1'700'000'000);
  EXPECT_EQ(info.pid(), getpid());
  EXPECT_NE(info.kernel_release(), "");
  EXPECT_EQ(info.runtime_directory(), directory_);
  EXPECT_EQ(info.state_directory(), directory_ + "/state");
  EXPECT_THAT(info.allowed_source_prefixes(), testing::ElementsAre("/srv"));
  EXPECT_EQ(info.exports(), 1u);
  EXPECT_THAT(info.served_export_fields(), testing::Contains("source.passthrough.path"));
}

TEST_F(GrpcServerTest, TellsItsBounds) {
  config_.weakest_sandbox = internal::ExportSpec::SANDBOX_CHROOT;
  config_.weakest_seccomp = internal::ExportSpec::SECCOMP_LOG;
  config_.allow_capabilities = {"CAP_BPF"};
  config_.allow_socket_uid = {{.first = 0, .last = 0}, {.first = 1000, .last = 1999}};
  Start();

  grpc::ClientContext context;
  v1::ServerInfo info;
  ASSERT_TRUE(v1::ServerService::NewStub(channel_)
                  ->GetServerInfo(&context, v1::GetServerInfoRequest(), &info)
                  .ok());

  EXPECT_EQ(info.weakest_sandbox(), v1::Sandbox::CHROOT);
  EXPECT_EQ(info.weakest_seccomp(), v1::Sandbox::LOG);
  EXPECT_THAT(info.allowed_capabilities(), testing::ElementsAre("CAP_BPF"));
  EXPECT_THAT(info.allowed_socket_uids(), testing::ElementsAre("0", "1000-1999"));
  EXPECT_THAT(info.allowed_socket_gids(), testing::ElementsAre("0-4294967294"));
  EXPECT_EQ(info.cgroup_directory(), "/sys/fs/cgroup/fake");
}

TEST_F(GrpcServerTest, ASecondServerOnTheSocketFailsAndTheFirstLives) {
  Start();

  const auto second = GrpcServer::Start(config_, "1.2.3", supervisor_);

  EXPECT_EQ(second.status().code(), absl::StatusCode::kAlreadyExists);
  EXPECT_TRUE(CreateWeb().ok());
}

TEST_F(GrpcServerTest, StartsAgainWhereOneStopped) {
  Start();
  server_->Shutdown(absl::ZeroDuration());
  server_.reset();

  Start();

  EXPECT_TRUE(CreateWeb().ok());
}

TEST_F(GrpcServerTest, HealthFollowsTheExports) {
  Start();
  EXPECT_EQ(Health(""), kServing);
  EXPECT_EQ(Health("exports/web"), std::to_string(StatusCode::NOT_FOUND));

  ASSERT_TRUE(CreateWeb().ok());
  EXPECT_EQ(Health("exports/web"), kServing);
  supervisor_.SetState("web", supervisor::ExportState::kFailed);
  EXPECT_EQ(Health("exports/web"), kNotServing);
  supervisor_.SetState("web", supervisor::ExportState::kMounted);
  EXPECT_EQ(Health("exports/web"), kServing);
  supervisor_.SetState("web", supervisor::ExportState::kDraining);
  EXPECT_EQ(Health("exports/web"), kNotServing);
  supervisor_.SetState("web", supervisor::ExportState::kListening);
  EXPECT_EQ(Health("exports/web"), kServing);
  supervisor_.SetState("web", supervisor::ExportState::kDeleting);
  EXPECT_EQ(Health("exports/web"), kNotServing);
}

TEST_F(GrpcServerTest, AWatcherSeesTheSupervisorsExportsUntilTheServerStops) {
  Start();
  ASSERT_TRUE(CreateWeb().ok());
  grpc::ClientContext context;
  const auto stub = v1::ExportService::NewStub(channel_);
  const auto reader = stub->WatchExports(&context, v1::WatchExportsRequest());
  v1::WatchExportsResponse response;
  ASSERT_TRUE(reader->Read(&response));
  EXPECT_EQ(response.export_().name(), "exports/web");
  ASSERT_TRUE(reader->Read(&response));
  EXPECT_EQ(response.kind(), v1::WatchExportsResponse::BOOKMARK);

  supervisor_.SetState("web", supervisor::ExportState::kMounted);

  ASSERT_TRUE(reader->Read(&response));
  EXPECT_EQ(response.kind(), v1::WatchExportsResponse::MODIFIED);
  EXPECT_EQ(response.export_().status().state(), v1::ExportStatus::MOUNTED);
  server_->Shutdown(absl::Minutes(2));
  EXPECT_FALSE(reader->Read(&response));
  EXPECT_EQ(reader->Finish().error_code(), StatusCode::UNAVAILABLE);
}

TEST_F(GrpcServerTest, SetsTheLogLevelAndAnswersWithTheOneBefore) {
  Start();
  const auto stub = v1::ServerService::NewStub(channel_);
  v1::SetLogLevelRequest request;
  v1::SetLogLevelResponse response;
  {
    grpc::ClientContext context;
    EXPECT_EQ(stub->SetLogLevel(&context, request, &response).error_code(),
              StatusCode::INVALID_ARGUMENT);
  }
  request.set_level(v1::LOG_LEVEL_DEBUG);
  for (const v1::LogLevel before : {v1::LOG_LEVEL_INFO, v1::LOG_LEVEL_DEBUG}) {
    grpc::ClientContext context;
    ASSERT_TRUE(stub->SetLogLevel(&context, request, &response).ok());
    EXPECT_EQ(response.previous_level(), before);
  }
}

TEST_F(GrpcServerTest, SetsTheThresholdOfSlowRequestsAndAnswersWithTheOneBefore) {
  Start();
  const auto stub = v1::ServerService::NewStub(channel_);
  const auto set = [&stub](const v1::SetSlowRequestThresholdRequest& request) {
    grpc::ClientContext context;
    v1::SetSlowRequestThresholdResponse response;
    const grpc::Status status = stub->SetSlowRequestThreshold(&context, request, &response);
    return status.ok() ? response.previous_threshold().ShortDebugString()
                       : std::to_string(status.error_code());
  };
  const std::string invalid = std::to_string(StatusCode::INVALID_ARGUMENT);
  v1::SetSlowRequestThresholdRequest request;
  EXPECT_EQ(set(request), invalid);
  request.mutable_threshold()->set_seconds(24 * 60 * 60 + 1);
  EXPECT_EQ(set(request), invalid);
  request.mutable_threshold()->set_seconds(-1);
  EXPECT_EQ(set(request), invalid);
  request.mutable_threshold()->set_seconds(2);
  request.mutable_threshold()->set_nanos(50'000'000);
  EXPECT_EQ(set(request), "seconds: 1");
  request.mutable_threshold()->Clear();
  EXPECT_EQ(set(request), "seconds: 2 nanos: 50000000");
  EXPECT_EQ(supervisor_.SlowRequest(), absl::ZeroDuration());
}

TEST_F(GrpcServerTest, ChecksItsHost) {
  config_.allow_source = {directory_, "/nonexistent"};
  Start();
  ASSERT_TRUE(CreateWeb().ok());
  grpc::ClientContext context;
  v1::CheckHostResponse response;

  ASSERT_TRUE(v1::ServerService::NewStub(channel_)
                  ->CheckHost(&context, v1::CheckHostRequest(), &response)
                  .ok());

  std::map<std::string, v1::HostCheck> checks;
  for (const v1::HostCheck& check : response.checks()) {
    EXPECT_EQ(check.level() == v1::HostCheck::OK, check.cost().empty()) << check.ShortDebugString();
    EXPECT_EQ(check.level() == v1::HostCheck::OK, check.remedy().empty());
    EXPECT_NE(check.found(), "") << check.check();
    EXPECT_TRUE(checks.emplace(check.check() + " " + check.subject(), check).second);
  }
  EXPECT_EQ(checks.at("SECCOMP ").level(), v1::HostCheck::OK);
  EXPECT_TRUE(checks.contains("SOURCE " + directory_));
  EXPECT_EQ(checks.at("SOURCE /nonexistent").level(), v1::HostCheck::WARNING);
  EXPECT_EQ(checks.at("EXPORT_SOURCE /srv/web").level(), v1::HostCheck::WARNING);
  EXPECT_TRUE(checks.contains("STATE_DIRECTORY " + directory_ + "/state"));
}

TEST_F(GrpcServerTest, HealthKnowsExportsThatWereThereBefore) {
  internal::ExportSpec spec;
  spec.set_id("old");
  supervisor_.CreateExport(spec, "", false, [](const auto&) {});

  Start();

  EXPECT_EQ(Health("exports/old"), kServing);
}

TEST_F(GrpcServerTest, AnObserverCallAfterShutdownIsHarmless) {
  Start();
  ASSERT_TRUE(CreateWeb().ok());
  server_->Shutdown(absl::ZeroDuration());

  supervisor_.SetState("web", supervisor::ExportState::kFailed);
}

TEST_F(GrpcServerTest, ARequestBeyondAnyMeaningIsRefused) {
  Start();
  std::string response;

  const grpc::Status status =
      Call("/fsd.v1.ExportService/GetExport", std::string(300 << 10, '\0'), &response);

  EXPECT_EQ(status.error_code(), StatusCode::RESOURCE_EXHAUSTED);
}

}  // namespace
}  // namespace fsd::control
