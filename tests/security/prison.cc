#include "tests/security/prison.h"

#include <fcntl.h>
#include <net/if.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <climits>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <optional>
#include <string_view>

#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "server/errors/check.h"
#include "server/errors/status_macros.h"
#include "server/os/unique_fd.h"
#include "server/sandbox/capabilities.h"
#include "server/sandbox/landlock.h"
#include "server/sandbox/mount_jail.h"
#include "server/sandbox/resource_limits.h"
#include "server/sandbox/worker_capabilities.h"
#include "server/worker/handle_keeper.h"
#include "server/worker/keeper.h"

namespace fsd::security {
namespace {

using sandbox::Jail;
using sandbox::Process;

constexpr int kOtherNamespaces = CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS | CLONE_NEWCGROUP;
// An attempt that waits forever ends with SIGALRM.
constexpr unsigned kPatienceSeconds = 60;

// A mount namespace of this process's own. `propagation`: MS_SLAVE if mounts that the one before
// shares are to appear in it, or MS_PRIVATE.
void UnshareMounts(unsigned long propagation) {
  FSD_CHECK(::unshare(CLONE_NEWNS) == 0);
  FSD_CHECK(::mount("", "/", nullptr, MS_REC | propagation, "") == 0);
}

void BringLoopbackUp() {
  const os::UniqueFd socket(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  ifreq request{};
  std::strncpy(request.ifr_name, "lo", IFNAMSIZ - 1);
  request.ifr_flags = IFF_UP;
  FSD_CHECK(::ioctl(socket.get(), SIOCSIFFLAGS, &request) == 0);
}

std::string ReadAll(int fd) {
  std::string text;
  char buffer[4096];
  for (ssize_t got; (got = ::read(fd, buffer, sizeof buffer)) > 0;) {
    text.append(buffer, static_cast<size_t>(got));
  }
  return text;
}

void WriteAll(int fd, std::string_view text) {
  FSD_CHECK(::write(fd, text.data(), text.size()) == static_cast<ssize_t>(text.size()));
}

void CloseAllBut(std::vector<int> kept) {
  std::sort(kept.begin(), kept.end());
  unsigned first = STDERR_FILENO + 1;
  for (const int fd : kept) {
    const auto number = static_cast<unsigned>(fd);
    if (number > first) FSD_CHECK(::close_range(first, number - 1, 0) == 0);
    first = std::max(first, number + 1);
  }
  FSD_CHECK(::close_range(first, UINT_MAX, 0) == 0);
}

// sandbox::Enter with the steps of some walls only.
absl::StatusOr<Jail> EnterPart(Walls standing, os::UniqueFd source) {
  Jail jail;
  os::UniqueFd tree;
  if ((standing & kMounts) != 0) {
    FSD_RETURN_IF_ERROR(sandbox::StepInto(std::move(source)));
    FSD_CHECK(::unshare(CLONE_NEWNS) == 0);
    FSD_ASSIGN_OR_RETURN(tree, sandbox::CloneTree());
  }
  if ((standing & kNamespaces) != 0) FSD_CHECK(::unshare(kOtherNamespaces) == 0);
  FSD_ASSIGN_OR_RETURN(
      jail.proc, sandbox::MountProc((standing & kMounts) != 0 ? sandbox::ProcAccess::kReadOnly
                                                              : sandbox::ProcAccess::kWritable));
  if ((standing & kMounts) != 0) {
    FSD_ASSIGN_OR_RETURN(jail.root, sandbox::PivotInto(std::move(tree), false));
  } else {
    jail.root = std::move(source);
  }
  const bool closed = (standing & kClosedProcess) != 0;
  if (closed) FSD_RETURN_IF_ERROR(sandbox::PreventCoreFiles());
  if ((standing & kCapabilities) != 0) {
    jail.capabilities = sandbox::DataPlaneCapabilities({.xattr = true});
    jail.handle_keeper_capabilities = sandbox::HandleKeeperCapabilities(false, jail.capabilities);
    FSD_RETURN_IF_ERROR(
        sandbox::DropCapabilities(jail.capabilities | jail.handle_keeper_capabilities));
  }
  // Changed capabilities make a process untraceable too.
  FSD_CHECK(::prctl(PR_SET_DUMPABLE, closed ? 0 : 1, 0, 0, 0) == 0);
  ::umask(0);
  return jail;
}

sandbox::Mode ModeOf(Walls standing) {
  if ((standing & kEveryWallOfChroot) != 0) return sandbox::Mode::kChroot;
  if ((standing & kEveryWallOfNone) != 0) return sandbox::Mode::kNone;
  return sandbox::Mode::kNamespace;
}

// Whether one of `walls` stands.
bool Has(Walls standing, Walls walls) { return IsWholeJail(standing) || (standing & walls) != 0; }

absl::StatusOr<Jail> EnterJail(Walls standing, os::UniqueFd source) {
  if (!IsWholeJail(standing)) return EnterPart(standing, std::move(source));
  return sandbox::Enter({.mode = ModeOf(standing),
                         .source_directory = std::move(source),
                         .has_device_wall = (standing & kDeviceWall) != 0,
                         .host_handles = true,
                         .xattr = true});
}

os::UniqueFd CopyOf(const os::UniqueFd& fd) {
  return os::UniqueFd(::fcntl(fd.get(), F_DUPFD_CLOEXEC, 0));
}

Jail CopyOf(const Jail& jail) {
  return {.mode = jail.mode,
          .root = CopyOf(jail.root),
          .proc = CopyOf(jail.proc),
          .host_handles = jail.host_handles,
          .devices_refused = jail.devices_refused,
          .capabilities = jail.capabilities,
          .handle_keeper_capabilities = jail.handle_keeper_capabilities};
}

// The process that the attempts are made from, in place of a worker's first.
class Keeper {
 public:
  Keeper(Walls standing, Process process, Jail jail)
      : standing_(standing), process_(process), jail_(std::move(jail)) {}

  absl::Status SetUp() {
    FSD_ASSIGN_OR_RETURN(filter_, sandbox::CompileSeccompFilter(process_));
    if (jail_.host_handles) FSD_RETURN_IF_ERROR(StartHandleKeeper());
    // What it is to be confined as needs what the keeper gives up.
    const bool needs_more =
        process_ == Process::kHandleKeeper || jail_.mode == sandbox::Mode::kChroot;
    if (!Has(standing_, kCapabilities) || needs_more) return absl::OkStatus();
    // What it forks is not to have more; a worker's keeper has none, but forks nothing either.
    return sandbox::ReduceCapabilities(Process::kDataPlane, jail_);
  }

  std::string OutcomeOf(const Attempt& attempt) {
    int report[2];
    FSD_CHECK(::pipe2(report, O_CLOEXEC) == 0);
    const auto inmate = worker::ForkDataPlane([&] { return Make(attempt, report[1]); });
    FSD_CHECK(inmate.ok());
    int status = 0;
    FSD_CHECK(::waitpid(*inmate, &status, 0) == *inmate);
    ::close(report[1]);
    // Without waiting for its end: the descriptors are shared, and a copy of it may be left.
    FSD_CHECK(::fcntl(report[0], F_SETFL, O_NONBLOCK) == 0);
    std::string outcome = ReadAll(report[0]);
    ::close(report[0]);
    if (WIFSIGNALED(status)) return absl::StrCat("SIG", ::sigabbrev_np(WTERMSIG(status)));
    if (WEXITSTATUS(status) != 0) absl::StrAppend(&outcome, "exit ", WEXITSTATUS(status));
    return outcome;
  }

 private:
  absl::Status StartHandleKeeper() {
    FSD_ASSIGN_OR_RETURN(const sandbox::SeccompFilter filter,
                         sandbox::CompileSeccompFilter(Process::kHandleKeeper));
    int sockets[2];
    FSD_CHECK(::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sockets) == 0);
    handle_socket_ = os::UniqueFd(sockets[0]);
    const auto forked = worker::ForkHandleKeeper(sockets[1], [&](int socket) {
      const auto keeper = worker::HandleKeeper::Create(/*read_only=*/false);
      if (!keeper.ok() || !sandbox::Confine(Process::kHandleKeeper, jail_, filter).ok()) {
        return 1;
      }
      return keeper->Serve(socket).ok() ? 0 : 1;
    });
    ::close(sockets[1]);
    return forked.status();
  }

  // In the attempt's own process, as a worker's data plane or the other two do it.
  absl::StatusOr<os::UniqueFd> ConfineInmate(Jail& jail) {
    if (IsWholeJail(standing_) && process_ == Process::kDataPlane) {
      FSD_ASSIGN_OR_RETURN(sandbox::DataPlaneConfinement confinement,
                           sandbox::ConfineDataPlane(jail, /*read_only=*/false));
      return std::move(confinement.proc_self_fd);
    }
    FSD_ASSIGN_OR_RETURN(os::UniqueFd proc_self_fd, sandbox::TakeProcSelfFd(jail));
    if (Has(standing_, kCapabilities)) {
      FSD_RETURN_IF_ERROR(sandbox::ReduceCapabilities(process_, jail));
    }
    if (Has(standing_, kLandlock) && process_ == Process::kDataPlane) {
      FSD_RETURN_IF_ERROR(sandbox::ConfineToTree(jail.root.get(), /*read_only=*/false).status());
    }
    return proc_self_fd;
  }

  int Make(const Attempt& attempt, int report) {
    // Descriptors are shared with the keeper, and its own are for the next attempt too.
    Jail jail = CopyOf(jail_);
    const absl::StatusOr<os::UniqueFd> proc_self_fd = ConfineInmate(jail);
    if (!proc_self_fd.ok()) return 100;
    const os::UniqueFd proc(::openat(proc_self_fd->get(), "../..", O_PATH | O_CLOEXEC));
    const Inmate inmate{.root = jail.root.get(),
                        .proc_self_fd = proc_self_fd->get(),
                        .proc = proc.get(),
                        .keeper = ::getppid(),
                        .handle_keeper = handle_socket_.get(),
                        .report = report};
    ::alarm(kPatienceSeconds);
    if (Has(standing_, kSystemCalls) && !filter_->Install().ok()) return 101;
    WriteAll(report, attempt(inmate));
    return 0;
  }

  const Walls standing_;
  const Process process_;
  const Jail jail_;
  absl::StatusOr<sandbox::SeccompFilter> filter_ = absl::UnknownError("not compiled");
  os::UniqueFd handle_socket_;
};

// Writes the outcomes to `results`, each with a line's end.
void RunKeeper(Walls standing, Process process, const std::vector<Attempt>& attempts,
               const std::string& export_path, int results) {
  UnshareMounts(MS_SLAVE);
  auto jail = EnterJail(standing, os::UniqueFd(::open(export_path.c_str(), O_PATH | O_CLOEXEC)));
  if (!jail.ok()) return WriteAll(results, absl::StrCat(jail.status().message(), "\n"));
  Keeper keeper(standing, process, *std::move(jail));
  if (const absl::Status status = keeper.SetUp(); !status.ok()) {
    return WriteAll(results, absl::StrCat(status.message(), "\n"));
  }
  for (const Attempt& attempt : attempts) {
    WriteAll(results, absl::StrCat(keeper.OutcomeOf(attempt), "\n"));
  }
}

}  // namespace

std::string Outcome(long result) { return result >= 0 ? "done" : ::strerrorname_np(errno); }

std::string Contents(int fd) { return fd < 0 ? ::strerrorname_np(errno) : ReadAll(fd); }

Prison::Prison() {
  UnshareMounts(MS_PRIVATE);
  FSD_CHECK(::unshare(kOtherNamespaces) == 0);
  BringLoopbackUp();
  char path[] = "/tmp/fsd-prison-XXXXXX";
  FSD_CHECK(::mkdtemp(path) != nullptr);
  // Whatever it becomes, an attempt may pass here.
  FSD_CHECK(::chmod(path, 0755) == 0);
  directory_ = path;
  std::filesystem::create_directories(outside_path() + "/mountpoint");
  std::ofstream(outside_path() + "/secret") << "secret";
  std::filesystem::create_directories(export_path() + "/sub");
  std::ofstream(export_path() + "/file") << "file";
  std::ofstream(export_path() + "/sub/secret") << "inside";
}

Prison::~Prison() {
  std::error_code ignored;
  std::filesystem::remove_all(directory_, ignored);
}

std::vector<std::string> Prison::Run(Walls standing, const std::vector<Attempt>& attempts,
                                     Process process) {
  int results[2];
  FSD_CHECK(::pipe2(results, O_CLOEXEC) == 0);
  const int flags = ((standing & kPids) != 0 ? CLONE_NEWPID : 0) | SIGCHLD;
  const long keeper = ::syscall(SYS_clone, flags, nullptr, nullptr, nullptr, 0);
  FSD_CHECK(keeper >= 0);
  if (keeper == 0) {
    if ((standing & kDeviceWall) != 0) FSD_CHECK(::write(cgroup_procs_, "0", 1) == 1);
    std::vector<int> kept = let_in_;
    kept.push_back(results[1]);
    CloseAllBut(std::move(kept));
    RunKeeper(standing, process, attempts, export_path(), results[1]);
    ::_exit(0);
  }
  ::close(results[1]);
  const std::string text = ReadAll(results[0]);
  ::close(results[0]);
  int status = 0;
  FSD_CHECK(::waitpid(static_cast<pid_t>(keeper), &status, 0) == keeper);
  std::vector<std::string> outcomes = absl::StrSplit(text, '\n');
  outcomes.pop_back();
  outcomes.resize(attempts.size(), absl::StrCat("no outcome [keeper's wait status ", status, "]"));
  return outcomes;
}

}  // namespace fsd::security
