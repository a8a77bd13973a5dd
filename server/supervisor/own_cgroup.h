// Where the cgroup (v2) is that this process was started in.
#ifndef FSD_SERVER_SUPERVISOR_OWN_CGROUP_H_
#define FSD_SERVER_SUPERVISOR_OWN_CGROUP_H_

#include <string>
#include <string_view>

#include "absl/status/statusor.h"

namespace fsd::supervisor {

// The leaf that a supervisor keeps itself in.
inline constexpr char kSupervisorLeaf[] = "supervisor";

// Its directory, below the first mount of cgroup2 that shows it; without a last component that is
// kSupervisorLeaf, in which a service manager may start us. NOT_FOUND: there is none.
absl::StatusOr<std::string> OwnCgroupDirectory();

// The same, of what /proc/self/cgroup and /proc/self/mountinfo hold (cgroups(7), proc(5)).
absl::StatusOr<std::string> OwnCgroupDirectory(std::string_view cgroup, std::string_view mountinfo);

}  // namespace fsd::supervisor

#endif  // FSD_SERVER_SUPERVISOR_OWN_CGROUP_H_
