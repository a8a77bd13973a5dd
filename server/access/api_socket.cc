#include "server/access/api_socket.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "server/errors/status_macros.h"
#include "server/os/unix_socket.h"

namespace fsd::access {
namespace {

// Another server's start at the same path holds the lock for milliseconds.
constexpr int kLockAttempts = 100;
constexpr absl::Duration kLockPause = absl::Milliseconds(50);

std::string DirectoryOf(const std::string& path) {
  const size_t slash = path.rfind('/');
  return slash == 0 ? "/" : path.substr(0, slash);
}

absl::StatusOr<os::UniqueFd> LockDirectory(const std::string& directory) {
  if (mkdir(directory.c_str(), 0755) != 0 && errno != EEXIST) {
    return ErrnoStatus(Errno::Last(), absl::StrCat("cannot make directory ", directory));
  }
  os::UniqueFd fd(open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!fd.valid()) return ErrnoStatus(Errno::Last(), absl::StrCat("cannot open ", directory));
  for (int attempt = 0; attempt < kLockAttempts; ++attempt) {
    if (flock(fd.get(), LOCK_EX | LOCK_NB) == 0) return fd;
    if (errno != EWOULDBLOCK && errno != EINTR) break;
    absl::SleepFor(kLockPause);
  }
  return ErrnoStatus(Errno::Last(), absl::StrCat("cannot lock directory ", directory));
}

// Under the directory's lock.
absl::Status RemoveDeadSocket(const std::string& path, uid_t given_to) {
  struct stat found;
  if (lstat(path.c_str(), &found) != 0) {
    if (errno == ENOENT) return absl::OkStatus();
    return ErrnoStatus(Errno::Last(), absl::StrCat("cannot examine ", path));
  }
  const bool ours = found.st_uid == geteuid() || found.st_uid == given_to;
  if (!S_ISSOCK(found.st_mode) || !ours) {
    return absl::AlreadyExistsError(
        absl::StrCat(path, " is not a socket of this server; remove it or listen somewhere else"));
  }
  const auto peer = os::ConnectUnix(path, os::SocketType::kStream);
  if (peer.ok() || peer.error().value() != ECONNREFUSED) {
    return absl::AlreadyExistsError(
        absl::StrCat("another process listens on ", path, "; is fsd running already?"));
  }
  if (unlink(path.c_str()) != 0 && errno != ENOENT) {
    return ErrnoStatus(Errno::Last(), absl::StrCat("cannot remove the dead socket ", path));
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<ApiSocket> ApiSocket::Listen(const supervisor::Listener& listener) {
  const std::string path = listener.path();
  FSD_ASSIGN_OR_RETURN(const os::UniqueFd locked, LockDirectory(DirectoryOf(path)));
  FSD_RETURN_IF_ERROR(RemoveDeadSocket(path, listener.uid));
  auto fd = os::ListenUnix(path, os::SocketType::kStream,
                           {.uid = listener.uid, .gid = listener.gid, .mode = listener.mode});
  if (!fd.ok()) return ErrnoStatus(fd.error(), absl::StrCat("cannot listen on ", path));
  return ApiSocket(*std::move(fd), path);
}

ApiSocket::~ApiSocket() {
  if (!fd_.valid() || path_.empty()) return;
  // Under the lock, and only while the path still leads to this socket: a listener that is there
  // may be the next server's.
  fd_.reset();
  const auto locked = LockDirectory(DirectoryOf(path_));
  if (!locked.ok()) return;
  const auto peer = os::ConnectUnix(path_, os::SocketType::kStream);
  if (!peer.ok() && peer.error().value() == ECONNREFUSED) unlink(path_.c_str());
}

}  // namespace fsd::access
