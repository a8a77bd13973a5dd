#include "server/control/api_socket.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "server/errors/status_macros.h"
#include "server/os/unix_socket.h"

namespace fsd::control {
namespace {

constexpr mode_t kOwnerOnly = 0177;  // as a umask
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
absl::Status RemoveDeadSocket(const std::string& path) {
  struct stat found;
  if (lstat(path.c_str(), &found) != 0) {
    if (errno == ENOENT) return absl::OkStatus();
    return ErrnoStatus(Errno::Last(), absl::StrCat("cannot examine ", path));
  }
  if (!S_ISSOCK(found.st_mode) || found.st_uid != geteuid()) {
    return absl::AlreadyExistsError(
        absl::StrCat(path, " is not a socket of this user; remove it or listen somewhere else"));
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

absl::StatusOr<std::string> ApiSocketPath(std::string_view address) {
  std::string_view path = address;
  if (path.starts_with("unix://")) {
    path.remove_prefix(7);
  } else if (path.starts_with("unix:")) {
    path.remove_prefix(5);
  } else {
    path = {};
  }
  if (!path.starts_with('/') || path.ends_with('/')) {
    return absl::InvalidArgumentError(absl::StrCat(
        "\"", Absl(address), "\" is not an address to listen on; \"unix:///run/fsd/fsd.sock\" is"));
  }
  if (path.size() > os::kMaxSocketPathBytes) {
    return absl::InvalidArgumentError(absl::StrCat(
        "the path of ", Absl(address), " is longer than ", os::kMaxSocketPathBytes, " bytes"));
  }
  return std::string(path);
}

absl::StatusOr<ApiSocketGuard> ApiSocketGuard::Prepare(const std::string& path) {
  FSD_ASSIGN_OR_RETURN(os::UniqueFd directory, LockDirectory(DirectoryOf(path)));
  FSD_RETURN_IF_ERROR(RemoveDeadSocket(path));
  return ApiSocketGuard(std::move(directory));
}

ApiSocketGuard::ApiSocketGuard(os::UniqueFd directory)
    : directory_(std::move(directory)), umask_before_(umask(kOwnerOnly)) {}

ApiSocketGuard::ApiSocketGuard(ApiSocketGuard&& other) noexcept
    : directory_(std::move(other.directory_)), umask_before_(other.umask_before_) {}

ApiSocketGuard::~ApiSocketGuard() {
  if (directory_.valid()) umask(umask_before_);
}

}  // namespace fsd::control
