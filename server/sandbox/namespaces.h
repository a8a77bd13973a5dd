// Namespaces: what of the host a worker no longer shares (namespaces(7)).
//
// Single-threaded. The pid namespace is not among them: the worker was born into its own.
#ifndef FSD_SERVER_SANDBOX_NAMESPACES_H_
#define FSD_SERVER_SANDBOX_NAMESPACES_H_

#include "absl/status/status.h"

namespace fsd::sandbox {

// Leaves the host's mount, net, ipc, uts and cgroup namespaces for new ones. The mounts of the new
// namespace are copies of the host's, as slaves: what is mounted here later stays here.
absl::Status UnshareNamespaces();

}  // namespace fsd::sandbox

#endif  // FSD_SERVER_SANDBOX_NAMESPACES_H_
