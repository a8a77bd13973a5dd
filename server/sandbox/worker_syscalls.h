// The system calls of a worker's processes, each with the code that needs it: the list is the
// audit. A call that no row allows is a bug here or an attack; both end the process.
#ifndef FSD_SERVER_SANDBOX_WORKER_SYSCALLS_H_
#define FSD_SERVER_SANDBOX_WORKER_SYSCALLS_H_

#include <vector>

#include "server/sandbox/seccomp_filter.h"

namespace fsd::sandbox {

std::vector<AllowedSyscall> KeeperSyscalls();
std::vector<AllowedSyscall> DataPlaneSyscalls();
std::vector<AllowedSyscall> HandleKeeperSyscalls();

}  // namespace fsd::sandbox

#endif  // FSD_SERVER_SANDBOX_WORKER_SYSCALLS_H_
