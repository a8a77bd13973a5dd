// The wall around devices: nobody in a cgroup (v2) opens one, whatever mount it is on and whatever
// capability he has. They can still be made, and whoever may remove files removes them.
//
// Source: bpf(2), BPF_PROG_TYPE_CGROUP_DEVICE; the kernel's admin-guide/cgroup-v2.rst, "Device
// controller", which takes no controller but CONFIG_CGROUP_BPF.
#ifndef FSD_SERVER_SUPERVISOR_DEVICE_WALL_H_
#define FSD_SERVER_SUPERVISOR_DEVICE_WALL_H_

#include "server/errors/errno_or.h"

namespace fsd::supervisor {

// For those who are in the cgroup and those who will be, as long as it is there; once more changes
// nothing. What they have open already they keep. `cgroup`: its directory, O_PATH is enough. EPERM
// without CAP_SYS_ADMIN.
ErrnoOr<void> ForbidDevices(int cgroup);

}  // namespace fsd::supervisor

#endif  // FSD_SERVER_SUPERVISOR_DEVICE_WALL_H_
