// ApiSocket: the path of the unix socket that the API listens on, made safe to bind.
//
// gRPC unlinks whatever socket it finds at a path before it binds there, and makes the new one as
// the process's umask says. This puts a guard before both: only a dead socket of this user makes
// room, and while the guard is held nobody else starts at the same path and new files are for their
// owner alone.
#ifndef FSD_SERVER_CONTROL_API_SOCKET_H_
#define FSD_SERVER_CONTROL_API_SOCKET_H_

#include <sys/types.h>

#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "server/os/unique_fd.h"

namespace fsd::control {

// "/run/fsd/fsd.sock" of "unix:///run/fsd/fsd.sock" (or "unix:/run/…"). INVALID_ARGUMENT for any
// other form and for a path that is too long.
absl::StatusOr<std::string> ApiSocketPath(std::string_view address);

// Hold it while a socket is bound at the path. It sets the process's umask, so threads that make
// files must not run meanwhile.
class ApiSocketGuard {
 public:
  // Makes the socket's directory (mode 0755) if there is none and removes a dead socket of ours.
  // ALREADY_EXISTS if somebody listens at `path`, or if something else than our socket is there.
  static absl::StatusOr<ApiSocketGuard> Prepare(const std::string& path);

  ApiSocketGuard(ApiSocketGuard&& other) noexcept;
  ApiSocketGuard& operator=(ApiSocketGuard&&) = delete;
  ~ApiSocketGuard();

 private:
  explicit ApiSocketGuard(os::UniqueFd directory);

  os::UniqueFd directory_;  // locked with flock(2)
  mode_t umask_before_;
};

}  // namespace fsd::control

#endif  // FSD_SERVER_CONTROL_API_SOCKET_H_
