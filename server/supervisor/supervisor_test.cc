#include "server/supervisor/supervisor.h"

#include "gmock/gmock.h"
#include "server/os/unix_socket.h"
#include "server/supervisor/error_reason.h"
#include "server/supervisor/supervisor_fixture.h"

namespace fsd::supervisor {
namespace {

using internal::ExportSpec;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Optional;

TEST_F(SupervisorTest, ACreatedExportListensAndIsServed) {
  auto& supervisor = Start();
  const auto view = supervisor.Create(SpecOf("web"));
  ASSERT_TRUE(view.ok()) << view.status();
  EXPECT_EQ(view->state, ExportState::kListening);
  EXPECT_GT(view->worker_pid, 0);
  EXPECT_EQ(view->record.spec().socket_path(), SocketOf("web"));
  EXPECT_EQ(view->record.uid().size(), 32u);
  EXPECT_TRUE(Answers(Connect("web")));
  EXPECT_TRUE(Exists("/state/exports/web"));
}

TEST_F(SupervisorTest, TheStateFollowsTheFrontEnd) {
  auto& supervisor = Start();
  ASSERT_TRUE(supervisor.Create(SpecOf("web")).ok());
  os::UniqueFd front_end = Connect("web");
  supervisor.Await("web", ExportState::kConnected);
  Write(front_end, 'm');
  supervisor.Await("web", ExportState::kMounted);
  front_end.reset();
  supervisor.Await("web", ExportState::kListening);
  EXPECT_EQ(supervisor.Get("web")->worker.state(), internal::WorkerStatus::STATE_LISTENING);
}

TEST_F(SupervisorTest, ListIsOrderedById) {
  auto& supervisor = Start();
  ASSERT_TRUE(supervisor.Create(SpecOf("web")).ok());
  ASSERT_TRUE(supervisor.Create(SpecOf("db")).ok());
  const auto views = supervisor.List();
  ASSERT_EQ(views.size(), 2u);
  EXPECT_EQ(views[0].record.spec().id(), "db");
  EXPECT_EQ(views[1].record.spec().id(), "web");
}

TEST_F(SupervisorTest, CreatingTheSameAgainIsTheExistingExport) {
  auto& supervisor = Start();
  const auto first = supervisor.Create(SpecOf("web"));
  const auto second = supervisor.Create(SpecOf("web"));
  ASSERT_TRUE(second.ok()) << second.status();
  EXPECT_EQ(first->record.uid(), second->record.uid());
  EXPECT_EQ(first->worker_pid, second->worker_pid);
}

TEST_F(SupervisorTest, CreatingAnotherOfTheSameIdNamesTheDifference) {
  auto& supervisor = Start();
  ASSERT_TRUE(supervisor.Create(SpecOf("web")).ok());
  const absl::Status status = supervisor.Create(SpecOf("web", "other")).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kAlreadyExists);
  EXPECT_THAT(ReasonOf(status), Optional(std::string("EXPORT_EXISTS")));
  EXPECT_THAT(std::string(status.message()), HasSubstr("another tag"));
}

TEST_F(SupervisorTest, ASocketBelongsToOneExport) {
  auto& supervisor = Start();
  ASSERT_TRUE(supervisor.Create(SpecOf("web")).ok());
  ExportSpec other = SpecOf("db");
  other.set_socket_path(SocketOf("web"));
  EXPECT_THAT(ReasonOf(supervisor.Create(other).status()), Optional(std::string("SOCKET_IN_USE")));
}

TEST_F(SupervisorTest, WhileACreationIsPendingOthersAreTurnedAwayAndShutdownUndoesIt) {
  auto& supervisor = Start();
  auto pending = supervisor.StartCreate(SpecOf("web", "silent"));
  supervisor.Await("web", ExportState::kCreating);
  const absl::Status again = supervisor.Create(SpecOf("web", "silent")).status();
  EXPECT_EQ(again.code(), absl::StatusCode::kAborted);
  EXPECT_THAT(ReasonOf(again), Optional(std::string("EXPORT_BUSY")));
  EXPECT_THAT(ReasonOf(supervisor.Delete("web")), Optional(std::string("EXPORT_BUSY")));

  supervisor.Stop();

  EXPECT_THAT(ReasonOf(pending.get().status()), Optional(std::string("SHUTTING_DOWN")));
  EXPECT_FALSE(Exists("/state/exports/web"));
  EXPECT_FALSE(Exists("/run/exports/web.sock"));
  EXPECT_TRUE(HasNoChild());
}

TEST_F(SupervisorTest, ValidateOnlyChecksAndDoesNothing) {
  auto& supervisor = Start();
  const auto view = supervisor.Create(SpecOf("web"), /*validate_only=*/true);
  ASSERT_TRUE(view.ok()) << view.status();
  EXPECT_EQ(view->record.spec().socket_path(), SocketOf("web"));
  EXPECT_THAT(supervisor.List(), IsEmpty());
  EXPECT_FALSE(Exists("/run/exports/web.sock"));
  EXPECT_FALSE(Exists("/state/exports/web"));

  ExportSpec missing = SpecOf("web");
  missing.set_source_path(root_ + "/srv/missing");
  EXPECT_THAT(ReasonOf(supervisor.Create(missing, true).status()),
              Optional(std::string("SOURCE_NOT_FOUND")));
  ExportSpec occupied = SpecOf("web");
  occupied.set_socket_path(root_ + "/vms/web.sock");
  Touch("/vms/web.sock");
  EXPECT_THAT(ReasonOf(supervisor.Create(occupied, true).status()),
              Optional(std::string("SOCKET_IN_USE")));
}

TEST_F(SupervisorTest, AForeignSocketStaysUntouched) {
  auto& supervisor = Start();
  ExportSpec spec = SpecOf("web");
  spec.set_socket_path(root_ + "/vms/web.sock");
  // Dead, and not ours.
  ASSERT_TRUE(os::ListenUnix(spec.socket_path(), os::SocketType::kStream, {}).ok());
  const ino_t inode = InodeOf(spec.socket_path());
  EXPECT_THAT(ReasonOf(supervisor.Create(spec).status()), Optional(std::string("SOCKET_IN_USE")));
  EXPECT_EQ(InodeOf(spec.socket_path()), inode);
  EXPECT_THAT(supervisor.List(), IsEmpty());
  EXPECT_FALSE(Exists("/state/exports/web"));
}

TEST_F(SupervisorTest, DeletingTakesAwayWorkerSocketsAndRecord) {
  auto& supervisor = Start();
  ASSERT_TRUE(supervisor.Create(SpecOf("web")).ok());
  const absl::Status status = supervisor.Delete("web");
  EXPECT_TRUE(status.ok()) << status;
  EXPECT_TRUE(HasNoChild());
  EXPECT_FALSE(Exists("/run/exports/web.sock"));
  EXPECT_FALSE(Exists("/run/control/web.sock"));
  EXPECT_FALSE(Exists("/state/exports/web"));
  EXPECT_THAT(ReasonOf(supervisor.Get("web").status()), Optional(std::string("EXPORT_NOT_FOUND")));
  EXPECT_THAT(ReasonOf(supervisor.Delete("web")), Optional(std::string("EXPORT_NOT_FOUND")));
  supervisor.Await("web", ExportState::kDeleting);
}

TEST_F(SupervisorTest, AnExportInUseIsDeletedOnlyWithForce) {
  auto& supervisor = Start();
  ASSERT_TRUE(supervisor.Create(SpecOf("web")).ok());
  const os::UniqueFd front_end = Connect("web");
  supervisor.Await("web", ExportState::kConnected);
  const absl::Status status = supervisor.Delete("web");
  EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(ReasonOf(status), Optional(std::string("EXPORT_IN_USE")));
  EXPECT_TRUE(Answers(front_end));
  EXPECT_TRUE(supervisor.Delete("web", /*force=*/true).ok());
}

TEST_F(SupervisorTest, AWorkerThatDoesNotStopIsKilled) {
  timing_.worker.stop = absl::Milliseconds(50);
  auto& supervisor = Start();
  ASSERT_TRUE(supervisor.Create(SpecOf("web", "no-stop")).ok());
  EXPECT_TRUE(supervisor.Delete("web").ok());
  EXPECT_TRUE(HasNoChild());
}

TEST_F(SupervisorTest, AWorkerThatSaysItCannotStopIsKilledAtOnce) {
  timing_.worker.stop = absl::Hours(1);
  auto& supervisor = Start();
  ASSERT_TRUE(supervisor.Create(SpecOf("web", "stuck")).ok());
  EXPECT_TRUE(supervisor.Delete("web").ok());
  EXPECT_TRUE(HasNoChild());
}

TEST_F(SupervisorTest, AStoppedWorkerIsEndedByAskingIt) {
  timing_.worker.stop = absl::Hours(1);  // so that only its own end lets Delete answer
  auto& supervisor = Start();
  ASSERT_TRUE(supervisor.Create(SpecOf("web")).ok());
  EXPECT_TRUE(supervisor.Delete("web").ok());
}

}  // namespace
}  // namespace fsd::supervisor
