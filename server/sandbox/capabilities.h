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

// For a jail whose file system devices could be opened in, and a supervisor that may have none of
// them: keeps, of the same, what is there, but never MKNOD; and, until KeepFileCapabilities or
// KeepHandleCapability, SYS_ADMIN if `mounting`. Without SETPCAP the bounding set and what uid 0
// means for execve stay as they are; no_new_privs makes them powerless.
absl::Status DropAllCapabilitiesBut(Capabilities kept, bool mounting);

// Whether DAC_READ_SEARCH is there to keep: containers are rarely given it.
bool MayOpenHandles();

// Of what is left with kFilesAndHandles: those of kFiles, or DAC_READ_SEARCH alone.
absl::Status KeepFileCapabilities();
absl::Status KeepHandleCapability();

}  // namespace fsd::sandbox

#endif  // FSD_SERVER_SANDBOX_CAPABILITIES_H_
