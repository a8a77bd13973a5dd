// The file descriptors a worker is born with, found to be what they should be.
#ifndef FSD_SERVER_EXE_ADOPTED_FDS_H_
#define FSD_SERVER_EXE_ADOPTED_FDS_H_

#include "absl/status/statusor.h"
#include "server/os/unique_fd.h"

namespace fsd::exe {

// See server/ipc/inherited_fds.h for each.
struct AdoptedFds {
  os::UniqueFd spec;
  os::UniqueFd control_listener;
  os::UniqueFd vhost_listener;
  os::UniqueFd source_directory;
  os::UniqueFd counters;
};

// Takes them over, close-on-exec, and closes whatever else is open beside 0, 1 and 2.
// FAILED_PRECONDITION names the one that is missing or something else. Call once, before any other
// descriptor is opened.
absl::StatusOr<AdoptedFds> AdoptInheritedFds();

}  // namespace fsd::exe

#endif  // FSD_SERVER_EXE_ADOPTED_FDS_H_
