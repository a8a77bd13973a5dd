// Id mappings: a user namespace that nobody lives in, as the description of how an idmapped mount
// translates the owners of files (user_namespaces(7), mount_setattr(2)).
#ifndef FSD_SERVER_SANDBOX_ID_MAPPINGS_H_
#define FSD_SERVER_SANDBOX_ID_MAPPINGS_H_

#include <cstdint>
#include <vector>

#include "absl/status/statusor.h"
#include "server/os/unique_fd.h"

namespace fsd::sandbox {

// Ids of the guest, inside, and of the file system, outside.
struct IdRange {
  uint32_t inside_first = 0;
  uint32_t outside_first = 0;
  uint64_t count = 0;
};

struct IdMappings {
  std::vector<IdRange> uids;
  std::vector<IdRange> gids;
  bool empty() const { return uids.empty() && gids.empty(); }
};

// A user namespace for mount_setattr(MOUNT_ATTR_IDMAP), made by a child that is gone again when
// this returns. Needs CAP_SETUID and CAP_SETGID; call single-threaded. The error names the step.
absl::StatusOr<os::UniqueFd> MakeUserNamespace(const IdMappings& mappings);

}  // namespace fsd::sandbox

#endif  // FSD_SERVER_SANDBOX_ID_MAPPINGS_H_
