#include "server/supervisor/cancellation.h"

#include <utility>

namespace fsd::supervisor {

void Cancellation::Cancel() {
  std::function<void()> listener;
  {
    const os::MutexLock lock(mutex_);
    cancelled_ = true;
    listener = std::exchange(listener_, nullptr);
  }
  if (listener != nullptr) listener();
}

void Cancellation::SetListener(std::function<void()> cancelled) {
  {
    const os::MutexLock lock(mutex_);
    if (!cancelled_) {
      listener_ = std::move(cancelled);
      return;
    }
  }
  if (cancelled != nullptr) cancelled();
}

}  // namespace fsd::supervisor
