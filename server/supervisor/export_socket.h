// ExportSocket: a listening unix socket of an export, and its name in the file system.
//
// The destructor closes the descriptor and leaves the name alone: a worker may go on listening on
// it. Only RemoveFile takes the name away, and only if it still is the very file that was made
// here. A name that exists is never taken from a living socket, nor from anything that is not a
// socket. Whoever may write in the directory can exchange what is there, and the directory, at any
// time: what is given away or removed is looked at by its inode.
#ifndef FSD_SERVER_SUPERVISOR_EXPORT_SOCKET_H_
#define FSD_SERVER_SUPERVISOR_EXPORT_SOCKET_H_

#include <sys/stat.h>
#include <sys/types.h>

#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "server/os/unique_fd.h"
#include "server/os/unix_socket.h"

namespace fsd::supervisor {

class ExportSocket {
 public:
  enum class IfDead {
    kReplace,  // the name is ours: a dead socket there is one that we left behind
    kRefuse,
  };

  // Binds `path` (normal, its directory exists), sets owner and mode, and listens. A dead socket
  // has nobody listening (ECONNREFUSED). Fails with SOCKET_IN_USE or SOCKET_PATH_TOO_LONG.
  static absl::StatusOr<ExportSocket> Listen(const std::string& path, os::SocketType type,
                                             const os::SocketAccess& access, IfDead if_dead);
  // The same for a path that a client chose, which must lie below one of `allowed` even after every
  // symbolic link is followed: else SOCKET_NOT_ALLOWED.
  static absl::StatusOr<ExportSocket> ListenBelow(const std::vector<std::string>& allowed,
                                                  const std::string& path, os::SocketType type,
                                                  const os::SocketAccess& access, IfDead if_dead);
  // What ListenBelow would say, without listening; changes nothing.
  static absl::Status CheckBelow(const std::vector<std::string>& allowed, const std::string& path,
                                 os::SocketType type, IfDead if_dead);

  // Takes over a socket that an earlier supervisor made with ListenBelow for the same path and
  // owner, and that a worker has handed over: `fd` may be anything. INVALID_ARGUMENT: it is not
  // that socket, listening still, or another one has the path by now. Waits for no file system but
  // the path's.
  static absl::StatusOr<ExportSocket> AdoptBelow(const std::vector<std::string>& allowed,
                                                 const std::string& path, os::SocketType type,
                                                 const os::SocketAccess& access, os::UniqueFd& fd);

  ExportSocket(ExportSocket&&) = default;
  ExportSocket& operator=(ExportSocket&&) = default;

  int fd() const { return fd_.get(); }  // -1 after StopListening
  const std::string& path() const { return path_; }

  // Owner and mode of the file, at once; all of it or, after an error, none. SOCKET_IN_USE: it is
  // no longer there. SOCKET_OWNER_NOT_ALLOWED: this process may not give it away.
  absl::Status ChangeAccess(const os::SocketAccess& access);
  // Closes our descriptor. If nobody else has one, connecting is refused from here on.
  void StopListening() { fd_.reset(); }
  // Removes the name, if it is still the file that Listen made.
  void RemoveFile() const;

 private:
  ExportSocket(std::string path, os::UniqueFd fd, const struct stat& file)
      : path_(std::move(path)), fd_(std::move(fd)), file_(file) {}

  std::string path_;
  os::UniqueFd fd_;
  struct stat file_;
};

// Removes `path` if it is a dead socket of this type: what an earlier supervisor left behind.
void RemoveDeadSocket(const std::string& path, os::SocketType type);

}  // namespace fsd::supervisor

#endif  // FSD_SERVER_SUPERVISOR_EXPORT_SOCKET_H_
