// MemoryLeases: the present table of guest memory, and who still uses an earlier one.
//
// Whoever touches guest memory holds a lease, a shared pointer to the table. When the table is
// replaced by one that lacks a region, the front-end is answered once every lease on an earlier
// table is given back; a table that only grows makes nobody wait.
#ifndef FSD_SERVER_WORKER_MEMORY_LEASES_H_
#define FSD_SERVER_WORKER_MEMORY_LEASES_H_

#include <atomic>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "server/errors/errno_or.h"
#include "server/os/mutex.h"
#include "server/virtqueue/guest_memory.h"
#include "server/worker/task_queue.h"

namespace fsd::worker {

using MemoryLease = std::shared_ptr<const virtqueue::GuestMemory>;

class MemoryLeases {
 public:
  // Starts with a table without regions. `tasks` is the control thread's.
  explicit MemoryLeases(TaskQueue& tasks);
  MemoryLeases(const MemoryLeases&) = delete;
  MemoryLeases& operator=(const MemoryLeases&) = delete;

  // Any thread. Changes with each Replace; a lease taken at another generation is out of date.
  uint64_t generation() const { return generation_.load(std::memory_order_acquire); }
  // Any thread. Never null. Sets `generation` to the lease's.
  MemoryLease Take(uint64_t& generation);

  // Control thread. `done` runs there, later, when nobody uses a region that `memory` lacks.
  void Replace(std::shared_ptr<const virtqueue::GuestMemory> memory, std::function<void()> done);
  // Control thread. Whether a Replace has not been answered.
  bool waiting() const { return !waiting_.empty(); }
  // Control thread. Makes the present table one of new mappings, as if it had been replaced, so
  // that the earlier ones can be revoked. RESOURCE_EXHAUSTED.
  absl::Status Renew();
  // Control thread. Revokes what earlier tables have and the present one has not, and answers who
  // waits for them, within the call. Only what is in flight may still use an earlier table. As
  // GuestMemory::Revoke.
  ErrnoOr<void> RevokeEarlier();
  // Control thread. The functions that still wait will not be called.
  void ForgetWaiting() { waiting_.clear(); }
  // The present table, held by no lease: for the rings' areas, which stay mapped as long as they
  // run, whatever becomes of the table.
  std::shared_ptr<const virtqueue::GuestMemory> table() const { return table_; }

 private:
  struct Waiting {
    uint64_t generation;  // until no lease is older than this
    std::function<void()> done;
  };

  MemoryLease MakeLease(uint64_t generation);
  void Released(uint64_t generation);
  void AnswerWaiting();

  TaskQueue& tasks_;
  std::atomic<uint64_t> generation_ = 0;
  os::Mutex mutex_;
  MemoryLease lease_ ABSL_GUARDED_BY(mutex_);

  // The control thread's.
  std::shared_ptr<const virtqueue::GuestMemory> table_;
  // The tables that have leases and are not revoked, by their generations.
  std::map<uint64_t, std::weak_ptr<const virtqueue::GuestMemory>> live_;
  std::deque<Waiting> waiting_;
};

}  // namespace fsd::worker

#endif  // FSD_SERVER_WORKER_MEMORY_LEASES_H_
