// VirtioFsDevice: the virtio-fs device (virtio 1.2 §5.11): a high-priority queue, request queues
// and a configuration space, in front of one FUSE session.
//
// Of the control thread, which it never blocks: what has to wait for requests in flight ends with a
// task on the control thread's queue.
#ifndef FSD_SERVER_WORKER_VIRTIO_FS_DEVICE_H_
#define FSD_SERVER_WORKER_VIRTIO_FS_DEVICE_H_

#include <array>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "server/fuse/session.h"
#include "server/os/cycle_clock.h"
#include "server/os/thread.h"
#include "server/telemetry/export_counters.h"
#include "server/vhost_user/device.h"
#include "server/worker/adaptive_poll.h"
#include "server/worker/memory_leases.h"
#include "server/worker/notifier.h"
#include "server/worker/queue_thread.h"
#include "server/worker/request_limits.h"
#include "server/worker/slow_lane.h"
#include "server/worker/stuck_watch.h"
#include "server/worker/task_queue.h"

namespace fsd::worker {

class VirtioFsDevice final : public vhost_user::Device, private SlowLane::Job {
 public:
  struct Options {
    std::string export_name;    // for the log
    std::string tag;            // at most kMaxTagBytes
    size_t request_queues = 1;  // 1 … kMaxRequestQueues
    // The longest that a ring's thread looks out for a request before it sleeps (AdaptivePoll).
    AdaptivePoll::Duration poll{0};
    size_t slow_threads = 4;
    // Threads that take over rings, besides one for each started ring.
    size_t spare_threads = 4;
    // How long requests in flight are waited for when a ring stops or loses memory; after that
    // guest memory is taken from them and the ring is suspended.
    absl::Duration drain_patience = absl::Seconds(1);
    // Begun; calibrated before the first request. Without one, a clock of its own.
    std::optional<os::CycleClock> clock;
    // Without any, those that nobody reads.
    std::shared_ptr<const telemetry::ExportCounters> counters;
    // Requests that take longer are slow; 0: none is.
    std::chrono::nanoseconds slow_request{0};
    // Of requests on the request queues; the high-priority queue has no limits.
    RequestLimits::Rates limits;
    RequestLimits::Clock limits_clock = std::chrono::steady_clock::now;
    // Each time Reset has ended the guest's session. Control thread.
    std::function<void()> on_session_ended = [] {};
  };
  static constexpr size_t kMaxTagBytes = 36;
  static constexpr size_t kMaxRequestQueues = 255;

  // `session` and `tasks` outlive the device. INVALID_ARGUMENT: a bad tag or number of queues.
  // RESOURCE_EXHAUSTED: no timer.
  static absl::StatusOr<std::unique_ptr<VirtioFsDevice>> Create(Options options,
                                                                fuse::Session& session,
                                                                TaskQueue& tasks);
  // Only when no vring runs: before the first start, or after Reset's `done`. Tasks that are still
  // queued then must not be run.
  ~VirtioFsDevice() override;

  // Readable when OnTick is due: while rings are being served, not while all of them sleep.
  int tick_fd() const { return watch_->fd(); }
  // Gives rings whose thread is stuck to others, and ends drains that take too long.
  void OnTick();

  // From now on, for requests that wait because of the earlier ones too.
  void SetLimits(const RequestLimits::Rates& limits) { limits_.Set(limits); }
  // Rings that wait because of them.
  size_t throttled_rings() const { return limits_.waiting(); }

  size_t queue_count() const override { return vrings_.size(); }
  std::span<const std::byte> config() const override { return config_; }
  void SetMemory(std::shared_ptr<const virtqueue::GuestMemory> memory,
                 std::function<void()> done) override;
  void SetDirtyLog(std::shared_ptr<const virtqueue::DirtyLog> log) override;
  absl::Status StartVring(size_t index, vhost_user::VringStart start) override;
  void StopVring(size_t index, std::function<void(uint16_t)> done) override;
  void SetVringEnabled(size_t index, bool enabled) override;
  void SetVringCall(size_t index, os::UniqueFd call) override;
  void SetVringError(size_t index, os::UniqueFd error) override;
  // Memory and dirty log stay. A function that an earlier call was given and that has not been
  // called by now, will not be: its connection may be gone.
  void Reset(std::function<void()> done) override;
  // As Options::slow_request, from now on.
  void SetSlowRequest(std::chrono::nanoseconds slow) { slow_requests_.SetThreshold(slow); }
  // A request that waits for its answer.
  struct InFlight {
    size_t queue = 0;
    uint32_t opcode = 0;
    uint64_t unique = 0;
    uint64_t node = 0;
    std::chrono::nanoseconds age{0};
  };
  struct InFlightList {
    std::vector<InFlight> oldest;  // the oldest first
    uint64_t total = 0;            // with those that found no place
  };
  // Of this very moment, at most `max_requests`. Does not wait for any of them.
  InFlightList ListInFlight(size_t max_requests) const;

