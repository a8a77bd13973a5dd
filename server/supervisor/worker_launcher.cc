#include "server/supervisor/worker_launcher.h"

#include <fcntl.h>
#include <sched.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <cstddef>
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

// All that the child needs, made before there is a child; and what it tells.
struct ChildPlan {
  const char* binary;
  std::array<char*, 2> arguments;
  std::array<char*, 1> environment;
  std::array<FdMove, 5> moves;
  int cgroup_procs;
  int error = 0;  // the errno that kept the child from its exec
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

[[noreturn]] void FailChild(ChildPlan& plan) {
  plan.error = errno;
  ::_exit(127);
}

// Runs in the child, which lives in the memory of a process with many threads: no allocation, no
// lock, nothing but system calls.
[[noreturn]] void BecomeWorker(ChildPlan& plan) {
  // First: the descriptor may have a number that another one is to get. 0 is whoever writes it.
  if (plan.cgroup_procs >= 0 && ::write(plan.cgroup_procs, "0", 1) != 1) FailChild(plan);
  // Out of the way first: a source may have the number that another one is to get.
  for (FdMove& move : plan.moves) {
    move.from = ::fcntl(move.from, F_DUPFD_CLOEXEC, ipc::kInheritedFdsEnd);
    if (move.from < 0) FailChild(plan);
  }
  for (const FdMove& move : plan.moves) {
    if (::dup2(move.from, move.to) < 0) FailChild(plan);
  }
  if (::syscall(SYS_close_range, ipc::kInheritedFdsEnd, ~0U, 0) != 0) FailChild(plan);
  // A terminal's Ctrl-C is for the supervisor.
  if (::setsid() < 0 || ::chdir("/") != 0) FailChild(plan);
  // The C library would keep its own two signals from us, and a parent may have had them ignored
  // too.
  constexpr KernelSigaction kDefault{};
  for (int signal = 1; signal <= kLastSignal; ++signal) {
    if (signal == SIGKILL || signal == SIGSTOP) continue;
    ::syscall(SYS_rt_sigaction, signal, &kDefault, nullptr, kKernelSigsetBytes);
  }
  sigset_t none;
  ::sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
  ::execve(plan.binary, plan.arguments.data(), plan.environment.data());
  FailChild(plan);
}

int RunChild(void* plan) { BecomeWorker(*static_cast<ChildPlan*>(plan)); }

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
                       "; run the supervisor as root (CAP_SYS_ADMIN), in a container that may make "
                       "namespaces, and see user.max_pid_namespaces"));
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

// Returns when the child runs its binary or has ended. Until then it borrows our memory, which
// copying would make the dearer the more exports there are, and this thread waits.
ErrnoOr<LaunchedWorker> Clone(ChildPlan& plan) {
  alignas(16) std::array<std::byte, size_t{32} << 10> stack;
  int pid_fd = -1;
  const SignalsBlocked blocked;
  const int pid =
      ::clone(RunChild, stack.data() + stack.size(),
              CLONE_VM | CLONE_VFORK | CLONE_PIDFD | CLONE_NEWPID | SIGCHLD, &plan, &pid_fd);
  if (pid < 0) return Errno::Last();
  return LaunchedWorker{.pid = pid, .process = os::PidFd(os::UniqueFd(pid_fd))};
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
      .cgroup_procs = launch.cgroup_procs,
  };
  auto worker = Clone(plan);
  if (!worker.ok()) return CloneError(worker.error());
  if (plan.error != 0) {
    ReapFailed(worker->process);
    return StartError(Errno(plan.error), absl::StrCat("start the worker ", launch.binary));
  }
  return *std::move(worker);
}

}  // namespace fsd::supervisor
