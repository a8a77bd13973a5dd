// Capabilities of this process: those that it is to keep, and no way to more (capabilities(7)).
#ifndef FSD_SERVER_SANDBOX_CAPABILITIES_H_
#define FSD_SERVER_SANDBOX_CAPABILITIES_H_

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "server/sandbox/capability_set.h"

namespace fsd::sandbox {

// What the calling thread may use; empty if that cannot be told.
CapabilitySet PermittedCapabilities();

struct CapabilityRequest {
  CapabilitySet needed;   // by what the export is
  CapabilitySet added;    // by name, by an operator
  CapabilitySet dropped;  // likewise; wins over the others
  // The process was not given capabilities to choose from, so of `needed` it is content with those
  // that are there: in a user namespace, or as an ordinary user in a container.
  bool content_with_less = false;
};

// What `request` comes to for this process. PERMISSION_DENIED names what is missing, and the
// remedies.
absl::StatusOr<CapabilitySet> ChooseCapabilities(const CapabilityRequest& request);

// What becomes of the bounding set and the secure bits, which take CAP_SETPCAP.
enum class Locking {
  kAlways,      // PERMISSION_DENIED without it
  kIfPossible,  // without it they stay as they are, and with no_new_privs nothing comes of it
};

// Keeps `kept`, which must be permitted, permitted and effective, and `for_now` beside it until
// ReduceCapabilities; empties every other set; makes uid 0 an ordinary id for execve; sets
// no_new_privs. The kernel still lowers the file capabilities of a thread whose fsuid leaves 0, and
// raises them again when it comes back.
absl::Status DropCapabilities(CapabilitySet kept, CapabilitySet for_now = {},
                              Locking locking = Locking::kAlways);

// Of what DropCapabilities has left, for good.
absl::Status ReduceCapabilities(CapabilitySet kept);

}  // namespace fsd::sandbox

#endif  // FSD_SERVER_SANDBOX_CAPABILITIES_H_
