// RequestSlot: where one request lives from its ring to its reply.
//
// One for each descriptor head of a ring, so a request costs no allocation and a pending one finds
// its way back by its slot; and one that whatever comes uses if it is free, as it is after each
// request that is served at once: what that touches stays in the cache. A slot is made when it is
// first needed: the heads that a guest never uses cost no memory.
//
// A slot's states, and who moves it:
//
//   free ── queue thread takes it ──> inline ── replied ──> free
//                                       │
//                                       └─ queue thread lets go of it ──> detached ── replied ──>
//                                       free
//
// While inline, the queue thread holds the guest memory for it. Detached (in the slow lane, or
// pending in the backend) it holds its own lease.
#ifndef FSD_SERVER_WORKER_REQUEST_SLOT_H_
#define FSD_SERVER_WORKER_REQUEST_SLOT_H_

#include <sys/uio.h>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

#include "server/errors/errno_or.h"
#include "server/fuse/request.h"
#include "server/fuse/session.h"
#include "server/os/mapped_memory.h"
#include "server/virtqueue/virtqueue.h"
#include "server/worker/memory_leases.h"
#include "server/worker/slow_lane.h"

namespace fsd::worker {

class RequestSlot final : public fuse::Request, public SlowLane::Job {
 public:
  explicit RequestSlot(fuse::Session& session) : session_(session) {}

  // While taken.
  uint16_t head() const { return head_; }
  const virtqueue::Chain& chain() const { return chain_; }
  const virtqueue::GuestMemory& memory() const { return *memory_; }

  // Detach and Free take turns: the ring's publish lock is held, or no one else knows of the
  // request yet.

  // The slot gets its own lease. False, and no lease, if it has been replied to meanwhile; it is
  // then free.
  bool Detach(const MemoryLease& lease);
  // Whoever was told of the reply: frees the slot and gives back the lease it had, null if none.
  // The slot is not touched after this.
  MemoryLease Free();
  // Whether it has its own lease.
  bool detached() const { return state_.load(std::memory_order_acquire) == State::kDetached; }
  // Whether Detach has something to do. Queue thread.
  bool taken() const { return state_.load(std::memory_order_acquire) != State::kFree; }
  // What anybody may see of a request that is in flight.
  struct Sight {
    uint64_t since = 0;  // a look at the cycle clock
    uint64_t unique = 0;
    uint64_t node = 0;
    uint32_t opcode = 0;
  };
  // Queue thread, once the request is prepared.
  void Show(uint64_t since);
  // Bytes that the export's limits have been charged for it. Queue thread; who is told of the
  // reply.
  void set_charged_bytes(uint64_t bytes) { charged_bytes_ = bytes; }
  uint64_t charged_bytes() const { return charged_bytes_; }
  uint64_t since() const { return since_.load(std::memory_order_relaxed); }
  // Any thread. False if there is nothing to be seen, or it changes at this moment.
  bool Look(Sight& sight) const;

  // Serves the request (in the slow lane).
  void Run() override { session_.Serve(*this); }

 private:
  friend class SlotTable;
  enum class State : uint8_t { kFree, kInline, kDetached };

  uint16_t head_ = 0;
  std::atomic<State> state_ = State::kFree;
  // Copies, as the request's own are no one else's to read. Consistent if since_ is the same before
  // and after; it is 0 from Take to Show.
  std::atomic<uint32_t> shown_opcode_ = 0;
  std::atomic<uint64_t> since_ = 0;
  std::atomic<uint64_t> shown_unique_ = 0;
  std::atomic<uint64_t> shown_node_ = 0;
  uint64_t charged_bytes_ = 0;
  const virtqueue::GuestMemory* memory_ = nullptr;  // what the chain was translated by
  virtqueue::Chain chain_;
  MemoryLease lease_;  // while detached
  fuse::Session& session_;
};

// The slots of one ring. Of the queue's thread.
class SlotTable {
 public:
  // `max_chain_iovecs`: the most that one chain can need. ENOMEM.
  static ErrnoOr<SlotTable> Create(size_t heads, size_t max_chain_iovecs, fuse::Session& session);
  SlotTable(SlotTable&&) = default;
  ~SlotTable();

  // Takes a slot for `head`; nullptr if it is in flight, which no honest driver brings about.
  RequestSlot* Take(uint16_t head);
  // Calls `visit` with each slot that has ever been taken. Any thread.
  template <typename Visit>
  void VisitMade(Visit visit) const {
    for (size_t index = 0; index < count_; ++index) {
      if (made_[index].load(std::memory_order_acquire)) visit(slots()[index]);
    }
  }
  // Calls `visit` with each slot that is taken.
  template <typename Visit>
  void VisitTaken(Visit visit) {
    for (size_t index = 0; index < count_; ++index) {
      if (made(index) && slots()[index].taken()) visit(slots()[index]);
    }
  }
  // Gathers the chain at the head that a slot was taken for, into it. As Virtqueue::Gather.
  ErrnoOr<void> Gather(RequestSlot& slot, const virtqueue::Virtqueue& queue,
                       const virtqueue::GuestMemory& memory);

 private:
  SlotTable(os::MappedMemory slots, os::MappedMemory iovecs, size_t count, size_t chain_iovecs,
            fuse::Session& session);
  RequestSlot* slots() const { return reinterpret_cast<RequestSlot*>(slots_.data()); }
  bool made(size_t index) const { return made_[index].load(std::memory_order_relaxed); }
  RequestSlot& Make(size_t index);

  os::MappedMemory slots_;   // RequestSlot[count_], made where made_ says so
  os::MappedMemory iovecs_;  // iovec[count_][chain_iovecs_]; untouched pages cost nothing
  size_t count_;             // the heads, and the one that all use
  size_t chain_iovecs_;
  std::unique_ptr<std::atomic<bool>[]> made_;
  fuse::Session* session_;
};

}  // namespace fsd::worker

#endif  // FSD_SERVER_WORKER_REQUEST_SLOT_H_
