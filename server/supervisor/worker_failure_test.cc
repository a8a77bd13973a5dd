// Workers that die or misbehave under a supervisor.
#include <algorithm>
#include <csignal>
#include <utility>
#include <vector>

#include "gmock/gmock.h"
#include "server/os/unix_socket.h"
#include "server/supervisor/error_reason.h"
#include "server/supervisor/supervisor_fixture.h"

namespace fsd::supervisor {
namespace {

using ::testing::Contains;
using ::testing::Field;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Optional;

struct BadStart {
  const char* tag;
  const char* reason;
  const char* message;
};

class BadStartTest : public SupervisorTest, public ::testing::WithParamInterface<BadStart> {};

TEST_P(BadStartTest, AWorkerThatDoesNotGetReadyFailsTheCreationAndLeavesNothing) {
  const std::string tag = GetParam().tag;
  if (tag == "silent" || tag == "no-status") timing_.worker.ready = absl::Milliseconds(200);
  auto& supervisor = Start();
  const absl::Status status = supervisor.Create(SpecOf("web", tag)).status();
  EXPECT_THAT(ReasonOf(status), Optional(std::string(GetParam().reason)));
  EXPECT_THAT(std::string(status.message()), HasSubstr(GetParam().message));
  EXPECT_THAT(supervisor.List(), IsEmpty());
  EXPECT_FALSE(Exists("/state/exports/web"));
  EXPECT_FALSE(Exists("/run/exports/web.sock"));
  EXPECT_FALSE(Exists("/run/control/web.sock"));
  EXPECT_TRUE(HasNoChild());
  // And the name is free again.
  EXPECT_EQ(supervisor.Delete("web").code(), absl::StatusCode::kNotFound);
}

INSTANTIATE_TEST_SUITE_P(
    Misbehaviours, BadStartTest,
    ::testing::Values(BadStart{"exit-1", "WORKER_FAILED", "exited with status 1"},
                      BadStart{"exit-3", "SANDBOX_UNAVAILABLE", "exited with status 3"},
                      BadStart{"exit-3-says", "SANDBOX_UNAVAILABLE",
                               "cannot be made on this host: chroot:??[31mno?? xxx"},
                      BadStart{"fails-late", "WORKER_FAILED", "cannot serve after its hello"},
                      BadStart{"exit-5", "WORKER_FAILED", "its handle keeper died"},
                      BadStart{"silent", "WORKER_FAILED", "not ready within 200ms"},
                      BadStart{"no-status", "WORKER_FAILED", "not ready within 200ms"},
                      BadStart{"bad-lack", "WORKER_FAILED", "unknown lack of handles 77"},
                      BadStart{"garbage", "WORKER_FAILED", "not a message"},
                      BadStart{"wrong-uid", "WORKER_FAILED", "speaks for another export"},
                      BadStart{"wrong-version", "WORKER_FAILED", "version 3"},
                      BadStart{"status-first", "WORKER_FAILED", "before it said hello"},
                      BadStart{"hello-twice", "WORKER_FAILED", "hello twice"},
                      BadStart{"bad-state", "WORKER_FAILED", "unknown state 77"}),
    [](const auto& info) {
      std::string name = info.param.tag;
      std::replace(name.begin(), name.end(), '-', '_');
      return name;
    });

TEST_F(SupervisorTest, WhatAFailingWorkerSaysIsBounded) {
  auto& supervisor = Start();
  const absl::Status status = supervisor.Create(SpecOf("web", "exit-3-says")).status();
  EXPECT_LT(status.message().size(), 1200u);
}

class LaterMisbehaviourTest
    : public SupervisorTest,
      public ::testing::WithParamInterface<std::pair<const char*, const char*>> {};

TEST_P(LaterMisbehaviourTest, AWorkerThatMisbehavesIsKilledAndReported) {
  timing_.worker.query_every = absl::Milliseconds(20);
  timing_.worker.silence = absl::Milliseconds(200);
  timing_.worker.hang_up = absl::Milliseconds(50);
  timing_.worker.messages_per_second = 100;
  timing_.restart.max_failures = 2;
  auto& supervisor = Start();
  const auto [tag, message] = GetParam();
  ASSERT_TRUE(supervisor.Create(SpecOf("web", tag)).ok());
  supervisor.Await("web", ExportState::kRecovering);
  const ExportView failed = supervisor.Await("web", ExportState::kFailed);
  EXPECT_THAT(failed.conditions, Contains(Field(&Condition::message, HasSubstr(message))));
  EXPECT_TRUE(HasNoChild());
}

INSTANTIATE_TEST_SUITE_P(Misbehaviours, LaterMisbehaviourTest,
                         ::testing::Values(std::pair("mute", "has not answered"),
                                           std::pair("deaf", "has not answered"),
                                           std::pair("oversized", "not a message"),
                                           std::pair("descriptors", "not a message"),
                                           std::pair("empty", "closed its control channel"),
                                           std::pair("late-uid", "speaks for another export"),
                                           std::pair("hang-up", "closed its control channel"),
                                           std::pair("flood", "more than 100 messages")));

TEST_F(SupervisorTest, DescriptorsThatAWorkerSendsAreNotKept) {
  timing_.restart.max_failures = 1;
  auto& supervisor = Start();
  ASSERT_TRUE(supervisor.Create(SpecOf("db")).ok());
  const size_t before = CountOpenFds();
  ASSERT_TRUE(supervisor.Create(SpecOf("web", "descriptors")).ok());
  supervisor.Await("web", ExportState::kFailed);
  ASSERT_TRUE(supervisor.Delete("web").ok());
  EXPECT_EQ(CountOpenFds(), before);
  EXPECT_TRUE(Answers(Connect("db")));
}

TEST_F(SupervisorTest, AbsurdNumbersAreShownAsTheyAreAndHurtNobody) {
  auto& supervisor = Start();
  ASSERT_TRUE(supervisor.Create(SpecOf("db")).ok());
  ASSERT_TRUE(supervisor.Create(SpecOf("web", "absurd")).ok());
  const ExportView mounted = supervisor.Await("web", ExportState::kMounted);
  EXPECT_EQ(mounted.worker.inodes(), UINT64_MAX);
  EXPECT_EQ(mounted.worker.connections_accepted(), UINT64_MAX);
  EXPECT_TRUE(Answers(Connect("db")));
  // Counters that have gone backwards, or a worker that lies all its life, keep nothing from
  // ending.
  EXPECT_TRUE(supervisor.Delete("web", /*force=*/true).ok());
  EXPECT_TRUE(supervisor.Delete("db", /*force=*/true).ok());
}

TEST_F(SupervisorTest, AWorkerCannotChangeItsSpecification) {
  EXPECT_TRUE(Start().Create(SpecOf("web", "rewriter")).ok());
}

TEST_F(SupervisorTest, AWorkerThatFloodsHoldsUpNoOther) {
  timing_.worker.messages_per_second = 1'000'000'000;
  timing_.worker.stop = absl::Milliseconds(100);  // it does not read that it is to
  auto& supervisor = Start();
  ASSERT_TRUE(supervisor.Create(SpecOf("db")).ok());
  ASSERT_TRUE(supervisor.Create(SpecOf("web", "flood")).ok());
  EXPECT_TRUE(Answers(Connect("db")));
  EXPECT_TRUE(supervisor.Get("db").ok());
  EXPECT_TRUE(supervisor.Create(SpecOf("other")).ok());
  EXPECT_TRUE(supervisor.Delete("web").ok());
}

TEST_F(SupervisorTest, ADeadWorkerGetsASuccessorOnTheSameSocket) {
  auto& supervisor = Start();
  const auto before = supervisor.Create(SpecOf("web"));
  ASSERT_TRUE(before.ok()) << before.status();
  const ino_t inode = InodeOf(SocketOf("web"));
  os::UniqueFd front_end = Connect("web");
  supervisor.Await("web", ExportState::kConnected);

  Write(front_end, 'x');

  const ExportView recovering = supervisor.Await("web", ExportState::kRecovering);
  EXPECT_THAT(recovering.conditions,
              Contains(Field(&Condition::message, HasSubstr("exited with status 7"))));
  // Connected at whatever moment of the restart: it waits in the backlog.
  EXPECT_TRUE(Answers(Connect("web")));
  const ExportView after = *supervisor.Get("web");
  EXPECT_EQ(after.restarts, 1u);
  EXPECT_NE(after.worker_pid, before->worker_pid);
  EXPECT_EQ(InodeOf(SocketOf("web")), inode);
}

std::vector<Condition> RefusedInodes(const ExportView& view) {
  std::vector<Condition> conditions = view.conditions;
  std::erase_if(conditions,
                [](const Condition& c) { return c.reason != "INODE_REFERENCES_EXHAUSTED"; });
  return conditions;
}

TEST_F(SupervisorTest, RefusedInodesAreOneConditionUntilThereIsRoomAgain) {
  auto& supervisor = Start();
  ASSERT_TRUE(supervisor.Create(SpecOf("web")).ok());
  const os::UniqueFd front_end = Connect("web");
  EXPECT_THAT(RefusedInodes(supervisor.Await("web", ExportState::kConnected)), IsEmpty());

  Write(front_end, 'r');
  Write(front_end, 'm');
  const auto first = RefusedInodes(supervisor.Await("web", ExportState::kMounted));
  ASSERT_EQ(first.size(), 1u);
  EXPECT_THAT(first[0].message, HasSubstr("inodes.max_file_descriptors"));

  Write(front_end, 'r');
  const auto second = RefusedInodes(supervisor.Await("web", ExportState::kConnected));
  ASSERT_EQ(second.size(), 1u);
  EXPECT_EQ(second[0].since, first[0].since);

  Write(front_end, 'f');
  EXPECT_THAT(RefusedInodes(supervisor.Await("web", ExportState::kConnected)), IsEmpty());

  Write(front_end, 'r');
  const auto third = RefusedInodes(supervisor.Await("web", ExportState::kConnected));
  ASSERT_EQ(third.size(), 1u);
  EXPECT_GT(third[0].since, first[0].since);
}

TEST_F(SupervisorTest, RefusedInodesOfADeadWorkerAreNotItsSuccessors) {
  auto& supervisor = Start();
  ASSERT_TRUE(supervisor.Create(SpecOf("web")).ok());
  const os::UniqueFd front_end = Connect("web");
  Write(front_end, 'r');
  Write(front_end, 'x');
  EXPECT_EQ(RefusedInodes(supervisor.Await("web", ExportState::kRecovering)).size(), 1u);
  EXPECT_THAT(RefusedInodes(supervisor.Await("web", ExportState::kListening)), IsEmpty());
}

TEST_F(SupervisorTest, ACrashIsAConditionUntilTheSuccessorHasProvedHealthy) {
  timing_.restart.healthy_after = absl::Milliseconds(20);
  auto& supervisor = Start();
  ASSERT_TRUE(supervisor.Create(SpecOf("web")).ok());
  supervisor.Await("web", ExportState::kListening);
  Write(Connect("web"), 'x');
  supervisor.Await("web", ExportState::kRecovering);

  const ExportView restarted = supervisor.Await("web", ExportState::kListening);
  EXPECT_THAT(restarted.conditions, Contains(Field(&Condition::reason, "WORKER_CRASHED")));
  const ExportView healthy = supervisor.Await("web", ExportState::kListening);
  EXPECT_THAT(healthy.conditions, IsEmpty());
  // It has happened all the same.
  EXPECT_EQ(healthy.restarts, 1u);
  ASSERT_TRUE(healthy.last_failure.has_value());
  EXPECT_EQ(healthy.last_failure->reason, "WORKER_CRASHED");
}

TEST_F(SupervisorTest, ASuccessorThatDiesSoonerHasProvedNothing) {
  timing_.restart.healthy_after = absl::Minutes(10);
  auto& supervisor = Start();
  ASSERT_TRUE(supervisor.Create(SpecOf("web")).ok());
  for (int i = 0; i < 2; ++i) {
    Write(Connect("web"), 'x');
    supervisor.Await("web", ExportState::kRecovering);
    EXPECT_THAT(supervisor.Await("web", ExportState::kListening).conditions,
                Contains(Field(&Condition::reason, "WORKER_CRASHED")));
  }
}

TEST_F(SupervisorTest, MissingHostHandlesAreAConditionForAsLongAsTheyAre) {
  auto& supervisor = Start();
  ASSERT_TRUE(supervisor.Create(SpecOf("web")).ok());
  const os::UniqueFd front_end = Connect("web");
  supervisor.Await("web", ExportState::kConnected);

  Write(front_end, 'h');
  Write(front_end, 'm');
  const ExportView lacking = supervisor.Await("web", ExportState::kMounted);
  ASSERT_EQ(lacking.conditions.size(), 1u);
  EXPECT_EQ(lacking.conditions[0].reason, "HOST_HANDLES_UNAVAILABLE");
  EXPECT_THAT(lacking.conditions[0].message, HasSubstr("they take CAP_DAC_READ_SEARCH"));

  Write(front_end, 'h');
  EXPECT_THAT(supervisor.Await("web", ExportState::kConnected).conditions, IsEmpty());
}

TEST_F(SupervisorTest, AMissingLandlockIsAConditionForAsLongAsItIs) {
  auto& supervisor = Start();
  ASSERT_TRUE(supervisor.Create(SpecOf("web")).ok());
  const os::UniqueFd front_end = Connect("web");
  supervisor.Await("web", ExportState::kConnected);

  Write(front_end, 'l');
  Write(front_end, 'm');
  const ExportView lacking = supervisor.Await("web", ExportState::kMounted);
  ASSERT_EQ(lacking.conditions.size(), 1u);
  EXPECT_EQ(lacking.conditions[0].reason, "LANDLOCK_UNAVAILABLE");

  Write(front_end, 'l');
  EXPECT_THAT(supervisor.Await("web", ExportState::kConnected).conditions, IsEmpty());
}

TEST_F(SupervisorTest, RefusedDevicesAreAConditionForAsLongAsTheyAre) {
  auto& supervisor = Start();
  ASSERT_TRUE(supervisor.Create(SpecOf("web")).ok());
  const os::UniqueFd front_end = Connect("web");
  supervisor.Await("web", ExportState::kConnected);

  Write(front_end, 'd');
  Write(front_end, 'm');
  const ExportView refused = supervisor.Await("web", ExportState::kMounted);
  ASSERT_EQ(refused.conditions.size(), 1u);
  EXPECT_EQ(refused.conditions[0].reason, "DEVICES_REFUSED");

  Write(front_end, 'd');
  EXPECT_THAT(supervisor.Await("web", ExportState::kConnected).conditions, IsEmpty());
}

TEST_F(SupervisorTest, AWorkerKilledFromOutsideIsNamedSoAndOthersAreUndisturbed) {
  auto& supervisor = Start();
  const auto web = supervisor.Create(SpecOf("web"));
  const auto db = supervisor.Create(SpecOf("db"));
  const os::UniqueFd db_front_end = Connect("db");
  ASSERT_TRUE(Answers(db_front_end));

  ASSERT_EQ(::kill(web->worker_pid, SIGKILL), 0);

  const ExportView recovering = supervisor.Await("web", ExportState::kRecovering);
  EXPECT_THAT(recovering.conditions, Contains(Field(&Condition::message, HasSubstr("signal 9"))));
  supervisor.Await("web", ExportState::kListening);
  EXPECT_TRUE(Answers(db_front_end));
  EXPECT_EQ(supervisor.Get("db")->worker_pid, db->worker_pid);
}

TEST_F(SupervisorTest, AWorkerThatKeepsFailingIsGivenUpVisibly) {
  timing_.restart.max_failures = 4;
  auto& supervisor = Start();
  ASSERT_TRUE(supervisor.Create(SpecOf("db")).ok());
  ASSERT_TRUE(supervisor.Create(SpecOf("web", "exit-1-next")).ok());
  Touch("/srv/next");
  Write(Connect("web"), 'x');

  const ExportView failed = supervisor.Await("web", ExportState::kFailed);

  EXPECT_THAT(failed.conditions, Contains(Field(&Condition::reason, "WORKER_FAILED")));
  EXPECT_THAT(failed.conditions,
              Contains(Field(&Condition::message,
                             HasSubstr("4 times in a row, the last time: exited with status 1"))));
  EXPECT_EQ(failed.worker_pid, 0);
  // Refused rather than kept waiting for ever.
  EXPECT_EQ(os::ConnectUnix(SocketOf("web"), os::SocketType::kStream).error(), Errno(ECONNREFUSED));
  EXPECT_TRUE(Answers(Connect("db")));
  EXPECT_TRUE(supervisor.Delete("web").ok());
  EXPECT_FALSE(Exists("/run/exports/web.sock"));
}

}  // namespace
}  // namespace fsd::supervisor
