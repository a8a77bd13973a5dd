// Thread: a named thread with every signal blocked.
//
// Unlike std::thread it reports that none could be made (the cgroup's pids.max) instead of
// throwing.
#ifndef FSD_SERVER_OS_THREAD_H_
#define FSD_SERVER_OS_THREAD_H_

#include <pthread.h>

#include <functional>
#include <utility>

#include "server/errors/errno_or.h"

namespace fsd::os {

class Thread {
 public:
  // Runs `body` in a new thread. `name` is what ps(1) shows, at most 15 bytes. EAGAIN: no thread
  // left.
  static ErrnoOr<Thread> Start(const char* name, std::function<void()> body);

  Thread() = default;
  Thread(Thread&& other) noexcept
      : thread_(other.thread_), joinable_(std::exchange(other.joinable_, false)) {}
  Thread& operator=(Thread&& other) noexcept;
  // Joins.
  ~Thread() { Join(); }

  // Waits for the thread to end. At once if there is none.
  void Join();

 private:
  explicit Thread(pthread_t thread) : thread_(thread), joinable_(true) {}

  pthread_t thread_{};
  bool joinable_ = false;
};

}  // namespace fsd::os

#endif  // FSD_SERVER_OS_THREAD_H_
