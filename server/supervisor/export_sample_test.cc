// What is told of an export's work, and of its requests in flight, whatever its worker does.
#include <future>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "server/ipc/worker_channel.h"
#include "server/supervisor/error_reason.h"
#include "server/supervisor/supervisor_fixture.h"

namespace fsd::supervisor {
namespace {

using ::testing::HasSubstr;
using ::testing::Optional;

class ExportSampleTest : public SupervisorTest {
 protected:
  std::future<absl::StatusOr<InflightRequests>> StartList(const std::string& id) {
    auto promise = std::make_shared<std::promise<absl::StatusOr<InflightRequests>>>();
    running_->supervisor().ListInflightRequests(
        id,
        [promise](absl::StatusOr<InflightRequests> list) { promise->set_value(std::move(list)); });
    return promise->get_future();
  }
  absl::StatusOr<ExportSample> Sample(const std::string& id) {
    std::promise<absl::StatusOr<ExportSample>> promise;
    running_->supervisor().SampleExport(id, [&promise](absl::StatusOr<ExportSample> sample) {
      promise.set_value(std::move(sample));
    });
    return promise.get_future().get();
  }
};

TEST_F(ExportSampleTest, RequestsInFlightAreOrderedByAge) {
  Start().Create(SpecOf("web")).IgnoreError();
  const auto list = StartList("web").get();
  ASSERT_TRUE(list.ok()) << list.status();
  EXPECT_EQ(list->total, 7U);
  ASSERT_EQ(list->requests.size(), 2U);
  EXPECT_EQ(list->requests[0].unique(), 2U);
}

TEST_F(ExportSampleTest, AWorkerThatListsTooMuchIsCutShort) {
  Start().Create(SpecOf("web", "lists-too-much")).IgnoreError();
  const auto list = StartList("web").get();
  ASSERT_TRUE(list.ok()) << list.status();
  EXPECT_EQ(list->requests.size(), ipc::kMaxInflightRequests);
  EXPECT_EQ(list->total, ipc::kMaxInflightRequests);
}

TEST_F(ExportSampleTest, AWorkerThatDoesNotListCostsATimeOut) {
  timing_.worker.list = absl::Milliseconds(50);
  Start().Create(SpecOf("web", "unlisting")).IgnoreError();
  const auto list = StartList("web").get();
  EXPECT_EQ(list.status().code(), absl::StatusCode::kUnavailable);
  EXPECT_THAT(ReasonOf(list.status()), Optional(std::string("WORKER_FAILED")));
  EXPECT_THAT(std::string(list.status().message()), HasSubstr("does not answer"));
}

TEST_F(ExportSampleTest, ManyCallsDoNotMakeTheWorkerFlood) {
  timing_.worker.messages_per_second = 50;
  auto& supervisor = Start();
  const auto made = supervisor.Create(SpecOf("web"));
  ASSERT_TRUE(made.ok()) << made.status();
  std::vector<std::future<absl::StatusOr<InflightRequests>>> calls;
  for (int i = 0; i < 500; ++i) {
    calls.push_back(StartList("web"));
    EXPECT_TRUE(Sample("web").ok());
  }
  for (auto& call : calls) EXPECT_TRUE(call.get().ok());
  EXPECT_EQ(supervisor.Get("web")->worker_pid, made->worker_pid);
}

TEST_F(ExportSampleTest, AWorkerThatEndsAnswersWhoWaits) {
  auto& supervisor = Start();
  ASSERT_TRUE(supervisor.Create(SpecOf("web", "unlisting")).ok());
  const os::UniqueFd front_end = Connect("web");
  supervisor.Await("web", ExportState::kConnected);
  auto list = StartList("web");
  Write(front_end, 'x');
  EXPECT_THAT(std::string(list.get().status().message()), HasSubstr("has ended"));
}

TEST_F(ExportSampleTest, CountersAreReadFromTheFileThatWorkersShare) {
  auto& supervisor = Start();
  ASSERT_TRUE(supervisor.Create(SpecOf("web")).ok());
  const auto before = Sample("web");
  ASSERT_TRUE(before.ok() && before->counters != nullptr);
  ASSERT_TRUE(supervisor.RestartWorker("web", true).ok());
  const auto after = Sample("web");
  EXPECT_EQ(after->counters, before->counters);
  EXPECT_EQ(after->counted_since, before->counted_since);
  EXPECT_TRUE(after->ReadCounts().ok());
}

TEST_F(ExportSampleTest, WhatIsNotThereIsNotFound) {
  Start();
  EXPECT_THAT(ReasonOf(Sample("web").status()), Optional(std::string("EXPORT_NOT_FOUND")));
  EXPECT_THAT(ReasonOf(StartList("web").get().status()), Optional(std::string("EXPORT_NOT_FOUND")));
}

}  // namespace
}  // namespace fsd::supervisor
