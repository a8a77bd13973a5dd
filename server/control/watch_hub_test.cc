#include "server/control/watch_hub.h"

#include <memory>
#include <string>
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
using supervisor::ExportView;
using ::testing::ElementsAre;

ExportView View(const std::string& id, ExportState state = ExportState::kListening) {
  ExportView view;
  view.record.mutable_spec()->set_id(id);
  view.state = state;
  return view;
}

// One client's stream.
class Watcher {
 public:
  Watcher(v1::ExportService::Stub& stub, const v1::WatchExportsRequest& request)
      : reader_(stub.WatchExports(&context_, request)) {}

  // "ADDED web"; empty at the end.
  std::string Next() {
    v1::WatchExportsResponse response;
    if (!reader_->Read(&response)) return "";
    if (!response.resume_token().empty()) token_ = response.resume_token();
    std::string line = v1::WatchExportsResponse::Kind_Name(response.kind());
    if (response.has_export_()) line += " " + response.export_().name().substr(8);
    return line;
  }
  std::vector<std::string> Next(size_t count) {
    std::vector<std::string> lines;
    for (size_t i = 0; i < count; ++i) lines.push_back(Next());
    return lines;
  }
  const std::string& token() const { return token_; }
  void Cancel() { context_.TryCancel(); }
  // The end's status and its reason.
  grpc::Status Finish() { return reader_->Finish(); }

 private:
  grpc::ClientContext context_;
  std::unique_ptr<grpc::ClientReader<v1::WatchExportsResponse>> reader_;
  std::string token_;
};

std::string Reason(const grpc::Status& status) {
  google::rpc::Status details;
  google::rpc::ErrorInfo info;
  if (!details.ParseFromString(status.error_details()) || details.details_size() == 0) return "";
  return details.details(0).UnpackTo(&info) ? info.reason() : "";
}

class WatchHubTest : public testing::Test {
 protected:
  WatchHubTest() {
    grpc::ServerBuilder builder;
    builder.RegisterService(&service_);
    server_ = builder.BuildAndStart();
    stub_ = v1::ExportService::NewStub(server_->InProcessChannel({}));
  }
  ~WatchHubTest() override { hub_->Close(); }

  std::unique_ptr<Watcher> Watch(const std::string& token = "", const std::string& filter = "") {
    v1::WatchExportsRequest request;
    request.set_resume_token(token);
    request.set_filter(filter);
    return std::make_unique<Watcher>(*stub_, request);
  }

  FakeSupervisor supervisor_;
  std::shared_ptr<WatchHub> hub_ =
      WatchHub::Create({.log = {.changes = 50, .bytes = 1 << 20}, .watchers = 3});
  ExportService service_{supervisor_, hub_};
  std::unique_ptr<grpc::Server> server_;
  std::unique_ptr<v1::ExportService::Stub> stub_;
};

TEST_F(WatchHubTest, TellsWhatIsThereAndThenEachChange) {
  const auto early = Watch();
  hub_->Start({View("web")});
  EXPECT_THAT(early->Next(2), ElementsAre("ADDED web", "BOOKMARK"));
  const auto watcher = Watch();
  EXPECT_THAT(watcher->Next(2), ElementsAre("ADDED web", "BOOKMARK"));

  hub_->Update(View("web", ExportState::kConnected));
  hub_->Update(View("db"));

  EXPECT_THAT(watcher->Next(2), ElementsAre("MODIFIED web", "ADDED db"));
  EXPECT_THAT(early->Next(2), ElementsAre("MODIFIED web", "ADDED db"));
}

TEST_F(WatchHubTest, ATokenGoesOnWithoutASnapshot) {
  hub_->Start({View("web")});
  const auto first = Watch();
  first->Next(2);
  hub_->Update(View("db"));

  const auto second = Watch(first->token());

  EXPECT_EQ(second->Next(), "ADDED db");
}

TEST_F(WatchHubTest, WhoDoesNotReadIsSentAwayAndHoldsUpNobody) {
  hub_->Start({View("web")});
  const auto slow = Watch();
  const auto fast = Watch();
  EXPECT_THAT(slow->Next(2), ElementsAre("ADDED web", "BOOKMARK"));
  EXPECT_THAT(fast->Next(2), ElementsAre("ADDED web", "BOOKMARK"));

  for (int i = 0; i < 200; ++i) {
    hub_->Update(View("web", i % 2 == 0 ? ExportState::kConnected : ExportState::kListening));
    EXPECT_EQ(fast->Next(), "MODIFIED web");
  }

  size_t read = 0;
  while (!slow->Next().empty()) ++read;
  EXPECT_LT(read, 200u);
  const grpc::Status status = slow->Finish();
  EXPECT_EQ(status.error_code(), StatusCode::RESOURCE_EXHAUSTED);
  EXPECT_EQ(Reason(status), "WATCH_TOO_SLOW");
}

TEST_F(WatchHubTest, AForgottenTokenIsExpiredAndAForeignOneInvalid) {
  hub_->Start({});
  const auto first = Watch();
  first->Next();
  for (int i = 0; i < 60; ++i) hub_->Update(View("e" + std::to_string(i)));

  const grpc::Status expired = Watch(first->token())->Finish();
  const grpc::Status foreign = Watch("junk")->Finish();

  EXPECT_EQ(expired.error_code(), StatusCode::OUT_OF_RANGE);
  EXPECT_EQ(Reason(expired), "RESUME_TOKEN_EXPIRED");
  EXPECT_EQ(foreign.error_code(), StatusCode::INVALID_ARGUMENT);
  EXPECT_EQ(Reason(foreign), "RESUME_TOKEN_INVALID");
}

TEST_F(WatchHubTest, ABadFilterIsRefused) {
  hub_->Start({});
  const grpc::Status status = Watch("", "tag")->Finish();
  EXPECT_EQ(Reason(status), "FILTER_INVALID");
}

TEST_F(WatchHubTest, ThereAreSoManyWatchersAndAPlaceIsFreeAgainWhenOneLeaves) {
  hub_->Start({});
  std::vector<std::unique_ptr<Watcher>> watchers;
  for (int i = 0; i < 3; ++i) {
    watchers.push_back(Watch());
    EXPECT_EQ(watchers.back()->Next(), "BOOKMARK");
  }
  const grpc::Status status = Watch()->Finish();
  EXPECT_EQ(status.error_code(), StatusCode::RESOURCE_EXHAUSTED);
  EXPECT_EQ(Reason(status), "LIMIT_REACHED");

  watchers[0]->Cancel();
  EXPECT_EQ(watchers[0]->Finish().error_code(), StatusCode::CANCELLED);

  // The server notices a moment later.
  std::string next;
  while (next != "BOOKMARK") next = Watch()->Next();
}

TEST_F(WatchHubTest, AServerThatStopsEndsEveryStream) {
  hub_->Start({});
  const auto watcher = Watch();
  EXPECT_EQ(watcher->Next(), "BOOKMARK");

  hub_->Close();

  EXPECT_EQ(watcher->Next(), "");
  const grpc::Status status = watcher->Finish();
  EXPECT_EQ(status.error_code(), StatusCode::UNAVAILABLE);
  EXPECT_EQ(Reason(status), "SHUTTING_DOWN");
  EXPECT_EQ(Watch()->Finish().error_code(), StatusCode::UNAVAILABLE);
}

}  // namespace
}  // namespace fsd::control
