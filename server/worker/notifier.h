// Notifier: tells the other side of a vring something, through an eventfd that it gave us.
//
// The descriptor comes from the front-end, may be replaced at any time and need not be an eventfd
// (User Mode Linux hands a pipe's end). What could stall the writer for ever is kept out: files and
// devices are refused, and a blocking descriptor is written only while there is room.
#ifndef FSD_SERVER_WORKER_NOTIFIER_H_
#define FSD_SERVER_WORKER_NOTIFIER_H_

#include <memory>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "server/os/mutex.h"
#include "server/os/unique_fd.h"

namespace fsd::worker {

// OK if `fd` is something whose readiness only programs change: an eventfd, a pipe or a socket.
// Never blocks. INVALID_ARGUMENT otherwise.
absl::Status CheckNotificationFd(int fd);

// Any thread may call both.
class Notifier {
 public:
  // Writes to `fd` from now on; an invalid one means nobody listens. If somebody was to be told
  // while nobody listened, the new one is told at once.
  // INVALID_ARGUMENT: not a descriptor for this (CheckNotificationFd); then nobody listens.
  absl::Status Set(os::UniqueFd fd);
  void Notify();

 private:
  struct Target {
    os::UniqueFd fd;
    bool may_block = false;
  };

  os::Mutex mutex_;
  // Shared with whoever is writing to it.
  std::shared_ptr<const Target> target_ ABSL_GUARDED_BY(mutex_);
  bool missed_ ABSL_GUARDED_BY(mutex_) = false;
};

}  // namespace fsd::worker

#endif  // FSD_SERVER_WORKER_NOTIFIER_H_
