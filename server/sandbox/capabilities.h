// Capabilities: the few that serving files for any user needs, and no way to more
// (capabilities(7)).
#ifndef FSD_SERVER_SANDBOX_CAPABILITIES_H_
#define FSD_SERVER_SANDBOX_CAPABILITIES_H_

#include "absl/status/status.h"

namespace fsd::sandbox {

// The jail's eight, and the one that opens host handles.
enum class Capabilities { kFiles, kFilesAndHandles };

// Keeps CHOWN, DAC_OVERRIDE, FOWNER, FSETID, SETGID, SETUID, MKNOD and SETFCAP, and
// DAC_READ_SEARCH if `kept` says so, permitted and effective; empties every other set; makes uid 0
// an ordinary id for execve; sets no_new_privs. The kernel still lowers the file capabilities of a
// thread whose fsuid leaves 0, and raises them again when it comes back: impersonating a caller
// relies on it. PERMISSION_DENIED if one of them is not there to keep.
absl::Status DropCapabilities(Capabilities kept);

// Whether DAC_READ_SEARCH is there to keep: containers are rarely given it.
bool MayOpenHandles();

// Of what DropCapabilities(kFilesAndHandles) has left: the eight, or DAC_READ_SEARCH alone.
absl::Status KeepFileCapabilities();
absl::Status KeepHandleCapability();

}  // namespace fsd::sandbox

#endif  // FSD_SERVER_SANDBOX_CAPABILITIES_H_
