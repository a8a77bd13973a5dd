// User namespaces, made by a child that is gone again when the call returns: to be entered, or as
// the description of an idmapped mount (user_namespaces(7)).
//
// The calling process may have threads: the child lives in its memory and makes nothing but system
// calls.
#ifndef FSD_SERVER_OS_USER_NAMESPACE_H_
#define FSD_SERVER_OS_USER_NAMESPACE_H_

#include <cstdint>
#include <vector>

#include "absl/status/statusor.h"
#include "server/os/unique_fd.h"

namespace fsd::os {

// One line of a uid_map or gid_map.
struct IdRange {
  uint32_t inside_first = 0;
  uint32_t outside_first = 0;
  uint64_t count = 0;
};

struct IdMaps {
  std::vector<IdRange> uids;
  std::vector<IdRange> gids;
  bool empty() const { return uids.empty() && gids.empty(); }
};

// By whom the maps are written, and so what they may be.
enum class MapWriter {
  // This process, which has CAP_SETUID and CAP_SETGID: any ids.
  kPrivileged,
  // This process: its own uid and gid, one range of one id each. Inside, setgroups(2) is refused.
  kOwner,
  // newuidmap(1) and newgidmap(1): its own ids, and those that subuid(5) and subgid(5) give it.
  kPrograms,
};

// The process's effective user owns the namespace, and so has every capability in it. `proc` is a
// writable proc of its pid namespace. The error names the step.
absl::StatusOr<UniqueFd> MakeUserNamespace(const IdMaps& maps, MapWriter writer, int proc);

}  // namespace fsd::os

#endif  // FSD_SERVER_OS_USER_NAMESPACE_H_
