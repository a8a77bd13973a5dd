#include "server/supervisor/maintenance.h"

#include <poll.h>
#include <unistd.h>

#include "gmock/gmock.h"
#include "server/supervisor/error_reason.h"
#include "server/supervisor/supervisor_fixture.h"

namespace fsd::supervisor {
namespace {

using ::testing::HasSubstr;
using ::testing::Optional;

class MaintenanceTest : public SupervisorTest {
 protected:
  // Whether the worker closes the connection.
  static bool IsClosed(const os::UniqueFd& front_end) {
    pollfd polled{.fd = front_end.get(), .events = POLLIN, .revents = 0};
    char byte;
    return ::poll(&polled, 1, 120'000) == 1 && ::read(front_end.get(), &byte, 1) <= 0;
  }
  os::UniqueFd ConnectAndAwait(RunningSupervisor& supervisor, const std::string& id) {
    os::UniqueFd front_end = Connect(id);
    supervisor.Await(id, ExportState::kConnected);
    return front_end;
  }
  static std::optional<std::string> ReasonIn(const absl::StatusOr<ExportView>& answer) {
    return ReasonOf(answer.status());
  }
};

TEST_F(MaintenanceTest, WhileAnExportDrainsItsFrontEndGoesOnAndNoOtherComes) {
  auto& supervisor = Start();
  ASSERT_TRUE(supervisor.Create(SpecOf("web")).ok());
  os::UniqueFd front_end = ConnectAndAwait(supervisor, "web");

  EXPECT_EQ(supervisor.Drain("web")->state, ExportState::kDraining);

  EXPECT_TRUE(Answers(front_end));
  front_end.reset();
  supervisor.Await("web", [](const ExportView& view) {
    return view.state == ExportState::kDraining && !view.worker.has_connection() &&
           view.worker.draining();
  });
  EXPECT_TRUE(IsClosed(Connect("web")));
  EXPECT_EQ(supervisor.Resume("web")->state, ExportState::kListening);
  EXPECT_TRUE(Answers(Connect("web")));
}

TEST_F(MaintenanceTest, WhoConnectsAfterTheAnswerFindsItSo) {
  auto& supervisor = Start();
  ASSERT_TRUE(supervisor.Create(SpecOf("web")).ok());
  for (int i = 0; i < 20; ++i) {
    ASSERT_TRUE(supervisor.Drain("web").ok());
    ASSERT_TRUE(IsClosed(Connect("web"))) << i;
    ASSERT_TRUE(supervisor.Resume("web").ok());
    ASSERT_TRUE(Answers(Connect("web"))) << i;
  }
}

TEST_F(MaintenanceTest, ADrainOutlivesTheWorkerAndTheSupervisor) {
  auto* supervisor = &Start();
  ASSERT_TRUE(supervisor->Create(SpecOf("web")).ok());
  ASSERT_TRUE(supervisor->Drain("web").ok());
  EXPECT_EQ(supervisor->RestartWorker("web")->state, ExportState::kDraining);
  EXPECT_TRUE(IsClosed(Connect("web")));

  supervisor->Stop();
  supervisor = &Start();

  supervisor->Await("web", ExportState::kDraining);
  EXPECT_TRUE(IsClosed(Connect("web")));
  ASSERT_TRUE(supervisor->Resume("web").ok());
  supervisor->Stop();
  supervisor = &Start();
  supervisor->Await("web", ExportState::kListening);
}

TEST_F(MaintenanceTest, AWaitingDrainIsAnsweredWhenTheFrontEndHasLeft) {
  auto& supervisor = Start();
  ASSERT_TRUE(supervisor.Create(SpecOf("web")).ok());
  os::UniqueFd front_end = ConnectAndAwait(supervisor, "web");
  auto drained = supervisor.StartDrain("web", {.timeout = absl::Minutes(2), .cancellation = {}});
  supervisor.Await("web", ExportState::kDraining);
  EXPECT_THAT(ReasonIn(supervisor.RestartWorker("web", true)),
              Optional(std::string("EXPORT_BUSY")));

  front_end.reset();

  const auto view = drained.get();
  ASSERT_TRUE(view.ok()) << view.status();
  EXPECT_EQ(view->state, ExportState::kDraining);
  EXPECT_TRUE(view->record.draining());
}

TEST_F(MaintenanceTest, ADrainThatIsNotDoneInTimeLeavesTheExportAsItWas) {
  auto& supervisor = Start();
  ASSERT_TRUE(supervisor.Create(SpecOf("web")).ok());
  const os::UniqueFd front_end = ConnectAndAwait(supervisor, "web");

  const auto drained =
      supervisor.StartDrain("web", {.timeout = absl::Milliseconds(5), .cancellation = {}}).get();

  EXPECT_EQ(drained.status().code(), absl::StatusCode::kDeadlineExceeded);
  EXPECT_THAT(ReasonIn(drained), Optional(std::string("DRAIN_TIMED_OUT")));
  EXPECT_EQ(supervisor.Get("web")->state, ExportState::kConnected);
  EXPECT_FALSE(supervisor.Get("web")->record.draining());
  EXPECT_TRUE(Answers(front_end));
}

TEST_F(MaintenanceTest, AnIdleExportIsDrainedHoweverShortTheTime) {
  auto& supervisor = Start();
  ASSERT_TRUE(supervisor.Create(SpecOf("web")).ok());
  EXPECT_TRUE(supervisor.StartDrain("web", {.timeout = absl::ZeroDuration(), .cancellation = {}})
                  .get()
                  .ok());
}

TEST_F(MaintenanceTest, ADrainWhoseCallerIsGoneLeavesTheExportAsItWas) {
  auto& supervisor = Start();
  ASSERT_TRUE(supervisor.Create(SpecOf("web")).ok());
  const os::UniqueFd front_end = ConnectAndAwait(supervisor, "web");
  const auto caller = std::make_shared<Cancellation>();
  auto drained = supervisor.StartDrain("web", {.timeout = std::nullopt, .cancellation = caller});
  supervisor.Await("web", ExportState::kDraining);

  caller->Cancel();

  EXPECT_EQ(drained.get().status().code(), absl::StatusCode::kCancelled);
  EXPECT_EQ(supervisor.Get("web")->state, ExportState::kConnected);
  EXPECT_TRUE(supervisor.Disconnect("web").ok()) << "the operation is over";
}

TEST_F(MaintenanceTest, OnlyWhatIsAnsweredOutlivesTheSupervisor) {
  auto* supervisor = &Start();
  ASSERT_TRUE(supervisor->Create(SpecOf("web")).ok());
  const os::UniqueFd front_end = ConnectAndAwait(*supervisor, "web");
  auto drained = supervisor->StartDrain("web");
  supervisor->Await("web", ExportState::kDraining);

  supervisor->Stop();

  EXPECT_THAT(ReasonIn(drained.get()), Optional(std::string("SHUTTING_DOWN")));
  supervisor = &Start();
  supervisor->Await("web", ExportState::kListening);
}

TEST_F(MaintenanceTest, ResumeEndsAWaitingDrain) {
  auto& supervisor = Start();
  ASSERT_TRUE(supervisor.Create(SpecOf("web")).ok());
  const os::UniqueFd front_end = ConnectAndAwait(supervisor, "web");
  auto drained = supervisor.StartDrain("web");
  supervisor.Await("web", ExportState::kDraining);

  EXPECT_EQ(supervisor.Resume("web")->state, ExportState::kConnected);

  EXPECT_THAT(ReasonIn(drained.get()), Optional(std::string("OPERATION_ENDED")));
}

TEST_F(MaintenanceTest, ADeletionThatDrainsWaitsForTheFrontEnd) {
  auto& supervisor = Start();
  ASSERT_TRUE(supervisor.Create(SpecOf("web")).ok());
  os::UniqueFd front_end = ConnectAndAwait(supervisor, "web");
  auto deleted = supervisor.StartDelete("web", {.mode = Deletion::Mode::kDrain, .wait = {}});
  supervisor.Await("web", ExportState::kDraining);
  EXPECT_TRUE(Answers(front_end));

  front_end.reset();

  EXPECT_TRUE(deleted.get().ok());
  EXPECT_FALSE(Exists("/state/exports/web"));
}

TEST_F(MaintenanceTest, ADeletionThatDrainsInVainLeavesTheExportAsItWas) {
  auto& supervisor = Start();
  ASSERT_TRUE(supervisor.Create(SpecOf("web")).ok());
  const os::UniqueFd front_end = ConnectAndAwait(supervisor, "web");

  const absl::Status status =
      supervisor
          .StartDelete("web", {.mode = Deletion::Mode::kDrain,
                               .wait = {.timeout = absl::Milliseconds(5), .cancellation = {}}})
          .get();

  EXPECT_THAT(ReasonOf(status), Optional(std::string("DRAIN_TIMED_OUT")));
  EXPECT_EQ(supervisor.Get("web")->state, ExportState::kConnected);
  EXPECT_TRUE(Exists("/state/exports/web"));
}

TEST_F(MaintenanceTest, ADeletionByForceEndsOneThatDrains) {
  auto& supervisor = Start();
  ASSERT_TRUE(supervisor.Create(SpecOf("web")).ok());
  const os::UniqueFd front_end = ConnectAndAwait(supervisor, "web");
  auto drained = supervisor.StartDelete("web", {.mode = Deletion::Mode::kDrain, .wait = {}});
  supervisor.Await("web", ExportState::kDraining);
  EXPECT_THAT(ReasonOf(supervisor.Delete("web")), Optional(std::string("EXPORT_BUSY")));

  EXPECT_TRUE(supervisor.Delete("web", /*force=*/true).ok());

  EXPECT_THAT(ReasonOf(drained.get()), Optional(std::string("OPERATION_ENDED")));
}

TEST_F(MaintenanceTest, DisconnectingEndsTheConnectionAndTheExportListensAgain) {
  auto& supervisor = Start();
  const pid_t worker = supervisor.Create(SpecOf("web"))->worker_pid;
  const os::UniqueFd front_end = ConnectAndAwait(supervisor, "web");

  const auto view = supervisor.Disconnect("web");

  ASSERT_TRUE(view.ok()) << view.status();
  EXPECT_EQ(view->state, ExportState::kListening);
  EXPECT_EQ(view->worker_pid, worker);
  EXPECT_TRUE(IsClosed(front_end));
  EXPECT_TRUE(Answers(Connect("web")));
}

TEST_F(MaintenanceTest, DisconnectingWhereNobodyIsIsNoError) {
  auto& supervisor = Start();
  ASSERT_TRUE(supervisor.Create(SpecOf("web")).ok());
  EXPECT_EQ(supervisor.Disconnect("web")->state, ExportState::kListening);
}

TEST_F(MaintenanceTest, AWorkerThatDoesNotEndTheConnectionIsReplaced) {
  timing_.worker.stop = absl::Milliseconds(20);
  auto& supervisor = Start();
  const pid_t worker = supervisor.Create(SpecOf("web", "clings"))->worker_pid;
  const os::UniqueFd front_end = ConnectAndAwait(supervisor, "web");

  EXPECT_TRUE(supervisor.Disconnect("web").ok());

  EXPECT_TRUE(IsClosed(front_end));
  EXPECT_NE(supervisor.Await("web", ExportState::kListening).worker_pid, worker);
}

TEST_F(MaintenanceTest, ARestartedWorkerIsAnotherAndCountsAsOne) {
  auto& supervisor = Start();
  const pid_t worker = supervisor.Create(SpecOf("web"))->worker_pid;

  const auto view = supervisor.RestartWorker("web");

  ASSERT_TRUE(view.ok()) << view.status();
  EXPECT_EQ(view->state, ExportState::kListening);
  EXPECT_NE(view->worker_pid, worker);
  EXPECT_EQ(view->restarts, 1u);
  EXPECT_TRUE(Answers(Connect("web")));
}

TEST_F(MaintenanceTest, AWorkerInUseIsRestartedByForceOnly) {
  auto& supervisor = Start();
  ASSERT_TRUE(supervisor.Create(SpecOf("web")).ok());
  const os::UniqueFd front_end = ConnectAndAwait(supervisor, "web");

  const auto refused = supervisor.RestartWorker("web");

  EXPECT_EQ(refused.status().code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(ReasonIn(refused), Optional(std::string("EXPORT_IN_USE")));
  EXPECT_TRUE(Answers(front_end));
  EXPECT_EQ(supervisor.RestartWorker("web", /*force=*/true)->state, ExportState::kListening);
  EXPECT_TRUE(IsClosed(front_end));
}

TEST_F(MaintenanceTest, ARestartedWorkerThatDoesNotGetReadySaysWhy) {
  auto& supervisor = Start();
  ASSERT_TRUE(supervisor.Create(SpecOf("web", "exit-1-next")).ok());
  Touch("/srv/next");

  const auto view = supervisor.RestartWorker("web");

  EXPECT_THAT(ReasonIn(view), Optional(std::string("WORKER_FAILED")));
  EXPECT_THAT(std::string(view.status().message()), HasSubstr("exited with status 1"));
}

TEST_F(MaintenanceTest, AFailedExportComesBackWhenItsCauseIsMended) {
  timing_.restart.max_failures = 2;
  auto& supervisor = Start();
  ASSERT_TRUE(supervisor.Create(SpecOf("web", "exit-1-next")).ok());
  Touch("/srv/next");
  ASSERT_FALSE(supervisor.RestartWorker("web").ok());
  supervisor.Await("web", ExportState::kFailed);
  ASSERT_FALSE(supervisor.RestartWorker("web").ok()) << "the cause is still there";
  supervisor.Await("web", ExportState::kFailed);
  ASSERT_EQ(::unlink((root_ + "/srv/next").c_str()), 0);

  const auto view = supervisor.RestartWorker("web");

  ASSERT_TRUE(view.ok()) << view.status();
  EXPECT_EQ(view->state, ExportState::kListening);
  EXPECT_TRUE(view->conditions.empty());
  EXPECT_TRUE(Answers(Connect("web")));
}

TEST_F(MaintenanceTest, TheLogLevelReachesWorkersThatRunAndThoseToCome) {
  auto& supervisor = Start();
  ASSERT_TRUE(supervisor.Create(SpecOf("web")).ok());

  EXPECT_EQ(supervisor.SetLogLevel(telemetry::LogLevel::kDebug), telemetry::LogLevel::kInfo);

  EXPECT_TRUE(telemetry::LogEnabled(telemetry::LogLevel::kDebug));
  // It has read what it was told before it is stopped.
  ASSERT_TRUE(supervisor.RestartWorker("web").ok());
  char level[8] = {};
  ASSERT_EQ(::readlink((root_ + "/srv/level").c_str(), level, sizeof level), 1);
  EXPECT_EQ(level[0], '0');
  EXPECT_EQ(Ask(Connect("web"), 'v'), '0');
  EXPECT_EQ(supervisor.SetLogLevel(telemetry::LogLevel::kInfo), telemetry::LogLevel::kDebug);
}

TEST_F(MaintenanceTest, TheThresholdOfSlowRequestsReachesWorkersThatRunAndThoseToCome) {
  auto& supervisor = Start();
  ASSERT_TRUE(supervisor.Create(SpecOf("web")).ok());

  EXPECT_EQ(supervisor.SetSlowRequest(absl::Nanoseconds(5)), config_.slow_request);

  EXPECT_EQ(supervisor.supervisor().SlowRequest(), absl::Nanoseconds(5));
  // It has read what it was told before it is stopped.
  ASSERT_TRUE(supervisor.RestartWorker("web").ok());
  char nanos[8] = {};
  ASSERT_EQ(::readlink((root_ + "/srv/slow").c_str(), nanos, sizeof nanos), 1);
  EXPECT_EQ(nanos[0], '5');
  EXPECT_EQ(Ask(Connect("web"), 's'), '5');
  EXPECT_EQ(supervisor.SetSlowRequest(absl::ZeroDuration()), absl::Nanoseconds(5));
}

TEST_F(MaintenanceTest, APreconditionThatDoesNotHoldIsTheAnswer) {
  auto& supervisor = Start();
  ASSERT_TRUE(supervisor.Create(SpecOf("web")).ok());
  std::promise<absl::Status> promise;

  supervisor.supervisor().DeleteExport(
      {.id = "web",
       .precondition =
           [](const internal::ExportRecord& record) {
             return absl::AbortedError(record.spec().tag());
           }},
      {}, [&promise](const absl::Status& status) { promise.set_value(status); });

  EXPECT_EQ(promise.get_future().get(), absl::AbortedError("myfs"));
  EXPECT_TRUE(supervisor.Get("web").ok());
}

}  // namespace
}  // namespace fsd::supervisor
