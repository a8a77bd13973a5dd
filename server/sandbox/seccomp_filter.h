// A seccomp(2) filter: the system calls a process may still make. Any other kills it.
#ifndef FSD_SERVER_SANDBOX_SECCOMP_FILTER_H_
#define FSD_SERVER_SANDBOX_SECCOMP_FILTER_H_

#include <cstdint>
#include <span>

#include "absl/status/status.h"

namespace fsd::sandbox {

// Holds when (the argument & mask) == value.
struct ArgumentCheck {
  unsigned argument = 0;  // 0 … 5
  uint64_t mask = 0;      // 0: nothing is checked
  uint64_t value = 0;
};

// One row of an allow-list. Several rows of one call are alternatives.
struct AllowedSyscall {
  int number;  // SCMP_SYS(name); one that this architecture lacks is skipped
  ArgumentCheck check = {};
};

// Confines the process, every thread of it, to `allowed`. clone3, whose flags a filter
// cannot see, fails with ENOSYS, on which glibc falls back to clone. What is not allowed, and any
// call of another architecture, ends the process with SIGSYS.
absl::Status LoadSeccompFilter(std::span<const AllowedSyscall> allowed);

}  // namespace fsd::sandbox

#endif  // FSD_SERVER_SANDBOX_SECCOMP_FILTER_H_
