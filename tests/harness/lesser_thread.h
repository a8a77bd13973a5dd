// A thread that may do less than the test: credentials and capabilities belong to threads, and what
// it starts inherits them, a supervisor with its workers too.
#ifndef FSD_TESTS_HARNESS_LESSER_THREAD_H_
#define FSD_TESTS_HARNESS_LESSER_THREAD_H_

#include <sys/types.h>

#include <functional>
#include <initializer_list>
#include <string>

namespace fsd::harness {

// Runs `body` in a thread without these capabilities, for good. Needs real root.
void RunWithout(std::initializer_list<int> capabilities, const std::function<void()>& body);

// Runs `body` in a thread of an ordinary user, who has no capability and no group but `id`. If
// `subordinate_ids` is not empty, it is what /etc/subuid and /etc/subgid hold for that thread.
// Needs real root.
void RunAs(uid_t id, const std::string& subordinate_ids, const std::function<void()>& body);

}  // namespace fsd::harness

#endif  // FSD_TESTS_HARNESS_LESSER_THREAD_H_
