// Resource limits of a worker's processes (setrlimit(2)); those that count a worker as a whole are
// its cgroup's.
#ifndef FSD_SERVER_SANDBOX_RESOURCE_LIMITS_H_
#define FSD_SERVER_SANDBOX_RESOURCE_LIMITS_H_

#include <cstdint>

#include "absl/status/status.h"

namespace fsd::sandbox {

// How many descriptors this process and its children may have: `most`, for good, or with 0 as many
// as it may give itself. Before the forks: keeper and data plane share their descriptors. What the
// backend makes of it is its own business. PERMISSION_DENIED beyond what this process was given
// itself.
absl::Status LimitOpenFiles(uint64_t most);

}  // namespace fsd::sandbox

#endif  // FSD_SERVER_SANDBOX_RESOURCE_LIMITS_H_
