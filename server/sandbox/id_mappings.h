// Id mappings: how an idmapped mount translates the owners of files (mount_setattr(2)).
#ifndef FSD_SERVER_SANDBOX_ID_MAPPINGS_H_
#define FSD_SERVER_SANDBOX_ID_MAPPINGS_H_

#include "absl/status/statusor.h"
#include "server/os/unique_fd.h"
#include "server/os/user_namespace.h"

namespace fsd::sandbox {

// Ids of the guest, inside, and of the file system, outside.
using IdRange = os::IdRange;
using IdMappings = os::IdMaps;

// A user namespace for mount_setattr(MOUNT_ATTR_IDMAP). Needs CAP_SETUID, CAP_SETGID and
// CAP_SYS_ADMIN. The error names the step.
absl::StatusOr<os::UniqueFd> MakeMappingNamespace(const IdMappings& mappings);

}  // namespace fsd::sandbox

#endif  // FSD_SERVER_SANDBOX_ID_MAPPINGS_H_
