// Unix sockets: listen, connect, accept, and messages that carry file descriptors (unix(7)).
//
// Every socket made here is close-on-exec and non-blocking.
#ifndef FSD_SERVER_OS_UNIX_SOCKET_H_
#define FSD_SERVER_OS_UNIX_SOCKET_H_

#include <sys/types.h>

#include <cstddef>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "server/errors/errno_or.h"
#include "server/os/unique_fd.h"

namespace fsd::os {

// The longest path a unix socket can have, without the terminating NUL.
inline constexpr size_t kMaxSocketPathBytes = 107;
// The most descriptors one message can carry (SCM_MAX_FD).
inline constexpr size_t kMaxFdsPerMessage = 253;

enum class SocketType { kStream, kSeqPacket };

struct SocketAccess {
  uid_t uid = static_cast<uid_t>(-1);  // -1: as created
  gid_t gid = static_cast<gid_t>(-1);
  mode_t mode = 0600;
};

// Binds `path` (which must not exist: EADDRINUSE), gives it its owner and mode, and only then
// listens: nobody can connect before. ENAMETOOLONG for a path over kMaxSocketPathBytes.
ErrnoOr<UniqueFd> ListenUnix(const std::string& path, SocketType type, const SocketAccess& access);
// The file that a bound socket is, O_PATH, wherever it is by now. The kernel tells those who have
// CAP_NET_ADMIN; for others it is what `path` names, if that can be it, a socket of `owner`'s with
// no other name: else EEXIST.
ErrnoOr<UniqueFd> OpenSocketFile(int socket, const std::string& path, uid_t owner);
// Owner and mode of a socket's file (of OpenSocketFile) that can be connected to meanwhile: at no
// moment may anybody connect who may neither before nor after.
ErrnoOr<void> ChangeSocketAccess(int file, const SocketAccess& access);
// ECONNREFUSED: a socket file that nobody listens on. ENOENT: no such file.
ErrnoOr<UniqueFd> ConnectUnix(const std::string& path, SocketType type);
// EAGAIN if nobody is waiting.
ErrnoOr<UniqueFd> AcceptUnix(int listener);
ErrnoOr<std::pair<UniqueFd, UniqueFd>> UnixSocketPair(SocketType type);

struct PeerCredentials {
  pid_t pid = 0;
  uid_t uid = 0;
  gid_t gid = 0;
};
// Of a connected socket's peer. For the one that has dialled: who has called listen(2) last.
ErrnoOr<PeerCredentials> GetPeerCredentials(int socket);

struct Received {
  size_t bytes = 0;           // 0: the peer has closed
  std::vector<UniqueFd> fds;  // close-on-exec
  bool truncated = false;     // bytes or descriptors were cut off
};
// Receives into `buffer`; EAGAIN if nothing is there.
ErrnoOr<Received> ReceiveWithFds(int socket, std::span<std::byte> buffer, size_t max_fds);
// Sends `bytes` with `fds` (borrowed) attached to the first of them. Results in the bytes sent,
// which on a stream may be fewer. EAGAIN if the socket is full. Never raises SIGPIPE.
ErrnoOr<size_t> SendWithFds(int socket, std::span<const std::byte> bytes, std::span<const int> fds);

}  // namespace fsd::os

#endif  // FSD_SERVER_OS_UNIX_SOCKET_H_
