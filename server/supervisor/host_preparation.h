// What the supervisor needs of the host before it can begin.
#ifndef FSD_SERVER_SUPERVISOR_HOST_PREPARATION_H_
#define FSD_SERVER_SUPERVISOR_HOST_PREPARATION_H_

#include "absl/status/statusor.h"
#include "server/supervisor/config.h"

namespace fsd::supervisor {

// Checks `config`, makes the runtime directory and finds the worker binary. The result is `config`
// with normal directories and the binary's path.
//
//   RUNTIME_DIR          0755
//   RUNTIME_DIR/exports  0755: each socket's own mode says who may connect
//   RUNTIME_DIR/control  0700: workers' control sockets
absl::StatusOr<Config> PrepareHost(Config config);

}  // namespace fsd::supervisor

#endif  // FSD_SERVER_SUPERVISOR_HOST_PREPARATION_H_
