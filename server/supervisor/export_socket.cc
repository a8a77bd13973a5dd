#include "server/supervisor/export_socket.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <climits>
#include <cstring>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "server/errors/status_macros.h"
#include "server/supervisor/error_reason.h"
#include "server/supervisor/paths.h"

namespace fsd::supervisor {
namespace {

enum class Occupant { kNone, kDeadSocket, kLivingSocket, kNoSocket };

bool IsSameFile(const struct stat& a, const struct stat& b) {
  return a.st_dev == b.st_dev && a.st_ino == b.st_ino;
}

// Removes `path` if it is this file. From the directory that it is found in, so that another one
// put in that one's place meanwhile loses nothing.
void RemoveIfSame(const std::string& path, const struct stat& file) {
  const size_t slash = path.rfind('/');
  const std::string parent = path.substr(0, slash + 1);
  const std::string name = path.substr(slash + 1);
  const os::UniqueFd directory(::open(parent.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  struct stat found;
  if (directory.valid() &&
      ::fstatat(directory.get(), name.c_str(), &found, AT_SYMLINK_NOFOLLOW) == 0 &&
      IsSameFile(found, file)) {
    ::unlinkat(directory.get(), name.c_str(), 0);
  }
}

uid_t OwnerOf(const os::SocketAccess& access) {
  return access.uid == static_cast<uid_t>(-1) ? ::geteuid() : access.uid;
}

// Where a file is that may have come to lie elsewhere than it was to.
std::string PathOf(int file) {
  std::string path(PATH_MAX, '\0');
  const std::string self = absl::StrCat("/proc/self/fd/", file);
  const ssize_t size = ::readlink(self.c_str(), path.data(), path.size());
  path.resize(size < 0 ? 0 : static_cast<size_t>(size));
  return path;
}

// `info`: of what is there, if anything is.
Occupant OccupantOf(const std::string& path, os::SocketType type, struct stat& info) {
  if (::lstat(path.c_str(), &info) != 0) {
    return errno == ENOENT ? Occupant::kNone : Occupant::kNoSocket;
  }
  if (!S_ISSOCK(info.st_mode)) return Occupant::kNoSocket;
  const auto connected = os::ConnectUnix(path, type);
  // A socket of another type, or with a full backlog, is alive too.
  return !connected.ok() && connected.error() == Errno(ECONNREFUSED) ? Occupant::kDeadSocket
                                                                     : Occupant::kLivingSocket;
}

int OptionOf(int socket, int option) {
  int value = -1;
  socklen_t size = sizeof value;
  return ::getsockopt(socket, SOL_SOCKET, option, &value, &size) == 0 ? value : -1;
}

// The path that a unix socket is bound to; empty if to none.
std::string NameOf(int socket) {
  sockaddr_un address{};
  socklen_t size = sizeof address;
  if (::getsockname(socket, reinterpret_cast<sockaddr*>(&address), &size) != 0) return "";
  return {address.sun_path, ::strnlen(address.sun_path, sizeof address.sun_path)};
}

absl::Status InUse(const std::string& path, std::string_view why) {
  return ReasonedError(absl::StatusCode::kFailedPrecondition, ErrorReason::kSocketInUse,
                       absl::StrCat("socket ", path, ": ", Absl(why)));
}

absl::Status NotAllowed(const std::string& path, std::string_view why) {
  return ReasonedError(absl::StatusCode::kPermissionDenied, ErrorReason::kSocketNotAllowed,
                       absl::StrCat("socket ", path, ": ", Absl(why)));
}

absl::StatusOr<os::UniqueFd> OpenDirectoryOf(const std::vector<std::string>& allowed,
                                             const std::string& path) {
  const std::string parent = path.substr(0, path.rfind('/'));
  auto directory = OpenAllowedDirectory(allowed, parent.empty() ? "/" : parent);
  if (directory.ok()) return *std::move(directory);
  switch (directory.error().value()) {
    case EPERM:
    case EXDEV:
    case ELOOP:
      return NotAllowed(
          path, absl::StrCat("not below an allowed directory (", absl::StrJoin(allowed, ", "),
                             "), or a symbolic link leads out of it"));
    default:
      return ReasonedError(
          absl::StatusCode::kFailedPrecondition, ErrorReason::kSocketNotAllowed,
          absl::StrCat("socket ", path, ": ",
                       ErrnoStatus(directory.error(), "open its directory").message(),
                       "; make the directory first, or choose another path"));
  }
}

absl::Status CheckOccupant(const std::string& path, Occupant occupant,
                           ExportSocket::IfDead if_dead) {
  switch (occupant) {
    case Occupant::kNone:
      return absl::OkStatus();
    case Occupant::kDeadSocket:
      if (if_dead == ExportSocket::IfDead::kReplace) return absl::OkStatus();
      return InUse(path,
                   "a socket that is not this export's is there, though nobody listens on it; "
                   "remove it, or choose another path");
    case Occupant::kLivingSocket:
      return InUse(path, "another process listens there; stop it, or choose another path");
    case Occupant::kNoSocket:
      return InUse(path, "something that is not a socket is there; choose another path");
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<ExportSocket> ExportSocket::Listen(const std::string& path, os::SocketType type,
                                                  const os::SocketAccess& access, IfDead if_dead) {
  auto fd = os::ListenUnix(path, type, access);
  if (!fd.ok() && fd.error() == Errno(EADDRINUSE)) {
    struct stat found;
    const Occupant occupant = OccupantOf(path, type, found);
    FSD_RETURN_IF_ERROR(CheckOccupant(path, occupant, if_dead));
    if (occupant == Occupant::kDeadSocket) RemoveIfSame(path, found);
    fd = os::ListenUnix(path, type, access);
  }
  if (!fd.ok()) {
    if (fd.error() == Errno(ENAMETOOLONG)) {
      return ReasonedError(absl::StatusCode::kInvalidArgument, ErrorReason::kSocketPathTooLong,
                           absl::StrCat("socket ", path, ": ", path.size(), " bytes; at most ",
                                        os::kMaxSocketPathBytes, " are possible"));
    }
    if (fd.error() == Errno(EADDRINUSE)) return InUse(path, "another process binds it");
    if (fd.error() == Errno(EPERM)) {
      return ErrnoStatus(fd.error(), absl::StrCat("socket ", path,
                                                  ": only root can give a socket to another user, "
                                                  "or to a group that its user is not in"));
    }
    return ErrnoStatus(fd.error(), absl::StrCat("listen on socket ", path));
  }
  const auto file = os::OpenSocketFile(fd->get(), path, OwnerOf(access));
  struct stat info;
  if (!file.ok() || ::fstat(file->get(), &info) != 0) {
    return InUse(path, "something else took its place while it was made");
  }
  return ExportSocket(path, *std::move(fd), info);
}

absl::StatusOr<ExportSocket> ExportSocket::ListenBelow(const std::vector<std::string>& allowed,
                                                       const std::string& path, os::SocketType type,
                                                       const os::SocketAccess& access,
                                                       IfDead if_dead) {
  FSD_ASSIGN_OR_RETURN(const os::UniqueFd directory, OpenDirectoryOf(allowed, path));
  FSD_ASSIGN_OR_RETURN(ExportSocket socket, Listen(path, type, access, if_dead));
  // bind(2) takes a path, not a directory: see that it went where it was allowed to.
  struct stat info;
  const std::string name = path.substr(path.rfind('/') + 1);
  if (::fstatat(directory.get(), name.c_str(), &info, AT_SYMLINK_NOFOLLOW) != 0 ||
      !IsSameFile(info, socket.file_)) {
    const auto file = os::OpenSocketFile(socket.fd(), path, OwnerOf(access));
    if (file.ok()) RemoveIfSame(PathOf(file->get()), socket.file_);
    return NotAllowed(path, "its directory was replaced while the socket was made");
  }
  return socket;
}

absl::Status ExportSocket::CheckBelow(const std::vector<std::string>& allowed,
                                      const std::string& path, os::SocketType type,
                                      IfDead if_dead) {
  FSD_RETURN_IF_ERROR(OpenDirectoryOf(allowed, path));
  struct stat found;
  return CheckOccupant(path, OccupantOf(path, type, found), if_dead);
}

absl::Status ExportSocket::ChangeAccess(const os::SocketAccess& access) {
  const auto file = os::OpenSocketFile(fd_.get(), path_, file_.st_uid);
  struct stat found;
  if (!file.ok() || ::fstat(file->get(), &found) != 0 || !IsSameFile(found, file_)) {
    return InUse(path_,
                 "the export's socket is no longer there; delete the export and create it again");
  }
  const auto changed = os::ChangeSocketAccess(file->get(), access);
  if (changed.ok()) {
    (void)::fstat(file->get(), &file_);
    return absl::OkStatus();
  }
  return ReasonedError(
      absl::StatusCode::kPermissionDenied, ErrorReason::kSocketOwnerNotAllowed,
      absl::StrCat("socket ", path_, ": ",
                   ErrnoStatus(changed.error(), "change its owner or mode").message(),
                   "; only root can give a socket to another user, or to a group "
                   "that its user is not in"));
}

absl::StatusOr<ExportSocket> ExportSocket::AdoptBelow(const std::vector<std::string>& allowed,
                                                      const std::string& path, os::SocketType type,
                                                      const os::SocketAccess& access,
                                                      os::UniqueFd& fd) {
  const int kind = type == os::SocketType::kStream ? SOCK_STREAM : SOCK_SEQPACKET;
  if (OptionOf(fd.get(), SO_DOMAIN) != AF_UNIX || OptionOf(fd.get(), SO_TYPE) != kind ||
      OptionOf(fd.get(), SO_ACCEPTCONN) != 1 || NameOf(fd.get()) != path) {
    return absl::InvalidArgumentError(absl::StrCat("not a socket that listens on ", path));
  }
  FSD_ASSIGN_OR_RETURN(const os::UniqueFd directory, OpenDirectoryOf(allowed, path));
  const auto file = os::OpenSocketFile(fd.get(), path, OwnerOf(access));
  struct stat bound, named;
  const std::string name = path.substr(path.rfind('/') + 1);
  if (!file.ok() || ::fstat(file->get(), &bound) != 0 ||
      ::fstatat(directory.get(), name.c_str(), &named, AT_SYMLINK_NOFOLLOW) != 0 ||
      !IsSameFile(bound, named)) {
    return absl::InvalidArgumentError(
        absl::StrCat("not the socket that ", path, " names, or nothing is there any more"));
  }
  return ExportSocket(path, std::move(fd), bound);
}

void ExportSocket::RemoveFile() const { RemoveIfSame(path_, file_); }

void RemoveDeadSocket(const std::string& path, os::SocketType type) {
  struct stat found;
  if (OccupantOf(path, type, found) == Occupant::kDeadSocket) RemoveIfSame(path, found);
}

}  // namespace fsd::supervisor
