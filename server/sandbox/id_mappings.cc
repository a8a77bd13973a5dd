#include "server/sandbox/id_mappings.h"

#include <utility>
#include <vector>

#include "server/errors/status_macros.h"
#include "server/sandbox/mount_jail.h"

namespace fsd::sandbox {
namespace {

// An idmapped mount shows the namespace's "inside" ids of the file system as its "outside".
std::vector<IdRange> Turned(std::vector<IdRange> ranges) {
  for (IdRange& range : ranges) std::swap(range.inside_first, range.outside_first);
  return ranges;
}

}  // namespace

absl::StatusOr<os::UniqueFd> MakeMappingNamespace(const IdMappings& mappings) {
  // The host's proc, if there is one here, does not know the child by the id that we know it by.
  FSD_ASSIGN_OR_RETURN(const os::UniqueFd proc, MountProc(ProcAccess::kWritable));
  return os::MakeUserNamespace({.uids = Turned(mappings.uids), .gids = Turned(mappings.gids)},
                               os::MapWriter::kPrivileged, proc.get());
}

}  // namespace fsd::sandbox
