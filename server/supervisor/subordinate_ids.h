// Subordinate ids: those that an ordinary user may give to others, in user namespaces (subuid(5),
// subgid(5)).
#ifndef FSD_SERVER_SUPERVISOR_SUBORDINATE_IDS_H_
#define FSD_SERVER_SUPERVISOR_SUBORDINATE_IDS_H_

#include <sys/types.h>

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "server/os/user_namespace.h"

namespace fsd::supervisor {

// A map in which 0 is `own_id` and the ids from 1 on are those that `file`, /etc/subuid or
// /etc/subgid, gives to the user, one range after the other. The user is there by name or by uid.
// FAILED_PRECONDITION: there are none, or the file is not what it should be. DEADLINE_EXCEEDED: the
// host's name service did not tell the user's name within 10 s.
absl::StatusOr<std::vector<os::IdRange>> SubordinateIdMap(const std::string& file, uid_t user,
                                                          uint32_t own_id);

}  // namespace fsd::supervisor

#endif  // FSD_SERVER_SUPERVISOR_SUBORDINATE_IDS_H_
