// What a program's workers ask of the kernel, and what of it their lists of system calls would not
// let them.
//
// The program, with all processes and threads that come of it, is traced. Those of fsd-worker are
// stopped at each system call; the filter that the process has installed itself, taken from its
// memory, is asked what it makes of the call. So it is the list that ships that is looked at,
// argument checks and all, and every missing call is found at once.
//
// Needs real root. One thread, as a tracer is a thread.
#ifndef FSD_TESTS_HARNESS_FILTERED_CALLS_H_
#define FSD_TESTS_HARNESS_FILTERED_CALLS_H_

#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace fsd::harness {

struct FilteredCalls {
  int exit_status = -1;  // the program's; 128 + N if signal N ended it
  int filters = 0;       // that were installed
  // Behind a filter, by name: how many, and of those that were not allowed the arguments of the
  // first.
  std::map<std::string, uint64_t> made;
  std::map<std::string, std::string> not_allowed;
};

// Runs `command`, its path first, with `environment` ("NAME=value") in addition, to its end.
FilteredCalls TraceWorkersOf(const std::vector<std::string>& command,
                             const std::vector<std::string>& environment);

}  // namespace fsd::harness

#endif  // FSD_TESTS_HARNESS_FILTERED_CALLS_H_
