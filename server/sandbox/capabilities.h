// Capabilities: the few that serving files for any user needs, and no way to more
// (capabilities(7)).
#ifndef FSD_SERVER_SANDBOX_CAPABILITIES_H_
#define FSD_SERVER_SANDBOX_CAPABILITIES_H_

#include "absl/status/status.h"

namespace fsd::sandbox {

// Keeps CHOWN, DAC_OVERRIDE, FOWNER, FSETID, SETGID, SETUID, MKNOD and SETFCAP, permitted and
// effective; empties every other set; makes uid 0 an ordinary id for execve; sets no_new_privs.
// The kernel still lowers the file capabilities of a thread whose fsuid leaves 0, and raises them
// again when it comes back: impersonating a caller relies on it. PERMISSION_DENIED if one of the
// eight is not there to keep.
absl::Status DropCapabilities();

}  // namespace fsd::sandbox

#endif  // FSD_SERVER_SANDBOX_CAPABILITIES_H_
