// A supervisor that ends, and the next one on the same state.
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>

#include "gmock/gmock.h"
#include "server/os/unix_socket.h"
#include "server/supervisor/error_reason.h"
#include "server/supervisor/supervisor_fixture.h"

namespace fsd::supervisor {
namespace {

using internal::ExportSpec;
using ::testing::Contains;
using ::testing::Field;
using ::testing::HasSubstr;
using ::testing::Optional;

TEST_F(SupervisorTest, ShutdownStopsWorkersAndKeepsRecordsForTheNextSupervisor) {
  auto& first = Start();
  const auto before = first.Create(SpecOf("web"));
  ExportSpec elsewhere = SpecOf("db");
  elsewhere.set_socket_path(root_ + "/vms/db.sock");
  ASSERT_TRUE(first.Create(elsewhere).ok());
  first.Stop();
  EXPECT_TRUE(HasNoChild());
  EXPECT_FALSE(Exists("/run/exports/web.sock"));
  EXPECT_FALSE(Exists("/run/control/web.sock"));
  EXPECT_FALSE(Exists("/vms/db.sock"));
  EXPECT_TRUE(Exists("/state/exports/web"));

  auto& second = Start();
  second.Await("web", ExportState::kListening);
  EXPECT_EQ(second.Get("web")->record.uid(), before->record.uid());
  EXPECT_TRUE(Answers(Connect("web")));
}

TEST_F(SupervisorTest, AfterShutdownCallsAreAnswered) {
  auto& supervisor = Start();
  supervisor.Stop();
  EXPECT_THAT(ReasonOf(supervisor.Create(SpecOf("web")).status()),
              Optional(std::string("SHUTTING_DOWN")));
  EXPECT_THAT(ReasonOf(supervisor.Delete("web")), Optional(std::string("SHUTTING_DOWN")));
  EXPECT_THAT(ReasonOf(supervisor.Get("web").status()), Optional(std::string("SHUTTING_DOWN")));
}

TEST_F(SupervisorTest, ASupervisorThatDiedLeavesSocketsThatTheNextOneReplaces) {
  // As if the host had crashed: record and socket files, nobody listening.
  auto& first = Start();
  ExportSpec spec = SpecOf("web");
  spec.set_socket_path(root_ + "/vms/web.sock");
  ASSERT_TRUE(first.Create(spec).ok());
  first.Stop();
  ASSERT_TRUE(os::ListenUnix(spec.socket_path(), os::SocketType::kStream, {}).ok());
  ASSERT_TRUE(os::ListenUnix(root_ + "/run/control/web.sock", os::SocketType::kSeqPacket, {}).ok());

  auto& second = Start();
  second.Await("web", ExportState::kListening);
  EXPECT_TRUE(os::ConnectUnix(spec.socket_path(), os::SocketType::kStream).ok());
}

TEST_F(SupervisorTest, AnExportThatCannotComeBackFailsAloneAndKeepsItsRecord) {
  ::mkdir((root_ + "/srv/gone").c_str(), 0755);
  auto& first = Start();
  ExportSpec gone = SpecOf("gone");
  gone.set_source_path(root_ + "/srv/gone");
  ASSERT_TRUE(first.Create(gone).ok());
  ASSERT_TRUE(first.Create(SpecOf("web")).ok());
  first.Stop();
  ::rmdir((root_ + "/srv/gone").c_str());

  auto& second = Start();
  const ExportView failed = second.Await("gone", ExportState::kFailed);
  EXPECT_THAT(failed.conditions, Contains(Field(&Condition::reason, "SOURCE_NOT_FOUND")));
  second.Await("web", ExportState::kListening);
  EXPECT_TRUE(Answers(Connect("web")));
  EXPECT_TRUE(Exists("/state/exports/gone"));
  EXPECT_TRUE(second.Delete("gone").ok());
  EXPECT_FALSE(Exists("/state/exports/gone"));
}

TEST_F(SupervisorTest, WhatTheConfigurationNoLongerAllowsFailsAloneAndKeepsItsRecord) {
  config_.weakest_sandbox = ExportSpec::SANDBOX_NONE;
  config_.allow_capabilities = {"CAP_LINUX_IMMUTABLE"};
  auto& first = Start();
  ExportSpec weak = SpecOf("weak");
  weak.set_sandbox_mode(ExportSpec::SANDBOX_NONE);
  ASSERT_TRUE(first.Create(weak).ok());
  ExportSpec capable = SpecOf("capable");
  capable.add_add_capabilities("CAP_LINUX_IMMUTABLE");
  ASSERT_TRUE(first.Create(capable).ok());
  ASSERT_TRUE(first.Create(SpecOf("web")).ok());
  first.Stop();
  config_.weakest_sandbox = ExportSpec::SANDBOX_CHROOT;
  config_.allow_capabilities.clear();

  auto& second = Start();

  EXPECT_THAT(second.Await("weak", ExportState::kFailed).conditions,
              Contains(Field(&Condition::reason, "SANDBOX_NOT_ALLOWED")));
  EXPECT_THAT(second.Await("capable", ExportState::kFailed).conditions,
              Contains(Field(&Condition::reason, "CAPABILITY_NOT_ALLOWED")));
  second.Await("web", ExportState::kListening);
  EXPECT_TRUE(Answers(Connect("web")));
  EXPECT_TRUE(Exists("/state/exports/weak"));
  EXPECT_FALSE(Exists("/run/exports/weak.sock"));
  second.Stop();

  // Allowed again, it comes back.
  config_.weakest_sandbox = ExportSpec::SANDBOX_NONE;
  auto& third = Start();
  third.Await("weak", ExportState::kListening);
  EXPECT_TRUE(Answers(Connect("weak")));
}

class KeptWorkerTest : public SupervisorTest {
 protected:
  KeptWorkerTest() {
    config_.workers = Config::Workers::kKeep;
    auto& first = Start();
    kept_ = first.Create(SpecOf("web"))->worker_pid;
    first.Stop();
  }
  // In production init reaps it; here it is the test's child.
  void ExpectEnds() const {
    int status = 0;
    EXPECT_EQ(::waitpid(kept_, &status, 0), kept_);
  }

