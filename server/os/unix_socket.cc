#include "server/os/unix_socket.h"

#include <fcntl.h>
#include <linux/sockios.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstring>

namespace fsd::os {
namespace {

int TypeOf(SocketType type) {
  return (type == SocketType::kStream ? SOCK_STREAM : SOCK_SEQPACKET) | SOCK_CLOEXEC |
         SOCK_NONBLOCK;
}

ErrnoOr<sockaddr_un> AddressOf(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.empty() || path.find('\0') != std::string::npos) return Errno(EINVAL);
  if (path.size() > kMaxSocketPathBytes) return Errno(ENAMETOOLONG);
  std::memcpy(address.sun_path, path.data(), path.size());
  return address;
}

// By a descriptor of the socket's own file: whoever may write in its directory could put something
// else in its place, and have that given away.
ErrnoOr<void> GiveAccess(int file, const SocketAccess& access) {
  const std::string self = "/proc/self/fd/" + std::to_string(file);
  const bool owned = access.uid != static_cast<uid_t>(-1) || access.gid != static_cast<gid_t>(-1);
  if ((owned && ::fchownat(file, "", access.uid, access.gid, AT_EMPTY_PATH) != 0) ||
      ::chmod(self.c_str(), access.mode) != 0) {
    return Errno::Last();
  }
  return {};
}

// What somebody else has put in the place of `file` meanwhile is not ours to remove.
void UnlinkIfSame(const std::string& path, int file) {
  struct stat own, named;
  if (::fstat(file, &own) == 0 && ::lstat(path.c_str(), &named) == 0 &&
      own.st_dev == named.st_dev && own.st_ino == named.st_ino) {
    ::unlink(path.c_str());
  }
}

ErrnoOr<void> OpenToOthers(int socket, const std::string& path, const SocketAccess& access) {
  const ErrnoOr<UniqueFd> file = OpenSocketFile(socket, path, ::geteuid());
  if (!file.ok()) return file.error();
  ErrnoOr<void> opened = GiveAccess(file->get(), access);
  if (opened.ok() && ::listen(socket, SOMAXCONN) != 0) opened = Errno::Last();
  if (!opened.ok()) UnlinkIfSame(path, file->get());
  return opened;
}

}  // namespace

ErrnoOr<UniqueFd> ListenUnix(const std::string& path, SocketType type, const SocketAccess& access) {
  const ErrnoOr<sockaddr_un> address = AddressOf(path);
  if (!address.ok()) return address.error();
  UniqueFd fd(::socket(AF_UNIX, TypeOf(type), 0));
  if (!fd.valid()) return Errno::Last();
  if (::bind(fd.get(), reinterpret_cast<const sockaddr*>(&*address), sizeof *address) != 0) {
    return Errno::Last();
  }
  if (const ErrnoOr<void> opened = OpenToOthers(fd.get(), path, access); !opened.ok()) {
    return opened.error();
  }
  return fd;
}

ErrnoOr<UniqueFd> OpenSocketFile(int socket, const std::string& path, uid_t owner) {
  constexpr unsigned long kUnixFile = SIOCPROTOPRIVATE;  // SIOCUNIXFILE of <linux/un.h>
  UniqueFd file(::ioctl(socket, kUnixFile));
  if (file.valid()) return file;
  file.reset(::open(path.c_str(), O_PATH | O_NOFOLLOW | O_CLOEXEC));
  struct stat info;
  if (!file.valid() || ::fstat(file.get(), &info) != 0) return Errno::Last();
  // A link to another's socket would have two names, or another owner.
  if (!S_ISSOCK(info.st_mode) || info.st_nlink != 1 || info.st_uid != owner) {
    return Errno(EEXIST);
  }
  return file;
}

ErrnoOr<void> ChangeSocketAccess(int file, const SocketAccess& access) {
  struct stat before;
  if (::fstat(file, &before) != 0) return Errno::Last();
  SocketAccess narrow = access;
  narrow.mode = before.st_mode & access.mode & 0777;
  const std::string self = "/proc/self/fd/" + std::to_string(file);
  if (::chmod(self.c_str(), narrow.mode) != 0) return Errno::Last();
  ErrnoOr<void> given = GiveAccess(file, access);
  if (!given.ok()) (void)::chmod(self.c_str(), before.st_mode & 0777);
  return given;
}

