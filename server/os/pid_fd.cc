#include "server/os/pid_fd.h"

#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstring>

namespace fsd::os {

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

}  // namespace fsd::os
