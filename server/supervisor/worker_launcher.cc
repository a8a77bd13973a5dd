#include "server/supervisor/worker_launcher.h"

#include <fcntl.h>
#include <linux/sched.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <cstdint>
#include <utility>

#include "absl/strings/str_cat.h"
#include "server/errors/status_macros.h"
#include "server/ipc/inherited_fds.h"
#include "server/os/unique_fd.h"
#include "server/supervisor/error_reason.h"

namespace fsd::supervisor {
namespace {

struct FdMove {
  int from;
  int to;
};

// All that the child needs, made before there is a child.
struct ChildPlan {
  const char* binary;
  std::array<char*, 2> arguments;
  std::array<char*, 1> environment;
  std::array<FdMove, 5> moves;
  int failure_pipe;  // close-on-exec: its end tells the parent that the binary runs
};

// The kernel's struct sigaction (rt_sigaction(2)); all zero is SIG_DFL.
struct KernelSigaction {
  uintptr_t handler;
  unsigned long flags;
  uintptr_t restorer;
  uint64_t mask;
};
constexpr int kLastSignal = 64;
constexpr size_t kKernelSigsetBytes = 8;

[[noreturn]] void FailChild(int failure_pipe) {
  const int error = errno;
  [[maybe_unused]] const ssize_t written = ::write(failure_pipe, &error, sizeof error);
  ::_exit(127);
}

// Runs in the child, which is a copy of one thread of a process with many: no allocation, no lock,
// nothing but system calls.
[[noreturn]] void BecomeWorker(ChildPlan& plan) {
  // Out of the way first: a source may have the number that another one is to get.
  const int failure_pipe = ::fcntl(plan.failure_pipe, F_DUPFD_CLOEXEC, ipc::kInheritedFdsEnd);
  if (failure_pipe < 0) FailChild(plan.failure_pipe);
  for (FdMove& move : plan.moves) {
    move.from = ::fcntl(move.from, F_DUPFD_CLOEXEC, ipc::kInheritedFdsEnd);
    if (move.from < 0) FailChild(failure_pipe);
  }
  for (const FdMove& move : plan.moves) {
    if (::dup2(move.from, move.to) < 0) FailChild(failure_pipe);
  }
  // At the exec, not now: the failure pipe is needed until then.
  if (::syscall(SYS_close_range, ipc::kInheritedFdsEnd, ~0U, CLOSE_RANGE_CLOEXEC) != 0) {
    FailChild(failure_pipe);
  }
  // A terminal's Ctrl-C is for the supervisor.
  if (::setsid() < 0 || ::chdir("/") != 0) FailChild(failure_pipe);
  // CLONE_CLEAR_SIGHAND leaves what is ignored ignored. The C library would keep its own two
  // signals from us, and a parent may have had them ignored too.
  constexpr KernelSigaction kDefault{};
  for (int signal = 1; signal <= kLastSignal; ++signal) {
    if (signal == SIGKILL || signal == SIGSTOP) continue;
    ::syscall(SYS_rt_sigaction, signal, &kDefault, nullptr, kKernelSigsetBytes);
  }
  sigset_t none;
  ::sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
  ::execve(plan.binary, plan.arguments.data(), plan.environment.data());
  FailChild(failure_pipe);
}

absl::Status CloneError(Errno error) {
  switch (error.value()) {
    case EPERM:
    case EINVAL:
    case ENOSYS:
    case ENOSPC:
    case EUSERS:
      return ReasonedError(
          absl::StatusCode::kFailedPrecondition, ErrorReason::kSandboxUnavailable,
          absl::StrCat(ErrnoStatus(error, "a worker needs a pid namespace of its own").message(),
                       "; run the supervisor as root (CAP_SYS_ADMIN), in a container with clone3 "
                       "allowed, and see user.max_pid_namespaces"));
    default:
      return ReasonedError(absl::StatusCode::kResourceExhausted, ErrorReason::kWorkerFailed,
                           std::string(ErrnoStatus(error, "clone a worker").message()));
  }
}

absl::Status StartError(Errno error, std::string_view what) {
  return ReasonedError(absl::StatusCode::kInternal, ErrorReason::kWorkerFailed,
                       std::string(ErrnoStatus(error, what).message()));
}

// Blocks every signal while it lives, so that no handler of ours runs in the child.
class SignalsBlocked {
 public:
  SignalsBlocked() {
    sigset_t all;
    ::sigfillset(&all);
    ::pthread_sigmask(SIG_SETMASK, &all, &before_);
  }
  ~SignalsBlocked() { ::pthread_sigmask(SIG_SETMASK, &before_, nullptr); }
  SignalsBlocked(const SignalsBlocked&) = delete;
  SignalsBlocked& operator=(const SignalsBlocked&) = delete;

 private:
  sigset_t before_;
};

ErrnoOr<LaunchedWorker> Clone(ChildPlan& plan) {
  int pid_fd = -1;
  clone_args arguments{};
  arguments.flags = CLONE_PIDFD | CLONE_NEWPID | CLONE_CLEAR_SIGHAND;
  arguments.pidfd = reinterpret_cast<uintptr_t>(&pid_fd);
  arguments.exit_signal = SIGCHLD;
  const SignalsBlocked blocked;
  const long pid = ::syscall(SYS_clone3, &arguments, sizeof arguments);
  if (pid < 0) return Errno::Last();
  if (pid == 0) BecomeWorker(plan);
  return LaunchedWorker{.pid = static_cast<pid_t>(pid), .process = os::PidFd(os::UniqueFd(pid_fd))};
}

// The errno that kept the child from its exec; 0 if it runs.
int WaitForExec(int failure_pipe) {
  int error = 0;
  ssize_t got;
  do {
    got = ::read(failure_pipe, &error, sizeof error);
  } while (got < 0 && errno == EINTR);
  return got == sizeof error ? error : 0;
}

void ReapFailed(const os::PidFd& process) {
  siginfo_t info;
  while (::waitid(P_PIDFD, static_cast<id_t>(process.fd()), &info, WEXITED) != 0 &&
         errno == EINTR) {
  }
}

}  // namespace

absl::StatusOr<LaunchedWorker> LaunchWorker(const WorkerLaunch& launch) {
  const os::UniqueFd null(::open("/dev/null", O_RDWR | O_CLOEXEC));
  if (!null.valid()) return StartError(Errno::Last(), "open /dev/null");
  int pipe_fds[2];
  if (::pipe2(pipe_fds, O_CLOEXEC) != 0) return StartError(Errno::Last(), "make a pipe");
  const os::UniqueFd pipe_read(pipe_fds[0]);
  os::UniqueFd pipe_write(pipe_fds[1]);

  std::string title = absl::StrCat("fsd-worker: ", launch.export_id);
  ChildPlan plan{
      .binary = launch.binary.c_str(),
      .arguments = {title.data(), nullptr},
      .environment = {nullptr},
      .moves = {{{null.get(), STDIN_FILENO},
                 {launch.spec, ipc::kWorkerSpecFd},
                 {launch.control_listener, ipc::kControlListenerFd},
                 {launch.vhost_listener, ipc::kVhostListenerFd},
                 {launch.source_directory, ipc::kSourceDirectoryFd}}},
      .failure_pipe = pipe_write.get(),
  };
  auto worker = Clone(plan);
  if (!worker.ok()) return CloneError(worker.error());
  pipe_write.reset();
  if (const int error = WaitForExec(pipe_read.get()); error != 0) {
    ReapFailed(worker->process);
    return StartError(Errno(error), absl::StrCat("start the worker ", launch.binary));
  }
  return *std::move(worker);
}

}  // namespace fsd::supervisor