  pid_t kept_ = 0;
};

TEST_F(KeptWorkerTest, ServesOnWithoutItsSupervisor) {
  running_.reset();
  EXPECT_TRUE(Answers(Connect("web")));
  ASSERT_EQ(::kill(kept_, SIGKILL), 0);
  ExpectEnds();
}

TEST_F(SupervisorTest, TwoHundredCyclesLeaveNoDescriptorAndNoProcess) {
  auto& supervisor = Start();
  // What the first export makes once, as lazily loaded files, does not count.
  ASSERT_TRUE(supervisor.Create(SpecOf("web")).ok());
  ASSERT_TRUE(supervisor.Delete("web").ok());
  const size_t before = CountOpenFds();
  for (int i = 0; i < 200; ++i) {
    ASSERT_TRUE(supervisor.Create(SpecOf("web")).ok());
    ASSERT_TRUE(supervisor.Delete("web").ok());
  }
  EXPECT_EQ(CountOpenFds(), before);
  EXPECT_TRUE(HasNoChild());
}

TEST_F(SupervisorTest, ASecondSupervisorOnTheSameStateIsRefused) {
  Start();
  EXPECT_THAT(ReasonOf(Supervisor::Create(config_).status()),
              Optional(std::string("STATE_UNAVAILABLE")));
}

TEST_F(SupervisorTest, AWorkerBinaryThatIsMissingIsRefusedAtOnce) {
  config_.worker_binary = "/nonexistent/fsd-worker";
  const absl::Status status = Supervisor::Create(config_).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kNotFound);
  EXPECT_THAT(std::string(status.message()), HasSubstr("/nonexistent/fsd-worker"));
}

}  // namespace
}  // namespace fsd::supervisor
