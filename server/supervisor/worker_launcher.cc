#include "server/supervisor/worker_launcher.h"

#include <fcntl.h>
#include <linux/close_range.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>
#include <utility>

#include "absl/strings/str_cat.h"
#include "server/errors/status_macros.h"
#include "server/ipc/inherited_fds.h"
#include "server/os/unique_fd.h"
#include "server/supervisor/error_reason.h"
#include "server/telemetry/journal.h"

namespace fsd::supervisor {
namespace {

struct FdMove {
  int from;
  int to;
};

enum class Step { kClone, kEnterUserNamespace, kBecomeRoot, kJoinCgroup, kExec };

// All that the child needs, made before there is a child; and what it tells.
struct ChildPlan {
  const char* binary_path;
  int binary;
  std::array<char*, 2> arguments;
  std::array<char*, 2> environment;
  std::array<FdMove, 6> moves;
  int control_listener;
  int user_namespace = -1;
  int cgroup_procs = -1;
  // Of the clone that makes the worker; pid and pid_fd are its results.
  int clone_flags = 0;
  std::byte* stack_end = nullptr;
  int pid = -1;
  int pid_fd = -1;
  // What kept the worker from its exec, unless 0, and where.
  int error = 0;
  Step step = Step::kExec;
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

[[noreturn]] void FailChild(ChildPlan& plan, Step step) {
  plan.error = errno;
  plan.step = step;
  ::_exit(127);
}

// In the user namespace: nothing to be done where our own ids are its 0. Raw calls, as glibc's
// would change every thread of ours.
void BecomeRoot(ChildPlan& plan) {
  // Refused where the namespace has none but our own ids: then they stay as they are.
  if (::syscall(SYS_setgroups, 0, nullptr) != 0 && errno != EPERM) {
    FailChild(plan, Step::kBecomeRoot);
  }
  if (::syscall(SYS_setresgid, 0, 0, 0) != 0 || ::syscall(SYS_setresuid, 0, 0, 0) != 0) {
    FailChild(plan, Step::kBecomeRoot);
  }
}

// Runs in the child, which lives in the memory of a process with many threads: no allocation, no
// lock, nothing but system calls.
[[noreturn]] void BecomeWorker(ChildPlan& plan) {
  if (plan.cgroup_procs >= 0 && ::write(plan.cgroup_procs, "0", 1) != 1) {
    FailChild(plan, Step::kJoinCgroup);
  }
  if (plan.user_namespace >= 0) BecomeRoot(plan);
  // It listens already; now those who dial, as a supervisor that is to adopt the worker, are told
  // by SO_PEERCRED that it is this process that does.
  if (::listen(plan.control_listener, SOMAXCONN) != 0) FailChild(plan, Step::kExec);
  // Out of the way first: a source may have the number that another one is to get.
  for (FdMove& move : plan.moves) {
    move.from = ::fcntl(move.from, F_DUPFD_CLOEXEC, ipc::kInheritedFdsEnd);
    if (move.from < 0) FailChild(plan, Step::kExec);
  }
  const int binary = ::fcntl(plan.binary, F_DUPFD_CLOEXEC, ipc::kInheritedFdsEnd);
  if (binary < 0) FailChild(plan, Step::kExec);
  for (const FdMove& move : plan.moves) {
    if (::dup2(move.from, move.to) < 0) FailChild(plan, Step::kExec);
  }
  if (::syscall(SYS_close_range, ipc::kInheritedFdsEnd, ~0U, CLOSE_RANGE_CLOEXEC) != 0) {
    FailChild(plan, Step::kExec);
  }
  // A terminal's Ctrl-C is for the supervisor.
  if (::setsid() < 0 || ::chdir("/") != 0) FailChild(plan, Step::kExec);
  // The C library would keep its own two signals from us, and a parent may have had them ignored
  // too.
  constexpr KernelSigaction kDefault{};
  for (int signal = 1; signal <= kLastSignal; ++signal) {
    if (signal == SIGKILL || signal == SIGSTOP) continue;
    ::syscall(SYS_rt_sigaction, signal, &kDefault, nullptr, kKernelSigsetBytes);
  }
  constexpr uint64_t kNoSignals = 0;
  ::syscall(SYS_rt_sigprocmask, SIG_SETMASK, &kNoSignals, nullptr, kKernelSigsetBytes);
  // By its descriptor: whom it runs as need not be able to search the directories above it.
  ::syscall(SYS_execveat, binary, "", plan.arguments.data(), plan.environment.data(),
            AT_EMPTY_PATH);
  FailChild(plan, Step::kExec);
}

int RunChild(void* plan) { BecomeWorker(*static_cast<ChildPlan*>(plan)); }

void CloneWorker(ChildPlan& plan, int more_flags) {
  plan.pid = ::clone(RunChild, plan.stack_end, plan.clone_flags | more_flags, &plan, &plan.pid_fd);
  if (plan.pid >= 0) return;
  plan.error = errno;
  plan.step = Step::kClone;
}

// Only a process with one thread may enter a user namespace, so one in between does, which makes
// the worker our child and not its own. It shares our table of descriptors: the pidfd is in ours.
int GoBetween(void* argument) {
  ChildPlan& plan = *static_cast<ChildPlan*>(argument);
  if (::setns(plan.user_namespace, CLONE_NEWUSER) != 0) {
    FailChild(plan, Step::kEnterUserNamespace);
  }
  CloneWorker(plan, CLONE_PARENT);
  ::_exit(0);
}

absl::Status SandboxUnavailable(Errno error, std::string_view what, std::string_view advice) {
  return ReasonedError(
      absl::StatusCode::kFailedPrecondition, ErrorReason::kSandboxUnavailable,
      absl::StrCat(ErrnoStatus(error, what).message(), absl::string_view("; "), Absl(advice)));
}

absl::Status WorkerFailed(absl::StatusCode code, Errno error, std::string_view what) {
  return ReasonedError(code, ErrorReason::kWorkerFailed,
                       std::string(ErrnoStatus(error, what).message()));
}

absl::Status CloneError(Errno error) {
  switch (error.value()) {
    case EPERM:
    case EINVAL:
    case ENOSYS:
    case ENOSPC:
    case EUSERS:
      return SandboxUnavailable(
          error, "a worker needs a pid namespace of its own",
          "let the supervisor make namespaces (as root with CAP_SYS_ADMIN, or in a container that "
          "allows it; see user.max_pid_namespaces), or ask for sandbox mode CHROOT or NONE");
    default:
      return WorkerFailed(absl::StatusCode::kResourceExhausted, error, "clone a worker");
  }
}

absl::Status LaunchError(const ChildPlan& plan) {
  const Errno error(plan.error);
  switch (plan.step) {
    case Step::kClone:
      return CloneError(error);
    case Step::kEnterUserNamespace:
      return SandboxUnavailable(error, "enter the worker's user namespace",
                                "see user.max_user_namespaces and what the host's security module "
                                "says about user namespaces");
    case Step::kBecomeRoot:
      return SandboxUnavailable(error, "become 0 in the worker's user namespace",
                                "its maps of users and of groups must both have a 0 inside");
    case Step::kJoinCgroup:
      return WorkerFailed(absl::StatusCode::kInternal, error, "put the worker into its cgroup");
    case Step::kExec:
      break;
  }
  return WorkerFailed(absl::StatusCode::kInternal, error,
                      absl::StrCat("start the worker ", plan.binary_path));
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

using Stack = std::array<std::byte, size_t{32} << 10>;

// A child that becomes another user in our memory has us count as a program that is not to be
// dumped or looked into.
class DumpableKept {
 public:
  ~DumpableKept() {
    if (before_ == 1) ::prctl(PR_SET_DUMPABLE, 1, 0, 0, 0);
  }

 private:
  const int before_ = ::prctl(PR_GET_DUMPABLE, 0, 0, 0, 0);
};

void Reap(pid_t pid) {
  siginfo_t info;
  while (::waitid(P_PID, static_cast<id_t>(pid), &info, WEXITED) != 0 && errno == EINTR) {
  }
}

// Returns when the child runs its binary or has ended. Until then it borrows our memory, which
// copying would make the dearer the more exports there are, and this thread waits.
void Clone(ChildPlan& plan) {
  alignas(16) Stack stack;
  plan.stack_end = stack.data() + stack.size();
  const SignalsBlocked blocked;
  if (plan.user_namespace < 0) return CloneWorker(plan, 0);
  alignas(16) Stack stack_between;
  const DumpableKept dumpable;
  const int between = ::clone(GoBetween, stack_between.data() + stack_between.size(),
                              CLONE_VM | CLONE_VFORK | CLONE_FILES | SIGCHLD, &plan);
  if (between >= 0) return Reap(between);
  plan.error = errno;
  plan.step = Step::kClone;
}

}  // namespace

std::string WorkerTitle(std::string_view export_id) {
  return absl::StrCat("fsd-worker: ", Absl(export_id));
}

absl::StatusOr<LaunchedWorker> LaunchWorker(const WorkerLaunch& launch) {
  const os::UniqueFd null(::open("/dev/null", O_RDWR | O_CLOEXEC));
  if (!null.valid()) {
    return WorkerFailed(absl::StatusCode::kInternal, Errno::Last(), "open /dev/null");
  }
  const os::UniqueFd binary(::open(launch.binary.c_str(), O_PATH | O_CLOEXEC));
  if (!binary.valid()) {
    return WorkerFailed(absl::StatusCode::kInternal, Errno::Last(),
                        absl::StrCat("start the worker ", launch.binary));
  }
  std::string title = WorkerTitle(launch.export_id);
  // All that it is told of where it was started: its stderr is ours.
  std::string journal_stream;
  if (const char* const stream = std::getenv(telemetry::kJournalStream)) {
    journal_stream = absl::StrCat(telemetry::kJournalStream, "=", stream);
  }
  ChildPlan plan{
      .binary_path = launch.binary.c_str(),
      .binary = binary.get(),
      .arguments = {title.data(), nullptr},
      .environment = {journal_stream.empty() ? nullptr : journal_stream.data(), nullptr},
      .moves = {{{null.get(), STDIN_FILENO},
                 {launch.spec, ipc::kWorkerSpecFd},
                 {launch.control_listener, ipc::kControlListenerFd},
                 {launch.vhost_listener, ipc::kVhostListenerFd},
                 {launch.source_directory, ipc::kSourceDirectoryFd},
                 {launch.counters, ipc::kCountersFd}}},
      .control_listener = launch.control_listener,
      .user_namespace = launch.user_namespace,
      .cgroup_procs = launch.cgroup_procs,
      .clone_flags = CLONE_VM | CLONE_VFORK | CLONE_PIDFD | SIGCHLD |
                     (launch.pid_namespace ? CLONE_NEWPID : 0),
  };
  Clone(plan);
  if (plan.error == 0 && plan.pid < 0) {  // the one in between was killed
    plan.error = ECHILD;
    plan.step = Step::kClone;
  }
  os::PidFd process{os::UniqueFd(plan.pid_fd)};
  if (plan.error == 0) return LaunchedWorker{.pid = plan.pid, .process = std::move(process)};
  if (plan.pid > 0) Reap(plan.pid);
  return LaunchError(plan);
}

}  // namespace fsd::supervisor