ErrnoOr<UniqueFd> ConnectUnix(const std::string& path, SocketType type) {
  const ErrnoOr<sockaddr_un> address = AddressOf(path);
  if (!address.ok()) return address.error();
  UniqueFd fd(::socket(AF_UNIX, TypeOf(type), 0));
  if (!fd.valid()) return Errno::Last();
  if (::connect(fd.get(), reinterpret_cast<const sockaddr*>(&*address), sizeof *address) != 0) {
    return Errno::Last();
  }
  return fd;
}

ErrnoOr<UniqueFd> AcceptUnix(int listener) {
  UniqueFd fd(::accept4(listener, nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
  if (!fd.valid()) return Errno::Last();
  return fd;
}

ErrnoOr<std::pair<UniqueFd, UniqueFd>> UnixSocketPair(SocketType type) {
  int fds[2];
  if (::socketpair(AF_UNIX, TypeOf(type), 0, fds) != 0) return Errno::Last();
  return std::pair(UniqueFd(fds[0]), UniqueFd(fds[1]));
}

ErrnoOr<PeerCredentials> GetPeerCredentials(int socket) {
  ucred credentials{};
  socklen_t size = sizeof credentials;
  if (::getsockopt(socket, SOL_SOCKET, SO_PEERCRED, &credentials, &size) != 0) {
    return Errno::Last();
  }
  return PeerCredentials{credentials.pid, credentials.uid, credentials.gid};
}

ErrnoOr<Received> ReceiveWithFds(int socket, std::span<std::byte> buffer, size_t max_fds) {
  if (max_fds > kMaxFdsPerMessage) return Errno(EINVAL);
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int) * kMaxFdsPerMessage)];
  iovec vector{buffer.data(), buffer.size()};
  msghdr message{};
  message.msg_iov = &vector;
  message.msg_iovlen = 1;
  message.msg_control = control;
  message.msg_controllen = max_fds == 0 ? 0 : CMSG_SPACE(sizeof(int) * max_fds);
  ssize_t bytes;
  do {
    bytes = ::recvmsg(socket, &message, MSG_CMSG_CLOEXEC);
  } while (bytes < 0 && errno == EINTR);
  if (bytes < 0) return Errno::Last();
  Received received;
  received.bytes = static_cast<size_t>(bytes);
  received.truncated = (message.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) != 0;
  for (cmsghdr* header = CMSG_FIRSTHDR(&message); header != nullptr;
       header = CMSG_NXTHDR(&message, header)) {
    if (header->cmsg_level != SOL_SOCKET || header->cmsg_type != SCM_RIGHTS) continue;
    const size_t count = (header->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    for (size_t i = 0; i < count; ++i) {
      int fd;
      std::memcpy(&fd, CMSG_DATA(header) + i * sizeof fd, sizeof fd);
      received.fds.emplace_back(fd);
    }
  }
  // Alignment may leave room for one more than was asked for.
  if (received.fds.size() > max_fds) {
    received.fds.resize(max_fds);
    received.truncated = true;
  }
  return received;
}

ErrnoOr<size_t> SendWithFds(int socket, std::span<const std::byte> bytes,
                            std::span<const int> fds) {
  if (fds.size() > kMaxFdsPerMessage) return Errno(EINVAL);
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int) * kMaxFdsPerMessage)];
  iovec vector{const_cast<std::byte*>(bytes.data()), bytes.size()};
  msghdr message{};
  message.msg_iov = &vector;
  message.msg_iovlen = 1;
  if (!fds.empty()) {
    message.msg_control = control;
    message.msg_controllen = CMSG_SPACE(fds.size_bytes());
    std::memset(control, 0, message.msg_controllen);
    cmsghdr* header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(fds.size_bytes());
    std::memcpy(CMSG_DATA(header), fds.data(), fds.size_bytes());
  }
  ssize_t sent;
  do {
    sent = ::sendmsg(socket, &message, MSG_NOSIGNAL);
  } while (sent < 0 && errno == EINTR);
  if (sent < 0) return Errno::Last();
  return static_cast<size_t>(sent);
}

}  // namespace fsd::os
