// What the supervisor needs of the host before it can begin.
#ifndef FSD_SERVER_SUPERVISOR_HOST_PREPARATION_H_
#define FSD_SERVER_SUPERVISOR_HOST_PREPARATION_H_

#include <memory>

#include "absl/status/statusor.h"
#include "server/os/unique_fd.h"
#include "server/supervisor/cgroup_subtree.h"
#include "server/supervisor/config.h"

namespace fsd::supervisor {

// Checks `config`, makes the runtime directory and finds the worker binary. The result is `config`
// with normal directories and the binary's path.
//
//   RUNTIME_DIR          0755
//   RUNTIME_DIR/exports  0755: each socket's own mode says who may connect
//   RUNTIME_DIR/control  0700: workers' control sockets; locked (flock) by TakeRuntimeDirectory
absl::StatusOr<Config> PrepareHost(Config config);

// The cgroup that the configuration gives to the supervisor, which is in it from here on; null if
// it gives none, or leaves it to the supervisor to find one and none is there. Fails for one that
// is named and cannot be had.
absl::StatusOr<std::unique_ptr<CgroupSubtree>> TakeCgroups(const Config& config);

// Makes the runtime directory this supervisor's for as long as the descriptor is open: no other one
// shall take the workers in it for an earlier supervisor's. STATE_UNAVAILABLE: it is another's.
absl::StatusOr<os::UniqueFd> TakeRuntimeDirectory(const Config& config);

}  // namespace fsd::supervisor

#endif  // FSD_SERVER_SUPERVISOR_HOST_PREPARATION_H_
