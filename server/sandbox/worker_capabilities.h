// Which capabilities each process of a worker needs, by what its export is: pure, and the whole
// policy.
#ifndef FSD_SERVER_SANDBOX_WORKER_CAPABILITIES_H_
#define FSD_SERVER_SANDBOX_WORKER_CAPABILITIES_H_

#include "server/sandbox/capability_set.h"

namespace fsd::sandbox {

// What of an export decides.
struct CapabilityNeeds {
  bool read_only = false;
  bool xattr = false;
  bool devices = true;  // a device node that is made cannot be opened
};

// The data plane's, before an operator adds to them or takes from them. The keeper needs none.
CapabilitySet DataPlaneCapabilities(const CapabilityNeeds& needs);

// The handle keeper's. Beyond opening handles it may do what the data plane, whose place it takes,
// may do too: `data_plane` is what that has been left.
CapabilitySet HandleKeeperCapabilities(bool read_only, CapabilitySet data_plane);

}  // namespace fsd::sandbox

#endif  // FSD_SERVER_SANDBOX_WORKER_CAPABILITIES_H_
