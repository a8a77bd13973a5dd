// QueueThread: a started vring, and what the thread does that serves it.
//
// Kick → pop a batch → serve each request inline, straight from and into guest memory → push used →
// call after some, if the driver wants it. What is known to block goes to the slow lane; that
// and what the backend leaves pending is completed, and called for, from other threads.
//
// Any request may block, whatever its opcode, in a file system that hangs. So a ring is a job of a
// lane of threads, one for each ring and some to spare, and a thread that is stuck in one request
// loses it:
//
//   waiting for a thread ──> running ── leaves the ring as it is to stop ──> none
//       ^                      │
//       └── stuck in a request ┘
//
// (and none from anywhere when it is suspended, none ──> waiting when it is resumed)
//
// The control thread takes the ring away while the thread is in a request, by changing word_: the
// thread finds that out before it touches the ring again, and only finishes its request, which is
// detached like those of the slow lane. If no thread is left, the ring waits for one.
//
// A ring whose export's limits let it take no request waits as an idle one does, but for the
// driver's kicks: these are not asked for, and do not wake it.
//
// Threads: made, controlled and destroyed by the control thread, whose calls never block.
#ifndef FSD_SERVER_WORKER_QUEUE_THREAD_H_
#define FSD_SERVER_WORKER_QUEUE_THREAD_H_

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "server/fuse/request.h"
#include "server/fuse/session.h"
#include "server/os/close_together.h"
#include "server/os/cycle_clock.h"
#include "server/os/mutex.h"
#include "server/os/unique_fd.h"
#include "server/telemetry/export_counters.h"
#include "server/virtqueue/dirty_log.h"
#include "server/virtqueue/virtqueue.h"
#include "server/worker/adaptive_poll.h"
#include "server/worker/coalescing.h"
#include "server/worker/memory_leases.h"
#include "server/worker/notifier.h"
#include "server/worker/request_limits.h"
#include "server/worker/request_slot.h"
#include "server/worker/ring_signals.h"
#include "server/worker/slow_lane.h"
#include "server/worker/slow_request_log.h"
#include "server/worker/stuck_watch.h"
#include "server/worker/task_queue.h"

