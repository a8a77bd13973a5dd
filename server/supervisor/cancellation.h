// Cancellation: how a caller that has gone away is told to whoever still works for it.
//
// Any thread.
#ifndef FSD_SERVER_SUPERVISOR_CANCELLATION_H_
#define FSD_SERVER_SUPERVISOR_CANCELLATION_H_

#include <functional>

#include "absl/base/thread_annotations.h"
#include "server/os/mutex.h"

namespace fsd::supervisor {

class Cancellation {
 public:
  // The caller is gone. More than once is as once.
  void Cancel();
  // `cancelled` runs once, on the thread that cancels; at once if that has happened. Replaces an
  // earlier one that has not run; null: nobody listens any more. It must not call back.
  void SetListener(std::function<void()> cancelled);

 private:
  os::Mutex mutex_;
  bool cancelled_ ABSL_GUARDED_BY(mutex_) = false;
  std::function<void()> listener_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace fsd::supervisor

#endif  // FSD_SERVER_SUPERVISOR_CANCELLATION_H_
