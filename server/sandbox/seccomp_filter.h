// A seccomp(2) filter: the system calls a process may still make. By default, any other kills it.
#ifndef FSD_SERVER_SANDBOX_SECCOMP_FILTER_H_
#define FSD_SERVER_SANDBOX_SECCOMP_FILTER_H_

#include <linux/filter.h>

#include <cstdint>
#include <span>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace fsd::sandbox {

// Stands for the id of the process that installs the filter, as that sees it: no process has it
// (PID_MAX_LIMIT is 2^22).
inline constexpr uint32_t kInstallingProcess = 0x7fedcba9;

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

// What becomes of a call that is not on the list. kLog: it is made, and the kernel logs it. kOff:
// everything is allowed, and there is no filter.
enum class SeccompAction { kKill, kErrno, kLog, kOff };

// A compiled list. Compiling takes memory and time, installing neither: compile before a fork what
// the processes to come will install.
class SeccompFilter {
 public:
  static absl::StatusOr<SeccompFilter> Compile(std::span<const AllowedSyscall> allowed,
                                               SeccompAction otherwise = SeccompAction::kKill);

  // Confines the process, every thread of it, to what is allowed. clone3, whose flags a filter
  // cannot see, fails with ENOSYS, on which glibc falls back to clone. What is not allowed, and any
  // call of another architecture, ends the process with SIGSYS, fails with EPERM or is logged. In
  // each process, after the fork that made it: kInstallingProcess becomes its id.
  absl::Status Install() const;

 private:
  explicit SeccompFilter(std::vector<sock_filter> program) : program_(std::move(program)) {}

  std::vector<sock_filter> program_;  // empty: kOff
};

}  // namespace fsd::sandbox

#endif  // FSD_SERVER_SANDBOX_SECCOMP_FILTER_H_
