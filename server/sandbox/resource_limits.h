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

// No core file of this process and its children, for good; and none for the program that a host's
// core_pattern pipes them to, which is kept from it by a limit of 1 only (core(5)). Where this
// process was given a limit of 0, and may not raise it, that stays.
absl::Status PreventCoreFiles();

}  // namespace fsd::sandbox

#endif  // FSD_SERVER_SANDBOX_RESOURCE_LIMITS_H_
