// QueueThread: a started vring and the thread that serves it.
//
// Kick → pop a batch → serve each request inline, straight from and into guest memory → push used →
// one call at the end if the driver wants one. What is known to block goes to the slow lane; that
// and what the backend leaves pending is completed, and called for, from other threads.
//
// The kick's descriptor is the front-end's, so it is only waited for (edge-triggered) and never
// read: a read could block, or take what somebody else waits for.
//
// Threads: made, controlled and destroyed by the control thread, whose calls never block.
#ifndef FSD_SERVER_WORKER_QUEUE_THREAD_H_
#define FSD_SERVER_WORKER_QUEUE_THREAD_H_

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "absl/base/thread_annotations.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "server/fuse/request.h"
#include "server/fuse/session.h"
#include "server/os/event_fd.h"
#include "server/os/mutex.h"
#include "server/os/thread.h"
#include "server/os/unique_fd.h"
#include "server/virtqueue/dirty_log.h"
#include "server/virtqueue/virtqueue.h"
#include "server/worker/memory_leases.h"
#include "server/worker/notifier.h"
#include "server/worker/request_slot.h"
#include "server/worker/slow_lane.h"
#include "server/worker/task_queue.h"

namespace fsd::worker {

// What every queue of a device shares. Outlives its queue threads.
struct QueueServices {
  std::string export_name;  // for the log
  fuse::Session& session;
  SlowLane& slow_lane;
  MemoryLeases& memory;
  TaskQueue& tasks;  // the control thread's
};

// One vring's set-up. `call` and `error` outlive the queue thread.
struct QueueSetup {
  size_t index = 0;  // for the log
  std::unique_ptr<virtqueue::Virtqueue> queue;
  os::UniqueFd kick;  // invalid: the ring is looked at again and again
  bool enabled = false;
  Notifier& call;
  Notifier& error;
  std::shared_ptr<const virtqueue::DirtyLog> log;
};

class QueueThread final : private fuse::RequestOwner {
 public:
  // INVALID_ARGUMENT: the kick is no descriptor for this. RESOURCE_EXHAUSTED: memory, descriptors
  // or threads.
  static absl::StatusOr<std::unique_ptr<QueueThread>> Start(const QueueServices& services,
                                                            QueueSetup setup);
  // Once Stop's `stopped` has been called.
  ~QueueThread();

  // Takes no more from the ring. `stopped` runs on the control thread once the thread has left the
  // ring and every request in flight is completed: from then on no guest memory is written. Once.
  void Stop(std::function<void()> stopped);
  void SetEnabled(bool enabled);
  // Returns when nothing is completed any more without being marked in `log`.
  void SetDirtyLog(std::shared_ptr<const virtqueue::DirtyLog> log);
  // Makes the thread give back its lease on guest memory if that is out of date.
  void RefreshMemory() { wake_.Signal(); }

  // Once stopped: the index of the next chain that has not been popped.
  uint16_t next_available() const { return queue_->next_available(); }

 private:
  QueueThread(const QueueServices& services, QueueSetup setup, SlotTable slots, os::EventFd wake,
              os::UniqueFd epoll);

  // The thread's.
  void Loop();
  void TakeMemory();
  bool Serving() const;
  // Serves until the ring is empty, or the thread is to stop or pause.
  void ServeRing();
  // Serves some requests without a call. False if the ring had no more.
  bool ServeBatch();
  void ServeHead(uint16_t head);
  void Refuse(const std::string& reason);

  // Any thread's.
  void OnReplied(fuse::Request& request, uint32_t written) override;
  void MarkWritten(const RequestSlot& slot, size_t written)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(publish_mutex_);
  void CallIfNeeded();
  // Keeps Stop's `stopped` from being called.
  void Hold() { holds_.fetch_add(1, std::memory_order_relaxed); }
  void Release();

  const QueueServices services_;
  const size_t index_;
  const std::unique_ptr<virtqueue::Virtqueue> queue_;
  const os::UniqueFd kick_;
  Notifier& call_;
  Notifier& error_;
  const os::EventFd wake_;
  const os::UniqueFd epoll_;  // kick_ and wake_

  std::atomic<bool> enabled_;
  std::atomic<bool> stopping_ = false;
  // The thread itself, each detached request, and each other thread that is completing one.
  std::atomic<size_t> holds_ = 1;
  std::function<void()> stopped_;  // written before stopping_, read by the last hold

  // Completing a request takes no other lock, and none but the virtqueue's own inside it.
  os::Mutex publish_mutex_;
  std::shared_ptr<const virtqueue::DirtyLog> log_ ABSL_GUARDED_BY(publish_mutex_);

  // The thread's.
  SlotTable slots_;
  MemoryLease memory_;
  uint64_t memory_generation_ = 0;
  bool refused_ = false;  // the driver broke the rules; nothing more is popped
  absl::Time next_warning_ = absl::InfinitePast();

  os::Thread thread_;  // last: it uses all of the above
};

}  // namespace fsd::worker

#endif  // FSD_SERVER_WORKER_QUEUE_THREAD_H_
