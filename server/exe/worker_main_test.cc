// Runs the fsd-worker binary the way a supervisor does and talks to it through its control socket.
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <sched.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstddef>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>
#include <iterator>
#include <span>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "proto/fsd/internal/worker.pb.h"
#include "server/ipc/inherited_fds.h"
#include "server/ipc/worker_channel.h"
#include "server/ipc/worker_exit.h"
#include "server/os/memory_file.h"
#include "server/os/unique_fd.h"
#include "server/os/unix_socket.h"
#include "server/telemetry/export_counters.h"

namespace fsd::exe {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::StartsWith;

constexpr int kPatienceMs = 60'000;

std::string WorkerBinary() {
  return absl::StrCat(std::getenv("TEST_SRCDIR"), "/fsd/server/exe/fsd-worker");
}

class WorkerMainTest : public ::testing::Test {
 protected:
  WorkerMainTest() {
    char path[] = "/tmp/fsd-worker-XXXXXX";
    directory_ = ::mkdtemp(path);
    ::mkdir(share().c_str(), 0755);
    spec_.set_version(ipc::kProtocolVersion);
    spec_.set_export_uid("uid-1");
    spec_.set_log_level(1);
    spec_.mutable_spec()->set_id("web");
    spec_.mutable_spec()->set_tag("web");
    spec_.mutable_spec()->set_source_path(share());
    control_ = *os::ListenUnix(directory_ + "/control", os::SocketType::kSeqPacket, {});
    vhost_ = *os::ListenUnix(directory_ + "/vhost", os::SocketType::kStream, {});
    source_ = os::UniqueFd(::open(share().c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  }
  ~WorkerMainTest() override {
    if (worker_ > 0) {
      ::kill(worker_, SIGKILL);
      ::waitpid(worker_, nullptr, 0);
    }
    std::filesystem::remove_all(directory_);
  }

  std::string share() const { return directory_ + "/share"; }

  // Starts the worker with fds 3 … 7 from these members.
  void Start(unsigned long flags = CLONE_NEWPID) {
    const std::string bytes = spec_.SerializeAsString();
    const os::UniqueFd spec = *os::CreateSealedFile("spec", std::as_bytes(std::span(bytes)));
    const std::array given{spec.get(), control_.get(), vhost_.get(), source_.get(),
                           counters_.get()};
    const std::string binary = WorkerBinary();
    const os::UniqueFd log(
        ::open((directory_ + "/log").c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
    worker_ = static_cast<pid_t>(::syscall(SYS_clone, flags | SIGCHLD, 0, 0, 0, 0));
    ASSERT_GE(worker_, 0);
    if (worker_ == 0) {
      ::dup2(log.get(), STDERR_FILENO);
      // Out of the way first: one may have the number that another is to get.
      constexpr int kAbove = 100;
      for (int i = 0; i < 5; ++i) ::dup3(given[i], kAbove + i, O_CLOEXEC);
      for (int i = 0; i < 5; ++i) ::dup2(kAbove + i, ipc::kWorkerSpecFd + i);
      before_exec_();
      ::execl(binary.c_str(), "fsd-worker", nullptr);
      ::_exit(127);
    }
  }

  // The exit status, or 1000 + the signal.
  int Wait() {
    int status = 0;
    ::waitpid(std::exchange(worker_, 0), &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status);
  }

  std::string Log() const {
    std::ifstream file(directory_ + "/log");
    return {std::istreambuf_iterator<char>(file), {}};
  }

  ipc::WorkerChannel Dial() {
    ipc::WorkerChannel channel(
        *os::ConnectUnix(directory_ + "/control", os::SocketType::kSeqPacket));
    internal::ToWorker hello;
    hello.mutable_hello()->set_version(ipc::kProtocolVersion);
    EXPECT_TRUE(channel.Send(hello).ok());
    return channel;
  }

  static internal::FromWorker Receive(ipc::WorkerChannel& channel) {
    pollfd readable{.fd = channel.fd(), .events = POLLIN, .revents = 0};
    EXPECT_EQ(::poll(&readable, 1, kPatienceMs), 1);
    const auto message = channel.ReceiveFromWorker();
    EXPECT_TRUE(message.ok()) << message.status();
    return message.ok() && message->has_value() ? **message : internal::FromWorker();
  }

  // The keeper's children: the data plane and, if host handles are used, the handle keeper.
  std::vector<pid_t> Children() const {
    std::ifstream children(absl::StrCat("/proc/", worker_, "/task/", worker_, "/children"));
    return {std::istream_iterator<pid_t>(children), {}};
  }
  pid_t DataPlane() const {
    const std::vector<pid_t> children = Children();
    return children.empty() ? 0 : children[0];
  }

  std::string directory_;
  internal::WorkerSpec spec_;
  os::UniqueFd control_;
  os::UniqueFd vhost_;
  os::UniqueFd source_;
  os::UniqueFd counters_ = *telemetry::CreateCounterFile();
  std::function<void()> before_exec_ = [] {};
  pid_t worker_ = 0;
};

std::string StatusLine(pid_t pid, std::string_view name) {
  std::ifstream status(absl::StrCat("/proc/", pid, "/status"));
  for (std::string line; std::getline(status, line);) {
    if (line.starts_with(name)) return line.substr(name.size() + 2);
  }
  return "no such line";
}

// What they lead to.
std::vector<std::string> FdsBesideStandard(pid_t pid) {
  std::vector<std::string> targets;
  for (int fd = STDERR_FILENO + 1; fd < 1000; ++fd) {
    std::error_code closed;
    const auto target =
        std::filesystem::read_symlink(absl::StrCat("/proc/", pid, "/fd/", fd), closed);
    if (!closed) targets.push_back(target.string());
  }
  return targets;
}

// The keeper confines itself while the data plane already serves.
bool IsFilteredInTime(pid_t pid) {
  const auto end = std::chrono::steady_clock::now() + std::chrono::milliseconds(kPatienceMs);
  while (StatusLine(pid, "Seccomp") != "2") {
    if (std::chrono::steady_clock::now() > end) return false;
    ::poll(nullptr, 0, 1);
  }
  return true;
}

TEST_F(WorkerMainTest, FromBehindItsJailItHandsOverWhatItServesWith) {
  Start();
  ipc::WorkerChannel channel = Dial();
  ASSERT_TRUE(Receive(channel).has_hello());
  ASSERT_TRUE(Receive(channel).has_status());
  internal::ToWorker adopt;
  adopt.mutable_adopt();
  ASSERT_TRUE(channel.Send(adopt).ok());
  pollfd readable{.fd = channel.fd(), .events = POLLIN, .revents = 0};
  ASSERT_EQ(::poll(&readable, 1, kPatienceMs), 1);

  const auto handed = channel.ReceiveFromWorkerWithFds();

  ASSERT_TRUE(handed.ok() && handed->has_value()) << handed.status();
  EXPECT_EQ((*handed)->message.handover().spec().SerializeAsString(), spec_.SerializeAsString());
  struct stat sent, ours;
  ASSERT_EQ(::fstat((*handed)->fds[0].get(), &sent), 0);
  ASSERT_EQ(::fstat(vhost_.get(), &ours), 0);
  EXPECT_EQ(sent.st_ino, ours.st_ino);
  ASSERT_EQ(::fstat((*handed)->fds[1].get(), &sent), 0);
  ASSERT_EQ(::fstat(counters_.get(), &ours), 0);
  EXPECT_EQ(sent.st_ino, ours.st_ino);
}

TEST_F(WorkerMainTest, SaysHelloThenListensAndEndsWhenToldToStop) {
  Start();
  ipc::WorkerChannel channel = Dial();

  EXPECT_EQ(Receive(channel).hello().export_uid(), "uid-1");
  const internal::WorkerStatus status = Receive(channel).status();
  EXPECT_EQ(status.state(), internal::WorkerStatus::STATE_LISTENING);
  EXPECT_FALSE(status.landlock_lacking());
  internal::ToWorker stop;
  stop.mutable_stop();
  ASSERT_TRUE(channel.Send(stop).ok());
  EXPECT_EQ(Wait(), ipc::kWorkerStopped) << Log();
}

TEST_F(WorkerMainTest, BothProcessesAreJailedAndFiltered) {
  Start();
  ipc::WorkerChannel channel = Dial();
  ASSERT_EQ(Receive(channel).hello().export_uid(), "uid-1");

  const pid_t data_plane = DataPlane();
  ASSERT_GT(data_plane, 0);
  for (const pid_t pid : {worker_, data_plane}) {
    EXPECT_TRUE(IsFilteredInTime(pid));
    EXPECT_EQ(StatusLine(pid, "NoNewPrivs"), "1");
    EXPECT_EQ(StatusLine(pid, "CapEff"), pid == worker_ ? "0000000000000000" : "00000000080000db");
    EXPECT_TRUE(std::filesystem::equivalent(absl::StrCat("/proc/", pid, "/root/"), share()));
  }
}

TEST_F(WorkerMainTest, TheHandleKeeperHasItsCapabilityItsSocketAndNothingElse) {
  Start();
  ipc::WorkerChannel channel = Dial();
  ASSERT_EQ(Receive(channel).hello().export_uid(), "uid-1");

  ASSERT_EQ(Children().size(), 2u);
  const pid_t handle_keeper = Children()[1];
  EXPECT_TRUE(IsFilteredInTime(handle_keeper));
  EXPECT_EQ(StatusLine(handle_keeper, "NoNewPrivs"), "1");
  EXPECT_EQ(StatusLine(handle_keeper, "CapPrm"), "000000000000000e");
  // What it has opened last is closed after it was sent.
  const auto end = std::chrono::steady_clock::now() + std::chrono::milliseconds(kPatienceMs);
  std::vector<std::string> given = FdsBesideStandard(handle_keeper);
  while (given.size() != 1 && std::chrono::steady_clock::now() < end) {
    ::poll(nullptr, 0, 1);
    given = FdsBesideStandard(handle_keeper);
  }
  EXPECT_THAT(given, ElementsAre(StartsWith("socket:")));
  EXPECT_TRUE(
      std::filesystem::equivalent(absl::StrCat("/proc/", handle_keeper, "/root/"), share()));
}

TEST_F(WorkerMainTest, WithoutHostHandlesThereIsNoHandleKeeper) {
  spec_.mutable_spec()->set_host_handles(internal::ExportSpec::HOST_HANDLES_NEVER);
  Start();
  ipc::WorkerChannel channel = Dial();
  ASSERT_EQ(Receive(channel).hello().export_uid(), "uid-1");
  EXPECT_EQ(Children().size(), 1u);
  EXPECT_EQ(StatusLine(DataPlane(), "CapBnd"), "00000000080000db");
}

TEST_F(WorkerMainTest, ItHasAsManyDescriptorsAsItsLimitSays) {
  spec_.mutable_spec()->mutable_limits()->set_open_files(500);
  Start();
  ipc::WorkerChannel channel = Dial();
  ASSERT_EQ(Receive(channel).hello().export_uid(), "uid-1");
  for (const pid_t pid : {worker_, DataPlane(), Children()[1]}) {
    rlimit limit;
    ASSERT_EQ(::prlimit(pid, RLIMIT_NOFILE, nullptr, &limit), 0);
    EXPECT_EQ(limit.rlim_cur, 500u);
    EXPECT_EQ(limit.rlim_max, 500u);
    ASSERT_EQ(::prlimit(pid, RLIMIT_CORE, nullptr, &limit), 0);
    EXPECT_EQ(limit.rlim_max, 1u);
  }
}

TEST_F(WorkerMainTest, ALimitBeyondWhatTheKernelAllowsIsAnErrorThatNamesIt) {
  spec_.mutable_spec()->mutable_limits()->set_open_files(uint64_t{1} << 40);
  Start();
  EXPECT_EQ(Wait(), ipc::kWorkerSetUpFailed);
  EXPECT_THAT(Log(), HasSubstr("setrlimit(RLIMIT_NOFILE) to 1099511627776"));
}

TEST_F(WorkerMainTest, ACapabilityThatDoesNotExistIsNamed) {
  spec_.mutable_spec()->add_add_capabilities("CAP_SANITY");
  Start();
  EXPECT_EQ(Wait(), ipc::kWorkerJailUnavailable);
  EXPECT_THAT(Log(), HasSubstr("there is no capability \"CAP_SANITY\""));
}

TEST_F(WorkerMainTest, WithSeccompOffThereIsNoFilterAndNoNewPrivilegesAllTheSame) {
  spec_.mutable_spec()->set_seccomp(internal::ExportSpec::SECCOMP_OFF);
  Start();
  ipc::WorkerChannel channel = Dial();
  ASSERT_EQ(Receive(channel).hello().export_uid(), "uid-1");
  EXPECT_EQ(StatusLine(DataPlane(), "Seccomp"), "0");
  EXPECT_EQ(StatusLine(DataPlane(), "NoNewPrivs"), "1");
}

TEST_F(WorkerMainTest, AKernelWithoutLandlockIsSaidToBeOne) {
  before_exec_ = [] {
    // Of the system calls of the process to come, landlock_create_ruleset is ENOSYS.
    sock_filter program[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_landlock_create_ruleset, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOSYS),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    const sock_fprog filter{.len = std::size(program), .filter = program};
    ::syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &filter);
  };
  Start();
  ipc::WorkerChannel channel = Dial();
  ASSERT_EQ(Receive(channel).hello().export_uid(), "uid-1");
  const internal::WorkerStatus status = Receive(channel).status();
  EXPECT_EQ(status.state(), internal::WorkerStatus::STATE_LISTENING);
  EXPECT_TRUE(status.landlock_lacking());
}

TEST_F(WorkerMainTest, AKilledHandleKeeperEndsItAndTheLogSaysSo) {
  Start();
  ipc::WorkerChannel channel = Dial();
  ASSERT_EQ(Receive(channel).hello().export_uid(), "uid-1");
  ASSERT_EQ(Children().size(), 2u);

  ::kill(Children()[1], SIGKILL);

  EXPECT_EQ(Wait(), ipc::kWorkerHandleKeeperDied);
  EXPECT_THAT(Log(), HasSubstr("export web: the worker ends, as its handle keeper was killed by "
                               "signal 9"));
}

TEST_F(WorkerMainTest, NoDescriptorLeadsOutOfTheJail) {
  std::ofstream(directory_ + "/outside") << "secret";
  const os::UniqueFd directory(::open(directory_.c_str(), O_RDONLY | O_DIRECTORY));
  // Inherited by the worker, at a number that it is not given anything at.
  const os::UniqueFd leaked(::fcntl(directory.get(), F_DUPFD, 200));
  Start();
  ipc::WorkerChannel channel = Dial();
  ASSERT_EQ(Receive(channel).hello().export_uid(), "uid-1");

  const std::string fds = absl::StrCat("/proc/", DataPlane(), "/fd");
  for (const auto& entry : std::filesystem::directory_iterator(fds)) {
    const std::filesystem::path fd = entry.path();
    EXPECT_FALSE(std::filesystem::exists(fd / "../outside")) << fd;
    EXPECT_FALSE(std::filesystem::exists(fd / "outside")) << fd;
  }
}

TEST_F(WorkerMainTest, AKilledDataPlaneEndsItWithTheSignal) {
  Start();
  ipc::WorkerChannel channel = Dial();
  ASSERT_EQ(Receive(channel).hello().export_uid(), "uid-1");

  ::kill(DataPlane(), SIGKILL);

  EXPECT_EQ(Wait(), ipc::kWorkerKilledBySignal + SIGKILL);
  EXPECT_THAT(Log(), HasSubstr("export web: the data plane was killed by signal 9"));
}

TEST_F(WorkerMainTest, AKilledKeeperTakesTheDataPlaneWithIt) {
  Start();
  ipc::WorkerChannel channel = Dial();
  ASSERT_EQ(Receive(channel).hello().export_uid(), "uid-1");

  ::kill(worker_, SIGKILL);

  EXPECT_EQ(Wait(), 1000 + SIGKILL);
  pollfd closed{.fd = channel.fd(), .events = POLLRDHUP, .revents = 0};
  EXPECT_EQ(::poll(&closed, 1, kPatienceMs), 1);
}

// Whose data plane would outlive a keeper that is not PID 1.
class WorkerWithoutNamespacesTest
    : public WorkerMainTest,
      public ::testing::WithParamInterface<internal::ExportSpec::SandboxMode> {};

TEST_P(WorkerWithoutNamespacesTest, AKilledKeeperTakesTheDataPlaneWithIt) {
  spec_.mutable_spec()->set_sandbox_mode(GetParam());
  Start(/*flags=*/0);
  ipc::WorkerChannel channel = Dial();
  ASSERT_EQ(Receive(channel).hello().export_uid(), "uid-1") << Log();
  ASSERT_EQ(Children().size(), 1u);  // no handle keeper, which would open what is not the export's
  const os::UniqueFd data_plane(static_cast<int>(::syscall(SYS_pidfd_open, Children()[0], 0)));

  ::kill(worker_, SIGKILL);

  EXPECT_EQ(Wait(), 1000 + SIGKILL);
  pollfd ended{.fd = data_plane.get(), .events = POLLIN, .revents = 0};
  EXPECT_EQ(::poll(&ended, 1, kPatienceMs), 1);
}

TEST_P(WorkerWithoutNamespacesTest, ItIsConfinedAllTheSame) {
  spec_.mutable_spec()->set_sandbox_mode(GetParam());
  Start(/*flags=*/0);
  ipc::WorkerChannel channel = Dial();
  ASSERT_EQ(Receive(channel).hello().export_uid(), "uid-1") << Log();
  const pid_t data_plane = DataPlane();
  for (const pid_t pid : {worker_, data_plane}) {
    EXPECT_TRUE(IsFilteredInTime(pid));
    EXPECT_EQ(StatusLine(pid, "NoNewPrivs"), "1");
    EXPECT_EQ(StatusLine(pid, "CapEff"),
              pid == data_plane ? "00000000000000db" : "0000000000000000");
    EXPECT_EQ(std::filesystem::equivalent(absl::StrCat("/proc/", pid, "/root/"), share()),
              GetParam() == internal::ExportSpec::SANDBOX_CHROOT);
  }
}

INSTANTIATE_TEST_SUITE_P(Modes, WorkerWithoutNamespacesTest,
                         ::testing::Values(internal::ExportSpec::SANDBOX_CHROOT,
                                           internal::ExportSpec::SANDBOX_NONE),
                         [](const auto& info) {
                           return internal::ExportSpec::SandboxMode_Name(info.param);
                         });

TEST_F(WorkerMainTest, ItTellsTheSupervisorWhyItCannotServe) {
  ipc::WorkerChannel channel = Dial();
  Start(/*flags=*/0);
  EXPECT_EQ(Receive(channel).failure().reason(), "not the first process of a pid namespace");
  EXPECT_EQ(Wait(), ipc::kWorkerJailUnavailable);
}

TEST_F(WorkerMainTest, TheDataPlaneTellsTheSupervisorToo) {
  spec_.mutable_spec()->add_uid_translations();  // of no kind
  ipc::WorkerChannel channel = Dial();
  Start();
  EXPECT_EQ(Receive(channel).failure().reason(), "an id translation without a kind");
  EXPECT_EQ(Wait(), ipc::kWorkerSetUpFailed);
}

TEST_F(WorkerMainTest, WithoutAPidNamespaceThereIsNoJail) {
  Start(/*flags=*/0);
  EXPECT_EQ(Wait(), ipc::kWorkerJailUnavailable);
  EXPECT_THAT(Log(), HasSubstr("not the first process of a pid namespace"));
}

TEST_F(WorkerMainTest, ASpecOfAnotherVersionIsABadInvocation) {
  spec_.set_version(ipc::kProtocolVersion + 1);
  Start();
  EXPECT_EQ(Wait(), ipc::kWorkerBadInvocation);
  EXPECT_THAT(Log(), HasSubstr("the specification has version"));
}

TEST_F(WorkerMainTest, AListenerThatDoesNotListenIsABadInvocation) {
  vhost_ = os::UniqueFd(::open("/dev/null", O_RDWR | O_CLOEXEC));
  Start();
  EXPECT_EQ(Wait(), ipc::kWorkerBadInvocation);
  EXPECT_THAT(Log(), HasSubstr("fd 5 is not a listening stream socket"));
}

TEST_F(WorkerMainTest, ADirectoryThatIsAFileIsABadInvocation) {
  source_ = os::UniqueFd(::open("/dev/null", O_PATH | O_CLOEXEC));
  Start();
  EXPECT_EQ(Wait(), ipc::kWorkerBadInvocation);
  EXPECT_THAT(Log(), HasSubstr("fd 6 is not a directory opened with O_PATH"));
}

TEST_F(WorkerMainTest, CountersThatCanBeTakenAwayAreABadInvocation) {
  counters_ = os::UniqueFd(::open("/dev/null", O_RDWR | O_CLOEXEC));
  Start();
  EXPECT_EQ(Wait(), ipc::kWorkerBadInvocation);
  EXPECT_THAT(Log(), HasSubstr("fd 7 is not a memory file of fixed size"));
}

TEST_F(WorkerMainTest, CountersOfAnotherLayoutAreRefused) {
  counters_ = *os::CreateMemoryFile("counters", 4096);
  Start();
  EXPECT_EQ(Wait(), ipc::kWorkerSetUpFailed);
  EXPECT_THAT(Log(), HasSubstr("is not a counter file"));
}

}  // namespace
}  // namespace fsd::exe
