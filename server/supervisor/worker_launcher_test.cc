#include "server/supervisor/worker_launcher.h"

#include <fcntl.h>
#include <linux/capability.h>
#include <poll.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <span>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "proto/fsd/internal/worker.pb.h"
#include "server/ipc/inherited_fds.h"
#include "server/os/memory_file.h"
#include "server/os/unique_fd.h"
#include "server/os/user_namespace.h"
#include "server/supervisor/error_reason.h"

namespace fsd::supervisor {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Optional;

std::string FakeWorkerPath() {
  char cwd[4096];
  return std::string(::getcwd(cwd, sizeof cwd)) + "/server/supervisor/fake_worker";
}

os::UniqueFd SpecWithTag(const std::string& tag) {
  internal::WorkerSpec spec;
  spec.mutable_spec()->set_tag(tag);
  const std::string bytes = spec.SerializeAsString();
  return *os::CreateSealedFile("spec", std::as_bytes(std::span(bytes)));
}

os::ExitStatus WaitForEnd(const os::PidFd& process) {
  pollfd polled{.fd = process.fd(), .events = POLLIN, .revents = 0};
  ::poll(&polled, 1, 60'000);
  const auto exit = process.Reap();
  EXPECT_TRUE(exit.ok() && exit->has_value());
  return exit->value_or(os::ExitStatus{});
}

// Points our fd 1 at a memory file, for a worker to inherit.
class CapturedOutput {
 public:
  CapturedOutput() : file_(::memfd_create("output", MFD_CLOEXEC)), before_(::dup(1)) {
    ::dup2(file_.get(), 1);
  }
  ~CapturedOutput() { Restore(); }

  std::string Text() {
    Restore();
    std::string text(4096, '\0');
    text.resize(static_cast<size_t>(::pread(file_.get(), text.data(), text.size(), 0)));
    return text;
  }

 private:
  void Restore() {
    if (before_.valid()) ::dup2(before_.get(), 1);
    before_.reset();
  }

  os::UniqueFd file_;
  os::UniqueFd before_;
};

class WorkerLauncherTest : public ::testing::Test {
 protected:
  WorkerLaunch Launch(int spec) const {
    return {.binary = FakeWorkerPath(),
            .export_id = "web",
            .spec = spec,
            .control_listener = control_.get(),
            .vhost_listener = any_.get(),
            .source_directory = source_.get(),
            .counters = any_.get()};
  }

  // Out of the way of the numbers that a worker's descriptors have.
  static os::UniqueFd AnySocket() {
    const os::UniqueFd socket(::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0));
    const sockaddr address{.sa_family = AF_UNIX, .sa_data = {}};
    EXPECT_EQ(::bind(socket.get(), &address, sizeof address.sa_family), 0);  // a name of its own
    return os::UniqueFd(::fcntl(socket.get(), F_DUPFD_CLOEXEC, 100));
  }

  const os::UniqueFd control_ = AnySocket();
  const os::UniqueFd any_{::open("/dev/zero", O_RDONLY | O_CLOEXEC)};
  const os::UniqueFd source_{::open("/", O_PATH | O_DIRECTORY | O_CLOEXEC)};
};

TEST_F(WorkerLauncherTest, TheWorkerIsBornWithExactlyWhatIsDocumented) {
  // What must not be inherited: descriptors without close-on-exec, high and low, signal settings
  // and the environment.
  const os::UniqueFd leaked(::open("/dev/zero", O_RDONLY));
  const os::UniqueFd leaked_high(::fcntl(leaked.get(), F_DUPFD, 500));
  ::signal(SIGPIPE, SIG_IGN);
  ::setenv("FSD_TEST", "leaked", 1);
  sigset_t blocked, before;
  ::sigemptyset(&blocked);
  ::sigaddset(&blocked, SIGTERM);
  ::pthread_sigmask(SIG_BLOCK, &blocked, &before);
  const os::UniqueFd spec = SpecWithTag("report");
  CapturedOutput output;

  const auto worker = LaunchWorker(Launch(spec.get()));

  ASSERT_TRUE(worker.ok()) << worker.status();
  EXPECT_EQ(WaitForEnd(worker->process).code, 0);
  EXPECT_EQ(output.Text(),
            "fds: 0 1 2 3 4 5 6 7\n"
            "stdin is null: 1\n"
            "pid: 1\n"
            "session: 1\n"
            "cwd: /\n" +
                absl::StrCat("uid: ", ::getuid(), " gid: ", ::getgid(), "\n") +
                "argv: fsd-worker: web\n"
                "environment: none\n"
                "SigBlk:\t0000000000000000\n"
                "SigIgn:\t0000000000000000\n");
  ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
  ::signal(SIGPIPE, SIG_DFL);
}

TEST_F(WorkerLauncherTest, TheWorkerIsToldWhetherItsLogIsTheJournals) {
  ::setenv("JOURNAL_STREAM", "8:17", 1);
  const os::UniqueFd spec = SpecWithTag("report");
  CapturedOutput output;

  const auto worker = LaunchWorker(Launch(spec.get()));

  ::unsetenv("JOURNAL_STREAM");
  ASSERT_TRUE(worker.ok()) << worker.status();
  EXPECT_EQ(WaitForEnd(worker->process).code, 0);
  EXPECT_THAT(output.Text(), testing::HasSubstr("environment: JOURNAL_STREAM=8:17\n"));
}

TEST_F(WorkerLauncherTest, InAUserNamespaceItIsRootThereAndOurChildAllTheSame) {
  const os::UniqueFd proc(::open("/proc", O_PATH | O_CLOEXEC));
  const auto user_namespace =
      os::MakeUserNamespace({.uids = {{0, ::geteuid(), 1}}, .gids = {{0, ::getegid(), 1}}},
                            os::MapWriter::kOwner, proc.get());
  ASSERT_TRUE(user_namespace.ok()) << user_namespace.status();
  const os::UniqueFd spec = SpecWithTag("report");
  WorkerLaunch launch = Launch(spec.get());
  launch.user_namespace = user_namespace->get();
  CapturedOutput output;

  const auto worker = LaunchWorker(launch);

  ASSERT_TRUE(worker.ok()) << worker.status();
  EXPECT_GT(worker->pid, 1);
  EXPECT_EQ(WaitForEnd(worker->process).code, 0);
  EXPECT_THAT(output.Text(), AllOf(HasSubstr("fds: 0 1 2 3 4 5 6 7\n"), HasSubstr("pid: 1\n"),
                                   HasSubstr("uid: 0 gid: 0\n")));
  EXPECT_EQ(::prctl(PR_GET_DUMPABLE), 1);
  EXPECT_EQ(::waitpid(-1, nullptr, WNOHANG), -1);  // nobody in between is left
}

TEST_F(WorkerLauncherTest, WhatIsNoUserNamespaceIsSandboxUnavailable) {
  const os::UniqueFd spec = SpecWithTag("report");
  WorkerLaunch launch = Launch(spec.get());
  launch.user_namespace = any_.get();
  const auto worker = LaunchWorker(launch);
  EXPECT_THAT(ReasonOf(worker.status()), Optional(std::string("SANDBOX_UNAVAILABLE")));
  EXPECT_THAT(std::string(worker.status().message()),
              HasSubstr("enter the worker's user namespace"));
  EXPECT_EQ(::waitpid(-1, nullptr, WNOHANG), -1);
}

TEST_F(WorkerLauncherTest, WithoutAPidNamespaceItIsInOurs) {
  const os::UniqueFd spec = SpecWithTag("report");
  WorkerLaunch launch = Launch(spec.get());
  launch.pid_namespace = false;
  CapturedOutput output;

  const auto worker = LaunchWorker(launch);

  ASSERT_TRUE(worker.ok()) << worker.status();
  EXPECT_EQ(WaitForEnd(worker->process).code, 0);
  EXPECT_THAT(output.Text(),
              HasSubstr(absl::StrCat("pid: ", worker->pid, "\nsession: ", worker->pid, "\n")));
}

TEST_F(WorkerLauncherTest, ACgroupThatCannotBeJoinedIsNamed) {
  const os::UniqueFd spec = SpecWithTag("exit-3");
  WorkerLaunch launch = Launch(spec.get());
  launch.cgroup_procs = any_.get();  // cannot be written
  const auto worker = LaunchWorker(launch);
  EXPECT_THAT(ReasonOf(worker.status()), Optional(std::string("WORKER_FAILED")));
  EXPECT_THAT(std::string(worker.status().message()), HasSubstr("put the worker into its cgroup"));
  EXPECT_EQ(::waitpid(-1, nullptr, WNOHANG), -1);  // and none was started
}

TEST_F(WorkerLauncherTest, SourcesThatHaveOneAnothersNumbersArriveRight) {
  // Numbers 3 … 6 hold the four descriptors in another order than they are to have.
  const os::UniqueFd spec = SpecWithTag("exit-3");
  std::vector<os::UniqueFd> kept;
  for (int fd = 3; fd < 7; ++fd) kept.emplace_back(::fcntl(fd, F_DUPFD_CLOEXEC, 100));
  ASSERT_EQ(::dup3(spec.get(), 6, O_CLOEXEC), 6);
  ASSERT_EQ(::dup3(source_.get(), 3, O_CLOEXEC), 3);
  WorkerLaunch launch = Launch(6);
  launch.source_directory = 3;

  const auto worker = LaunchWorker(launch);

  for (int fd = 3; fd < 7; ++fd) {
    if (kept[fd - 3].valid()) ::dup3(kept[fd - 3].get(), fd, O_CLOEXEC);
  }
  ASSERT_TRUE(worker.ok()) << worker.status();
  EXPECT_EQ(WaitForEnd(worker->process).code, 3);  // it has read its tag
}

TEST_F(WorkerLauncherTest, ABinaryThatCannotRunIsReportedWithItsPathAndLeavesNoZombie) {
  const os::UniqueFd spec = SpecWithTag("exit-1");
  WorkerLaunch launch = Launch(spec.get());
  launch.binary = "/nonexistent/fsd-worker";

  const auto worker = LaunchWorker(launch);

  EXPECT_THAT(ReasonOf(worker.status()), Optional(std::string("WORKER_FAILED")));
  EXPECT_THAT(std::string(worker.status().message()),
              HasSubstr("/nonexistent/fsd-worker: No such file or directory"));
  EXPECT_EQ(::waitpid(-1, nullptr, WNOHANG), -1);
  EXPECT_EQ(errno, ECHILD);
}

TEST_F(WorkerLauncherTest, TheWorkerPutsItselfIntoItsCgroupFirst) {
  const os::UniqueFd spec = SpecWithTag("exit-3");
  // Also with a number that another descriptor is to get.
  const os::UniqueFd kept(::fcntl(4, F_DUPFD_CLOEXEC, 100));
  const os::UniqueFd procs(::memfd_create("cgroup.procs", MFD_CLOEXEC));
  ASSERT_EQ(::dup3(procs.get(), 4, O_CLOEXEC), 4);
  WorkerLaunch launch = Launch(spec.get());
  launch.cgroup_procs = 4;

  const auto worker = LaunchWorker(launch);

  kept.valid() ? ::dup3(kept.get(), 4, O_CLOEXEC) : ::close(4);
  ASSERT_TRUE(worker.ok()) << worker.status();
  EXPECT_EQ(WaitForEnd(worker->process).code, 3);
  char written[8] = {};
  EXPECT_EQ(::pread(procs.get(), written, sizeof written, 0), 1);
  EXPECT_EQ(written[0], '0');
}

TEST_F(WorkerLauncherTest, WithoutPrivilegeTheSandboxIsUnavailable) {
  const os::UniqueFd spec = SpecWithTag("exit-1");
  const pid_t child = ::fork();
  if (child == 0) {
    __user_cap_header_struct header{.version = _LINUX_CAPABILITY_VERSION_3, .pid = 0};
    const __user_cap_data_struct none[2] = {};
    if (::syscall(SYS_capset, &header, none) != 0) ::_exit(100);
    const auto worker = LaunchWorker(Launch(spec.get()));
    ::_exit(ReasonOf(worker.status()) == "SANDBOX_UNAVAILABLE" ? 0 : 1);
  }
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  EXPECT_EQ(WEXITSTATUS(status), 0);
}

}  // namespace
}  // namespace fsd::supervisor
