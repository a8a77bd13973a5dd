// ApiSocket: a unix socket that the API listens on, bound safely.
//
// Only a dead socket of this server's makes room, nobody else starts at the same path meanwhile,
// and nobody can connect before the socket has its owner and mode.
#ifndef FSD_SERVER_ACCESS_API_SOCKET_H_
#define FSD_SERVER_ACCESS_API_SOCKET_H_

#include <string>

#include "absl/status/statusor.h"
#include "server/os/unique_fd.h"
#include "server/supervisor/listener.h"

namespace fsd::access {

class ApiSocket {
 public:
  // Listens at `listener`'s path, for whom it says. Makes the socket's directory (mode 0755) if
  // there is none, and removes a dead socket of ours. ALREADY_EXISTS if somebody listens there, or
  // if something else than our socket is there.
  static absl::StatusOr<ApiSocket> Listen(const supervisor::Listener& listener);
  // One that somebody else has made and will remove.
  static ApiSocket Adopt(os::UniqueFd fd) { return ApiSocket(std::move(fd), ""); }

  ApiSocket(ApiSocket&& other) noexcept = default;
  ApiSocket& operator=(ApiSocket&&) = delete;
  // Removes the file, if it is ours.
  ~ApiSocket();

  int fd() const { return fd_.get(); }

 private:
  ApiSocket(os::UniqueFd fd, std::string path) : fd_(std::move(fd)), path_(std::move(path)) {}

  os::UniqueFd fd_;
  std::string path_;  // empty: not ours to remove
};

}  // namespace fsd::access

#endif  // FSD_SERVER_ACCESS_API_SOCKET_H_
