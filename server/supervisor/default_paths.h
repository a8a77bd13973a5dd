// Where a supervisor has its sockets and records unless its configuration says so: the system's
// directories for root, the user's own (XDG Base Directory Specification) for anybody else.
#ifndef FSD_SERVER_SUPERVISOR_DEFAULT_PATHS_H_
#define FSD_SERVER_SUPERVISOR_DEFAULT_PATHS_H_

#include <sys/types.h>

#include <string>

#include "absl/status/status.h"
#include "server/supervisor/config.h"

namespace fsd::supervisor {

// Who the supervisor runs as, and what the environment says; empty if it says nothing.
struct SupervisorUser {
  uid_t uid = 0;
  std::string xdg_runtime_dir;
  std::string xdg_state_home;
  std::string home;

  static SupervisorUser Current();
};

// The paths of Config that have a default: root's if `user` is root, else empty. Before the
// configuration is read.
void SetDefaultPaths(const SupervisorUser& user, Config& config);

// Fills in what the configuration has left empty. INVALID_ARGUMENT, for an ordinary user, says
// which variable of the environment is missing. After it is read.
absl::Status CompletePaths(const SupervisorUser& user, Config& config);

}  // namespace fsd::supervisor

#endif  // FSD_SERVER_SUPERVISOR_DEFAULT_PATHS_H_
