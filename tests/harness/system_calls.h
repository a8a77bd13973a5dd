// What a thread of another process asks of the kernel: exact counts of its system calls, and
// whether it was woken.
//
// Needs real root. A test that counts must run the counting on one thread from begin to end, as a
// tracer is a thread.
#ifndef FSD_TESTS_HARNESS_SYSTEM_CALLS_H_
#define FSD_TESTS_HARNESS_SYSTEM_CALLS_H_

#include <sys/types.h>

#include <cstdint>
#include <functional>
#include <map>
#include <vector>

namespace fsd::harness {

// The process and all its descendants.
std::vector<pid_t> ProcessTree(pid_t root);
// The threads of a process.
std::vector<pid_t> ThreadsOf(pid_t process);
// How long each thread of the processes has run, in nanoseconds, by thread: exact for one that
// sleeps, and grown if it has been woken since.
std::map<pid_t, uint64_t> RunTimes(const std::vector<pid_t>& processes);

// The system calls, by number, that `thread` of `process` begins from one of its waits in
// epoll_wait(2) to the first such wait at which `done` says so; that one is counted. `begin` runs
// while the thread is stopped in the first. The process's other threads stand still meanwhile.
// Aborts the test if the thread cannot be traced or ends.
std::map<int, int> SystemCallsOf(pid_t process, pid_t thread, const std::function<void()>& begin,
                                 const std::function<bool()>& done);

}  // namespace fsd::harness

#endif  // FSD_TESTS_HARNESS_SYSTEM_CALLS_H_
