// What a thread of another process asks of the kernel: exact counts of its system calls, and of the
// times that it was woken.
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
// How often each thread of the processes has been scheduled, by thread: it has grown if the thread
// has run since. (An idle machine's threads do not lose the processor but by sleeping.)
std::map<pid_t, uint64_t> ContextSwitches(const std::vector<pid_t>& processes);

// The system calls, by number, that `thread` of `process` begins from one of its waits in
// epoll_wait(2) to the first such wait at which `done` says so; that one is counted. `begin` runs
// while the thread is stopped in the first. The process's other threads stand still meanwhile.
// Aborts the test if the thread cannot be traced or ends.
std::map<int, int> SystemCallsOf(pid_t process, pid_t thread, const std::function<void()>& begin,
                                 const std::function<bool()>& done);

}  // namespace fsd::harness

#endif  // FSD_TESTS_HARNESS_SYSTEM_CALLS_H_
