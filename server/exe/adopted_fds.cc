#include "server/exe/adopted_fds.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <string_view>

#include "absl/strings/str_cat.h"
#include "server/errors/status_macros.h"
#include "server/ipc/inherited_fds.h"

namespace fsd::exe {
namespace {

bool IsSealedFile(int fd) {
  constexpr int kUnchangeable = F_SEAL_WRITE | F_SEAL_GROW | F_SEAL_SHRINK;
  const int seals = ::fcntl(fd, F_GET_SEALS);
  return seals >= 0 && (seals & kUnchangeable) == kUnchangeable;
}

bool IsFixedFile(int fd) {
  constexpr int kFixed = F_SEAL_GROW | F_SEAL_SHRINK;
  const int seals = ::fcntl(fd, F_GET_SEALS);
  return seals >= 0 && (seals & (kFixed | F_SEAL_WRITE)) == kFixed;
}

int SocketOption(int fd, int option) {
  int value = -1;
  socklen_t size = sizeof value;
  return ::getsockopt(fd, SOL_SOCKET, option, &value, &size) == 0 ? value : -1;
}

bool IsListening(int fd, int type) {
  return SocketOption(fd, SO_DOMAIN) == AF_UNIX && SocketOption(fd, SO_TYPE) == type &&
         SocketOption(fd, SO_ACCEPTCONN) == 1;
}

bool IsPathOfDirectory(int fd) {
  struct stat info;
  const int flags = ::fcntl(fd, F_GETFL);
  return flags >= 0 && (flags & O_PATH) != 0 && ::fstat(fd, &info) == 0 && S_ISDIR(info.st_mode);
}

absl::StatusOr<os::UniqueFd> Adopt(int fd, bool as_it_should_be, std::string_view what) {
  if (!as_it_should_be) {
    return absl::FailedPreconditionError(absl::StrCat("fd ", fd, " is not ", Absl(what)));
  }
  if (::fcntl(fd, F_SETFD, FD_CLOEXEC) != 0) return ErrnoStatus(Errno::Last(), what);
  return os::UniqueFd(fd);
}

}  // namespace

absl::StatusOr<AdoptedFds> AdoptInheritedFds() {
  if (::close_range(ipc::kInheritedFdsEnd, ~0U, 0) != 0) {
    return ErrnoStatus(Errno::Last(), "close_range");
  }
  AdoptedFds fds;
  FSD_ASSIGN_OR_RETURN(fds.spec, Adopt(ipc::kWorkerSpecFd, IsSealedFile(ipc::kWorkerSpecFd),
                                       "a sealed memory file"));
  FSD_ASSIGN_OR_RETURN(
      fds.control_listener,
      Adopt(ipc::kControlListenerFd, IsListening(ipc::kControlListenerFd, SOCK_SEQPACKET),
            "a listening seqpacket socket"));
  FSD_ASSIGN_OR_RETURN(fds.vhost_listener,
                       Adopt(ipc::kVhostListenerFd, IsListening(ipc::kVhostListenerFd, SOCK_STREAM),
                             "a listening stream socket"));
  FSD_ASSIGN_OR_RETURN(fds.source_directory,
                       Adopt(ipc::kSourceDirectoryFd, IsPathOfDirectory(ipc::kSourceDirectoryFd),
                             "a directory opened with O_PATH"));
  FSD_ASSIGN_OR_RETURN(fds.counters, Adopt(ipc::kCountersFd, IsFixedFile(ipc::kCountersFd),
                                           "a memory file of fixed size"));
  return fds;
}

}  // namespace fsd::exe
