#include "server/os/pid_fd.h"

#include <linux/ioctl.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdint>
#include <cstring>

namespace fsd::os {
namespace {

// <linux/pidfd.h> of Linux 6.15, which is newer than the headers that there may be.
struct PidFdInfo {
  uint64_t mask;
  uint64_t cgroup_id;
  uint32_t ids[11];
  int32_t exit_code;
};
static_assert(sizeof(PidFdInfo) == 64);
constexpr uint64_t kInfoExit = uint64_t{1} << 3;
constexpr unsigned long kGetInfo = _IOWR(0xFF, 11, PidFdInfo);

}  // namespace

ErrnoOr<PidFd> PidFd::Open(pid_t pid) {
  UniqueFd fd(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0)));
  if (!fd.valid()) return Errno::Last();
  return PidFd(std::move(fd));
}

std::string ExitStatus::Describe() const {
  if (!signaled) return "exited with status " + std::to_string(code);
  const char* name = ::sigdescr_np(code);
  return "killed by signal " + std::to_string(code) + " (" + (name ? name : "unknown") + ")";
}

ErrnoOr<void> PidFd::SendSignal(int signal) const {
  if (::syscall(SYS_pidfd_send_signal, fd_.get(), signal, nullptr, 0) != 0) return Errno::Last();
  return {};
}

ErrnoOr<std::optional<ExitStatus>> PidFd::Reap() const {
  siginfo_t info{};
  if (::waitid(P_PIDFD, static_cast<id_t>(fd_.get()), &info, WEXITED | WNOHANG) != 0) {
    return Errno::Last();
  }
  if (info.si_pid == 0) return std::optional<ExitStatus>();
  return std::optional<ExitStatus>(
      ExitStatus{.signaled = info.si_code != CLD_EXITED, .code = info.si_status});
}

ErrnoOr<std::optional<ExitStatus>> PidFd::Exit() const {
  PidFdInfo info{};
  info.mask = kInfoExit;
  if (::ioctl(fd_.get(), kGetInfo, &info) != 0) return Errno::Last();
  if ((info.mask & kInfoExit) == 0) return std::optional<ExitStatus>();
  const int signal = WTERMSIG(info.exit_code);
  return std::optional<ExitStatus>(ExitStatus{
      .signaled = signal != 0, .code = signal != 0 ? signal : WEXITSTATUS(info.exit_code)});
}

}  // namespace fsd::os
