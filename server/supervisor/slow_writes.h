// SlowWrites: writes to the kernel's files that may take their time, as that of a lower memory.max,
// which first has memory given back.
//
// One after another, in the order in which they were asked for, on a thread that is there while
// there is something to write. Whoever asks does not wait, nor does who ends.
//
// Any thread.
#ifndef FSD_SERVER_SUPERVISOR_SLOW_WRITES_H_
#define FSD_SERVER_SUPERVISOR_SLOW_WRITES_H_

#include <deque>
#include <functional>
#include <memory>
#include <string>

#include "server/errors/errno_or.h"
#include "server/os/mutex.h"
#include "server/os/unique_fd.h"

namespace fsd::supervisor {

class SlowWrites : public std::enable_shared_from_this<SlowWrites> {
 public:
  using Done = std::function<void(ErrnoOr<void>)>;

  static std::shared_ptr<SlowWrites> Create();

  // Writes `text` in one piece. `done`: once, on the thread that has written; without a thread to
  // be had, that is the caller's.
  void Write(os::UniqueFd file, std::string text, Done done);

 private:
  struct Task {
    os::UniqueFd file;
    std::string text;
    Done done;
  };

  SlowWrites() = default;
  void Run();

  os::Mutex mutex_;
  bool running_ ABSL_GUARDED_BY(mutex_) = false;
  std::deque<Task> tasks_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace fsd::supervisor

#endif  // FSD_SERVER_SUPERVISOR_SLOW_WRITES_H_
