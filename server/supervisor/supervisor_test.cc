#include "server/supervisor/supervisor.h"

#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <condition_variable>
#include <csignal>
#include <future>
#include <map>
#include <mutex>
#include <thread>

#include "gmock/gmock.h"
#include "server/os/unix_socket.h"
#include "server/supervisor/error_reason.h"

namespace fsd::supervisor {
namespace {

using internal::ExportSpec;
using ::testing::Contains;
using ::testing::Field;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Optional;

// Generous: only a failing test waits so long.
constexpr std::chrono::seconds kPatience(120);

// A supervisor with a thread that runs it, and what its observer saw.
class RunningSupervisor {
 public:
  RunningSupervisor(const Config& config, const Timing& timing)
      : supervisor_(*Supervisor::Create(config, timing)) {
    supervisor_->SetObserver([this](const ExportView& view) {
      const std::lock_guard lock(mutex_);
      seen_.push_back(view);
      changed_.notify_all();
    });
    thread_ = std::thread([this] { supervisor_->Run(); });
  }
  ~RunningSupervisor() { Stop(); }

  void Stop() {
    if (!thread_.joinable()) return;
    supervisor_->Shutdown();
    thread_.join();
  }

  Supervisor& operator*() { return *supervisor_; }

  std::future<absl::StatusOr<ExportView>> StartCreate(const ExportSpec& spec,
                                                      bool validate_only = false) {
    auto promise = std::make_shared<std::promise<absl::StatusOr<ExportView>>>();
    supervisor_->CreateExport(spec, "", validate_only, [promise](absl::StatusOr<ExportView> view) {
      promise->set_value(std::move(view));
    });
    return promise->get_future();
  }
  absl::StatusOr<ExportView> Create(const ExportSpec& spec, bool validate_only = false) {
    return StartCreate(spec, validate_only).get();
  }
  absl::StatusOr<ExportView> Get(const std::string& id) {
    std::promise<absl::StatusOr<ExportView>> promise;
    supervisor_->GetExport(
        id, [&promise](absl::StatusOr<ExportView> view) { promise.set_value(std::move(view)); });
    return promise.get_future().get();
  }
  std::vector<ExportView> List() {
    std::promise<absl::StatusOr<std::vector<ExportView>>> promise;
    supervisor_->ListExports([&promise](absl::StatusOr<std::vector<ExportView>> views) {
      promise.set_value(std::move(views));
    });
    return *promise.get_future().get();
  }
  absl::Status Delete(const std::string& id, bool force = false) {
    std::promise<absl::Status> promise;
    supervisor_->DeleteExport(id, force,
                              [&promise](absl::Status status) { promise.set_value(status); });
    return promise.get_future().get();
  }
  // Waits until the export is seen in `state`, after what earlier calls have waited for.
  ExportView Await(const std::string& id, ExportState state) {
    std::unique_lock lock(mutex_);
    ExportView found;
    const bool seen = changed_.wait_for(lock, kPatience, [&] {
      for (size_t& next = next_[id]; next < seen_.size();) {
        const ExportView& view = seen_[next++];
        if (view.record.spec().id() != id || view.state != state) continue;
        found = view;
        return true;
      }
      return false;
    });
    EXPECT_TRUE(seen) << "state " << static_cast<int>(state) << " was not seen";
    return found;
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<ExportView> seen_;
  std::map<std::string, size_t> next_;  // into seen_, by export
  std::unique_ptr<Supervisor> supervisor_;
  std::thread thread_;
};

size_t CountOpenFds() {
  size_t count = 0;
  DIR* const directory = ::opendir("/proc/self/fd");
  while (::readdir(directory) != nullptr) ++count;
  ::closedir(directory);
  return count;
}

bool HasNoChild() { return ::waitpid(-1, nullptr, WNOHANG) == -1 && errno == ECHILD; }

class SupervisorTest : public ::testing::Test {
 protected:
  SupervisorTest() {
    char name[] = "/tmp/fsd-test-XXXXXX";
    root_ = ::mkdtemp(name);
    ::mkdir((root_ + "/srv").c_str(), 0755);
    ::mkdir((root_ + "/vms").c_str(), 0755);
    config_.state_dir = root_ + "/state";
    config_.runtime_dir = root_ + "/run";
    config_.allow_source = {root_ + "/srv"};
    config_.allow_socket = {root_ + "/vms"};
    char cwd[4096];
    config_.worker_binary =
        std::string(::getcwd(cwd, sizeof cwd)) + "/server/supervisor/fake_worker";
    // Nobody who behaves meets these on a slow machine.
    timing_.worker.ready = absl::Minutes(2);
    timing_.worker.stop = absl::Minutes(2);
    timing_.restart.first_delay = absl::Milliseconds(1);
  }
  ~SupervisorTest() override {
    [[maybe_unused]] const int status = ::system(("rm -rf " + root_).c_str());
  }