  // Whether requests that a reset or another guest has left behind have not ended: the destructor
  // would wait for them.
  bool stuck() const { return !leaving_.empty(); }

 private:
  struct Vring {
    Notifier call;
    Notifier error;
    bool enabled = false;
    // While the ring runs or is being stopped.
    std::unique_ptr<QueueThread> thread;
    bool stopping = false;
    std::function<void(uint16_t)> on_stopped;
    // Stopped while requests in flight did not end; they are completed when it starts again.
    std::unique_ptr<QueueThread> suspended;
    // The last run's, for a StopVring of a ring that does not run.
    uint16_t next_available = 0;
  };

  VirtioFsDevice(Options options, fuse::Session& session, TaskQueue& tasks,
                 std::unique_ptr<StuckWatch> watch, std::unique_ptr<SlowLane> slow_lane);

  size_t RunningVrings() const;
  bool AnyAwake() const;

  // Whether a drain is under way.
  bool Draining() const;
  // Goes as far as it can towards the end of a drain without the requests in flight.
  void EndDrain();
  bool Stopping() const;
  // Makes every thread forget guest memory that requests are to lose. False: not all have.
  bool RenewMemory();
  // Leaves the drain to the requests in flight for another while.
  void CannotEndDrain(const absl::Status& why);
  absl::Status ResumeVring(Vring& vring, QueueSetup& setup);
  void Discard(std::unique_ptr<QueueThread> suspended);

  void BeginStop(size_t index);
  void OnVringStopped(size_t index);
  // Calls what StopVring was given, unless a Reset has dropped it.
  void AnswerStop(size_t index);
  void EndSessionIfIdle();
  void OnSessionEnded();
  // Resets the session, on its own thread or in the slow lane.
  void Run() override;

  const Options options_;  // with its clock and counters
  fuse::Session& session_;
  TaskQueue& tasks_;
  std::array<std::byte, kMaxTagBytes + sizeof(uint32_t)> config_;
  SlowRequestLog slow_requests_;
  RequestLimits limits_;
  MemoryLeases memory_;
  std::atomic<int> busy_rings_ = 0;
  std::shared_ptr<const virtqueue::DirtyLog> log_;
  std::vector<std::unique_ptr<Vring>> vrings_;

  // Discarded rings whose requests have not ended.
  std::vector<std::unique_ptr<QueueThread>> leaving_;

  // A drain, anew whenever another ring begins to stop: its requests have their time, too, and may
  // have taken the memory that the others were to be left behind with.
  struct Drain {
    // Of the tick that saw it under way first, or tried to end it last. By the clock, as ticks are
    // late on a busy host.
    std::optional<std::chrono::steady_clock::time_point> since;
    bool memory_renewed = false;
    bool told = false;  // that it cannot be ended
  };
  Drain drain_;

  // stopping the rings → ending the session (on a thread of its own) → none
  enum class ResetPhase { kNone, kStoppingRings, kEndingSession };
  ResetPhase reset_phase_ = ResetPhase::kNone;
  std::function<void()> on_reset_;

  const std::unique_ptr<StuckWatch> watch_;
  // Last: their threads use all of the above.
  const std::unique_ptr<SlowLane> slow_lane_;
  // Ends the session. Its own thread, as those of the lanes may all be stuck.
  os::Thread teardown_;
  std::unique_ptr<SlowLane> ring_lane_;  // from the first start of a ring to the session's end
};

}  // namespace fsd::worker

#endif  // FSD_SERVER_WORKER_VIRTIO_FS_DEVICE_H_
