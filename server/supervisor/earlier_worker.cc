#include "server/supervisor/earlier_worker.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <string_view>
#include <utility>

#include "absl/strings/str_cat.h"
#include "server/errors/errno_or.h"
#include "server/errors/status_macros.h"
#include "server/os/pid_fd.h"
#include "server/os/unique_fd.h"
#include "server/os/unix_socket.h"

namespace fsd::supervisor {
namespace {

// The first argument of a process, which the launcher has given to a worker; empty if there is
// none.
std::string TitleOf(pid_t pid) {
  const os::UniqueFd file(
      ::open(absl::StrCat("/proc/", pid, "/cmdline").c_str(), O_RDONLY | O_CLOEXEC));
  char text[256];
  const ssize_t size = file.valid() ? ::read(file.get(), text, sizeof text) : 0;
  const std::string_view all(text, size < 0 ? 0 : static_cast<size_t>(size));
  return std::string(all.substr(0, all.find('\0')));
}

}  // namespace

absl::StatusOr<std::optional<EarlierWorker>> FindEarlierWorker(const std::string& control_path,
                                                               const std::string& export_id) {
  auto dialled = os::ConnectUnix(control_path, os::SocketType::kSeqPacket);
  if (!dialled.ok()) {
    if (dialled.error() == Errno(ENOENT) || dialled.error() == Errno(ECONNREFUSED)) {
      return std::optional<EarlierWorker>();
    }
    return absl::UnavailableError(ErrnoStatus(dialled.error(), "dial it").message());
  }
  const auto peer = os::GetPeerCredentials(dialled->get());
  if (!peer.ok()) return absl::UnavailableError("its process is not known");
  auto process = os::PidFd::Open(peer->pid);
  if (!process.ok()) {
    return absl::UnavailableError(
        absl::StrCat("who made it listen, process ", peer->pid, ", has ended"));
  }
  // By now the number may be another process's. That one is not to be killed for a worker: it says
  // itself who it is, and is asked while the pidfd's process surely has the number.
  const std::string title = TitleOf(peer->pid);
  if (title != WorkerTitle(export_id) || !process->SendSignal(0).ok()) {
    return absl::UnavailableError(
        absl::StrCat("process ", peer->pid, " is not known to be this export's worker"));
  }
  return std::optional(EarlierWorker{.worker = {.pid = peer->pid, .process = *std::move(process)},
                                     .channel = ipc::WorkerChannel(*std::move(dialled))});
}

}  // namespace fsd::supervisor