  RunningSupervisor& Start() {
    running_.reset();
    running_ = std::make_unique<RunningSupervisor>(config_, timing_);
    return *running_;
  }

  ExportSpec SpecOf(const std::string& id, const std::string& tag = "myfs") const {
    ExportSpec spec;
    spec.set_id(id);
    spec.set_tag(tag);
    spec.set_source_path(root_ + "/srv");
    return spec;
  }
  std::string SocketOf(const std::string& id) const {
    return root_ + "/run/exports/" + id + ".sock";
  }
  os::UniqueFd Connect(const std::string& id) const {
    auto connected = os::ConnectUnix(SocketOf(id), os::SocketType::kStream);
    EXPECT_TRUE(connected.ok());
    return connected.ok() ? *std::move(connected) : os::UniqueFd();
  }
  static void Write(const os::UniqueFd& front_end, char letter) {
    EXPECT_EQ(::write(front_end.get(), &letter, 1), 1);
  }
  // Whether a worker answers on this connection.
  static bool Answers(const os::UniqueFd& front_end) {
    if (::write(front_end.get(), "p", 1) != 1) return false;
    pollfd polled{.fd = front_end.get(), .events = POLLIN, .revents = 0};
    char answer[4];
    return ::poll(&polled, 1, static_cast<int>(std::chrono::milliseconds(kPatience).count())) ==
               1 &&
           ::read(front_end.get(), answer, sizeof answer) == sizeof answer;
  }
  bool Exists(const std::string& path) const { return ::access((root_ + path).c_str(), F_OK) == 0; }
  void Touch(const std::string& path) const {
    ::close(::open((root_ + path).c_str(), O_CREAT | O_WRONLY | O_CLOEXEC, 0644));
  }
  ino_t InodeOf(const std::string& path) const {
    struct stat info {};
    ::lstat(path.c_str(), &info);
    return info.st_ino;
  }

  std::string root_;
  Config config_;
  Timing timing_;
  std::unique_ptr<RunningSupervisor> running_;
};

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

struct BadStart {
  const char* tag;
  const char* reason;
  const char* message;
};

class BadStartTest : public SupervisorTest, public ::testing::WithParamInterface<BadStart> {};

TEST_P(BadStartTest, AWorkerThatDoesNotGetReadyFailsTheCreationAndLeavesNothing) {
  if (GetParam().tag == std::string("silent")) timing_.worker.ready = absl::Milliseconds(200);
  auto& supervisor = Start();
  const absl::Status status = supervisor.Create(SpecOf("web", GetParam().tag)).status();
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
                      BadStart{"silent", "WORKER_FAILED", "not ready within 200ms"},
                      BadStart{"garbage", "WORKER_FAILED", "not a message"},
                      BadStart{"wrong-uid", "WORKER_FAILED", "speaks for another export"},
                      BadStart{"wrong-version", "WORKER_FAILED", "version 2"},
                      BadStart{"status-first", "WORKER_FAILED", "before it said hello"},
                      BadStart{"hello-twice", "WORKER_FAILED", "hello twice"},
                      BadStart{"bad-state", "WORKER_FAILED", "unknown state 77"}),
    [](const auto& info) {
      std::string name = info.param.tag;
      std::replace(name.begin(), name.end(), '-', '_');
      return name;
    });

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
                                           std::pair("hang-up", "closed its control channel"),
                                           std::pair("flood", "more than 100 messages")));

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

TEST_F(SupervisorTest, AStoppedWorkerIsEndedByAskingIt) {
  timing_.worker.stop = absl::Hours(1);  // so that only its own end lets Delete answer
  auto& supervisor = Start();
  ASSERT_TRUE(supervisor.Create(SpecOf("web")).ok());
  EXPECT_TRUE(supervisor.Delete("web").ok());
}

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

TEST_F(KeptWorkerTest, IsLeftAloneByTheNextSupervisorUntilDeletedWithForce) {
  auto& second = Start();
  const ExportView failed = second.Await("web", ExportState::kFailed);
  EXPECT_THAT(failed.conditions, Contains(Field(&Condition::reason, "WORKER_NOT_ADOPTED")));
  EXPECT_TRUE(Answers(Connect("web")));
  EXPECT_THAT(ReasonOf(second.Delete("web")), Optional(std::string("EXPORT_IN_USE")));
  EXPECT_TRUE(Answers(Connect("web")));

  EXPECT_TRUE(second.Delete("web", /*force=*/true).ok());
  ExpectEnds();
  EXPECT_FALSE(Exists("/run/exports/web.sock"));
  EXPECT_FALSE(Exists("/run/control/web.sock"));
  EXPECT_FALSE(Exists("/state/exports/web"));
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