namespace fsd::worker {

// What every queue of a device shares. Outlives its queue threads.
struct QueueServices {
  std::string export_name;  // for the log
  fuse::Session& session;
  SlowLane& slow_lane;
  SlowLane& ring_lane;  // whose threads serve rings
  StuckWatch& watch;
  MemoryLeases& memory;
  TaskQueue& tasks;  // the control thread's
  const os::CycleClock& clock;
  const telemetry::ExportCounters& counters;
  SlowRequestLog& slow_requests;
  std::atomic<int>& busy_rings;  // whose threads are awake, but for those that coalesce
};

// One vring's set-up. `call` and `error` outlive the queue thread.
struct QueueSetup {
  size_t index = 0;  // for the log
  std::unique_ptr<virtqueue::Virtqueue> queue;
  os::UniqueFd kick;  // invalid: the ring is looked at again and again
  bool enabled = false;
  AdaptivePoll::Duration poll{0};
  // After requests, those that come within at most 1 ms are served together, without a kick.
  bool coalesce = false;
  RequestLimits* limits = nullptr;  // of its requests; null: none ever. Outlives the queue thread
  Notifier& call;
  Notifier& error;
  std::shared_ptr<const virtqueue::DirtyLog> log;
};

class QueueThread final : private fuse::RequestOwner,
                          private SlowLane::Job,
                          private RequestLimits::Ring {
 public:
  // There is a thread for it in the lane. INVALID_ARGUMENT: the kick is no descriptor for this.
  // RESOURCE_EXHAUSTED: memory or descriptors.
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
  // --- when requests in flight do not end after Stop ---
  //
  // Quiesce, until it succeeds; Suspend. From then on no guest memory is written but by the
  // mappings of earlier tables, which the caller revokes. What is completed is kept. Then Resume,
  // Discard, or at once Unsuspend.

  // Sees to it that no thread has the ring. False: try again, a thread is between two requests.
  bool Quiesce();
  // Whether a thread that has the ring may begin requests with memory older than this generation.
  bool MayUseEarlier(uint64_t generation);
  // False if everything is done: Stop's `stopped` is on its way.
  bool Suspend();
  // Undoes that: the requests in flight are waited for as before.
  void Unsuspend();
  // Suspended, with the earlier mappings revoked: copies what requests still have to read of their
  // arguments, so that the guest may change it.
  void KeepArguments();
  // Whether `queue` goes on where this one was suspended. After a reset of the guest it does not.
  bool ContinuedBy(const virtqueue::Virtqueue& queue);
  // Goes on with another set-up of the same ring: what was completed meanwhile is handed to the
  // driver, and what is still in flight will be. The errors leave it suspended.
  absl::Status Resume(QueueSetup setup);
  // Completes nothing any more. `gone` runs on the control thread when this can be destroyed.
  void Discard(std::function<void()> gone);

  // At each tick of the watch: if the thread is still in the request that it was in at the last
  // one, another gets the ring.
  void HandOverIfStuck();
  // Calls `visit` with what there is to see of each request in flight.
  template <typename Visit>
  void VisitInFlight(Visit visit) const {
    slots_.VisitMade([&visit](const RequestSlot& slot) {
      RequestSlot::Sight sight;
      if (slot.Look(sight)) visit(sight);
    });
  }
  // Whether the watch has to tick for this ring.
  bool awake() const { return awake_.load(std::memory_order_seq_cst); }
  // Makes the thread give back its lease on guest memory if that is out of date.
  void RefreshMemory() { signals_.Wake(); }

  // Once stopped: the index of the next chain that has not been popped.
  uint16_t next_available() const { return queue_->next_available(); }

 private:
  QueueThread(const QueueServices& services, QueueSetup setup, SlotTable slots,
              RingSignals signals);

  enum class Custody { kWaiting, kRunning, kNone };
  // One thread's time with the ring.
  struct Turn {
    uint64_t word = 0;  // what word_ is as long as the ring is this turn's
    MemoryLease memory;
    uint64_t memory_generation = 0;
    RequestSlot* slot = nullptr;  // the request it is in; none if it is closing
    // Of a ring that coalesces: what its FORGETs let go.
    std::optional<os::CloseTogether> closing;
  };
  // What came of a batch: there may be more in the ring, there is none to be served, what there is
  // has to wait (throttled_until_), or the ring was taken away.
  enum class Batch { kMore, kEnd, kThrottled, kLost };

  // In the lane: a turn.
  void Run() override;
  // The rest is the turn's that has the ring. False if the ring was taken away.
  [[nodiscard]] bool Loop(Turn& turn);
  // Serves until the ring is empty, or the thread is to stop or pause. False as Loop.
  [[nodiscard]] bool ServeRing(Turn& turn);
  // Whether the export's limits have to be asked and told.
  bool limited() const { return limits_ != nullptr && limits_->on(); }
  // Whether the next request may be taken now. If not, throttled_until_.
  bool MayTake(bool goes_on);
  // Results in the bytes that were charged.
  uint64_t Charge(const RequestSlot& slot);
  void WaitThrottled();
  void LeaveLine();
  void OnTurn() override { signals_.Wake(); }
  // Looks at the ring until there is something to serve or the window is over.
  bool Poll();
  // If other rings are busy too, lets what waits for the processor run before kicks are asked for,
  // and looks again: four rings on two processors sleep less often, and a GETATTR costs 0.57 µs
  // instead of 0.60, completed by call 0.93 instead of 1.05. A ring alone would pay a system call.
  bool GiveWay() const;
  void SetAwake(bool awake);
  // Serves some requests, and counts them in served_.
  Batch ServeBatch(Turn& turn);
  // False as Loop.
  [[nodiscard]] bool ServeHead(Turn& turn, uint16_t head);
  // Closes what the batch let go, which may block as a request may. False as Loop.
  [[nodiscard]] bool CloseForgotten(Turn& turn);
  // Holds, and leases the turn's memory, for a request that is not replied to yet.
  void Detach(RequestSlot& slot, const Turn& turn);
  void Enter(Turn& turn, RequestSlot* slot);
  [[nodiscard]] bool Leave(Turn& turn);
  void TakeMemory(Turn& turn);
  bool Serving() const;
  void Refuse(const std::string& reason);

  // Control thread: detaches the request that the running turn is in, if it is not closing. False
  // if it is in neither, or in another than when word_ was `word`. What the turn has completed is
  // the caller's to call for.
  bool TakeAway(uint64_t word) ABSL_EXCLUSIVE_LOCKS_REQUIRED(custody_mutex_);

  // Any thread's.
  void OnReplied(fuse::Request& request, uint32_t written) override;
  // Hands a request back to the driver. Its slot's lease, if it had one.
  // `nanoseconds`: that it took.
  using Show = virtqueue::Virtqueue::Show;
  MemoryLease Finish(RequestSlot& slot, uint32_t written, uint64_t nanoseconds,
                     Show show = Show::kNow) ABSL_EXCLUSIVE_LOCKS_REQUIRED(publish_mutex_);
  // Whether the driver is told of a request of the batch that took so long with one after it, or at
  // the batch's end. Nobody waits for what coalesces. Of the others it is told in fours: it wakes
  // and offers more while we go on. Told at the batch's end only, a READ of 4 KiB that is completed
  // by call costs 1.95 µs instead of 1.45, and half as many pass a second; told of each, where
  // system calls are slow, 5.4 instead of 4.6, and a fifth fewer pass. A driver with few in flight
  // is told of more: with three, fours would leave it nothing to offer, and 40 % fewer LOOKUPs
  // pass.
  bool MayTellLater(uint64_t nanoseconds) ABSL_EXCLUSIVE_LOCKS_REQUIRED(publish_mutex_);
  // Hands the driver what was completed during a suspension. Their leases, each with a hold.
  std::vector<MemoryLease> FinishCompleted() ABSL_EXCLUSIVE_LOCKS_REQUIRED(publish_mutex_);
  // The holds' and the suspension's.
  void ReleaseSuspended(std::vector<MemoryLease> leases);
  void Count(const RequestSlot& slot, uint64_t nanoseconds)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(publish_mutex_);
  [[gnu::cold]] void TellSlow(const RequestSlot& slot, uint64_t nanoseconds);
  // For what was completed, and shows it. The turn's, and the control thread's once it has taken
  // the ring away: requests that complete elsewhere call for themselves.
  void CallIfNeeded();
  bool AskForCall() ABSL_EXCLUSIVE_LOCKS_REQUIRED(publish_mutex_);
  void Submit() ABSL_EXCLUSIVE_LOCKS_REQUIRED(custody_mutex_);
  // Keeps Stop's `stopped` from being called.
  void Hold() { holds_.fetch_add(1, std::memory_order_relaxed); }
  void Release();

  const QueueServices services_;
  const size_t index_;
  // Changed by Resume only, under the publish lock. The turn reads it without.
  std::unique_ptr<virtqueue::Virtqueue> queue_;
  Notifier& call_;
  Notifier& error_;
  RingSignals signals_;

  std::atomic<bool> enabled_;
  std::atomic<bool> stopping_ = false;
  // Each turn, from its submission on, each detached request, each thread that is completing one
  // outside of a turn, and a suspension.
  std::atomic<size_t> holds_ = 0;
  std::function<void()> stopped_;  // written before stopping_, read by the last hold

  // Completing a request takes no other lock, and none but the virtqueue's own inside it.
  os::Mutex publish_mutex_;
  std::shared_ptr<const virtqueue::DirtyLog> log_ ABSL_GUARDED_BY(publish_mutex_);
  int untold_ ABSL_GUARDED_BY(publish_mutex_) = 0;  // quick requests, since the driver was told
  // Since kicks were last suppressed, and in the last time before that in which anything was
  // served: whether a call was needed. A driver that watches the ring is not asked again and again
  // after quick requests: that costs it 0.1 µs each time.
  bool called_ ABSL_GUARDED_BY(publish_mutex_) = false;
  bool driver_sleeps_ ABSL_GUARDED_BY(publish_mutex_) = true;
  enum class Publishing { kOn, kSuspended, kDiscarded };
  Publishing publishing_ ABSL_GUARDED_BY(publish_mutex_) = Publishing::kOn;
  struct Completed {
    RequestSlot* slot;
    uint32_t written;
  };
  std::vector<Completed> completed_ ABSL_GUARDED_BY(publish_mutex_);  // while suspended
  // Its answers under the publish lock, unless discarded; what it takes is the turn's to count.
  telemetry::QueueCounters counters_;

  // Odd while the turn is in a request. A turn's own changes cost no more than a store and an
  // uncontended compare-and-exchange for each request; it never repeats a value.
  std::atomic<uint64_t> word_ = 0;
  std::atomic<bool> awake_ = false;  // see SetAwake()
  uint64_t seen_word_ = 0;           // at the watch's last tick; the control thread's

  // Not held while a request is served. Before publish_mutex_.
  os::Mutex custody_mutex_;
  Custody custody_ ABSL_GUARDED_BY(custody_mutex_) = Custody::kWaiting;
  Turn* turn_ ABSL_GUARDED_BY(custody_mutex_) = nullptr;  // while running
  bool in_lane_ ABSL_GUARDED_BY(custody_mutex_) = false;  // submitted, and not begun
  std::atomic<uint64_t> memory_generation_ = 0;           // of the last turn's lease

  RequestLimits* const limits_;
  // The turn's that has the ring.
  std::optional<Coalescing> coalescing_;
  size_t served_ = 0;  // requests, since kicks were last suppressed
  SlotTable slots_;
  AdaptivePoll poll_;
  std::chrono::steady_clock::time_point idle_since_{};  // while poll_ is on
  std::optional<RequestLimits::TimePoint> throttled_until_;
  bool in_line_ = false;  // of limits_, perhaps
  bool refused_ = false;  // the driver broke the rules; nothing more is popped
  absl::Time next_warning_ = absl::InfinitePast();
};

}  // namespace fsd::worker

#endif  // FSD_SERVER_WORKER_QUEUE_THREAD_H_
