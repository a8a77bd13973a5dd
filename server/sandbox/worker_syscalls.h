// The system calls of a worker's processes, each with the code that needs it: the list is the
// audit. A call that no row allows is a bug here or an attack; both end the process, unless the
// export says otherwise. tests/integration/missing_syscalls_test looks for bugs.
//
// What is dangerous has its arguments checked: clone, fcntl, ioctl and prctl by their command,
// memory that is mapped or protected for not being executable, signals for going to oneself. What
// every request may need (openat, statx, preadv2 …) has not: the kernel then answers from a bitmap,
// without running the filter. So openat takes any flags; where it may lead is for the mounts and
// Landlock.
#ifndef FSD_SERVER_SANDBOX_WORKER_SYSCALLS_H_
#define FSD_SERVER_SANDBOX_WORKER_SYSCALLS_H_

#include <vector>

#include "server/sandbox/seccomp_filter.h"

namespace fsd::sandbox {

// What an export's worker does beyond reading files.
struct DataPlaneNeeds {
  bool writes = true;        // not a read-only export
  bool locks = true;         // shared with others
  bool xattrs = true;        // extended attributes
  bool host_handles = true;  // there is a handle keeper
};

std::vector<AllowedSyscall> KeeperSyscalls();
std::vector<AllowedSyscall> DataPlaneSyscalls(const DataPlaneNeeds& needs);
std::vector<AllowedSyscall> HandleKeeperSyscalls(const DataPlaneNeeds& needs);

}  // namespace fsd::sandbox

#endif  // FSD_SERVER_SANDBOX_WORKER_SYSCALLS_H_
