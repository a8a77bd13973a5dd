// A process that asks for what another holds: the lock checks' proof that a call blocks.
#ifndef TESTS_SEMANTICS_WAITER_H_
#define TESTS_SEMANTICS_WAITER_H_

#include <sys/types.h>

#include <functional>

#include "tests/semantics/check.h"
#include "tests/semantics/process.h"

namespace posix_check {

class Waiter {
 public:
  // `ask` runs in the new process, which is ended when it has not returned after some seconds. The
  // constructor returns when the process sleeps in it or has returned from it; where there is no
  // /proc to tell, as soon as it is about to ask.
  explicit Waiter(std::function<int()> ask);
  ~Waiter();
  Waiter(const Waiter&) = delete;
  Waiter& operator=(const Waiter&) = delete;

  bool returned() const;
  // Waits for its end; what `ask` returned.
  int Wait() { return peer_.Wait(); }
  pid_t pid() const { return peer_.pid(); }

 private:
  struct Progress;
  void AwaitSleep();

  Progress* progress_;  // shared with the process
  Peer peer_;
};

// `ask` must wait in another process until `release` has been called in this one, and then return
// 0. Both return an errno, 0 for success.
void CheckWaits(Report& r, std::function<int()> ask, const std::function<int()>& release);

}  // namespace posix_check

#endif  // TESTS_SEMANTICS_WAITER_H_
