// ProcessUsage: what a process holds, by /proc: to see that it does not grow.
#ifndef FSD_TESTS_HARNESS_PROCESS_USAGE_H_
#define FSD_TESTS_HARNESS_PROCESS_USAGE_H_

#include <sys/types.h>

#include <cstddef>
#include <ostream>
#include <vector>

namespace fsd::harness {

struct ProcessUsage {
  size_t fds = 0;
  size_t mappings = 0;
  size_t anonymous_kib = 0;  // RssAnon
};
std::ostream& operator<<(std::ostream& out, const ProcessUsage& usage);

// Zeros of a process that is not there.
ProcessUsage UsageOf(pid_t pid);
// A worker's processes, the keeper (whose pid the supervisor knows) first.
std::vector<pid_t> ProcessesOf(pid_t keeper);
// Of all of them together.
ProcessUsage UsageOfWorker(pid_t keeper);

}  // namespace fsd::harness

#endif  // FSD_TESTS_HARNESS_PROCESS_USAGE_H_
