#include "server/worker/request_slot.h"

#include <new>
#include <utility>

#include "server/errors/status_macros.h"

namespace fsd::worker {

bool RequestSlot::Detach(const MemoryLease& lease) {
  if (!taken()) return false;
  lease_ = lease;
  state_.store(State::kDetached, std::memory_order_release);
  return true;
}

MemoryLease RequestSlot::Free() {
  MemoryLease lease = std::move(lease_);
  state_.store(State::kFree, std::memory_order_release);
  return lease;
}

void RequestSlot::Show(uint64_t since) {
  shown_opcode_.store(header().opcode, std::memory_order_relaxed);
  shown_unique_.store(header().unique, std::memory_order_relaxed);
  shown_node_.store(header().nodeid, std::memory_order_relaxed);
  since_.store(since, std::memory_order_release);
}

bool RequestSlot::Look(Sight& sight) const {
  if (!taken()) return false;
  sight.since = since_.load(std::memory_order_acquire);
  sight.opcode = shown_opcode_.load(std::memory_order_relaxed);
  sight.unique = shown_unique_.load(std::memory_order_relaxed);
  sight.node = shown_node_.load(std::memory_order_relaxed);
  std::atomic_thread_fence(std::memory_order_acquire);
  return sight.since != 0 && since_.load(std::memory_order_relaxed) == sight.since;
}

ErrnoOr<SlotTable> SlotTable::Create(size_t heads, size_t max_chain_iovecs,
                                     fuse::Session& session) {
  const size_t count = heads + 1;
  FSD_ASSIGN_OR_RETURN_ERRNO(os::MappedMemory slots,
                             os::MappedMemory::Anonymous(count * sizeof(RequestSlot)));
  FSD_ASSIGN_OR_RETURN_ERRNO(os::MappedMemory iovecs,
                             os::MappedMemory::Anonymous(count * max_chain_iovecs * sizeof(iovec)));
  return SlotTable(std::move(slots), std::move(iovecs), count, max_chain_iovecs, session);
}

SlotTable::SlotTable(os::MappedMemory slots, os::MappedMemory iovecs, size_t count,
                     size_t chain_iovecs, fuse::Session& session)
    : slots_(std::move(slots)),
      iovecs_(std::move(iovecs)),
      count_(count),
      chain_iovecs_(chain_iovecs),
      made_(std::make_unique<std::atomic<bool>[]>(count)),
      session_(&session) {}

SlotTable::~SlotTable() {
  if (made_ == nullptr) return;  // moved from
  for (size_t index = 0; index < count_; ++index) {
    if (made(index)) slots()[index].~RequestSlot();
  }
}

RequestSlot& SlotTable::Make(size_t index) {
  RequestSlot* const slot = slots() + index;
  if (!made(index)) {
    new (slot) RequestSlot(*session_);
    made_[index].store(true, std::memory_order_release);
  }
  return *slot;
}

RequestSlot* SlotTable::Take(uint16_t head) {
  if (made(head) && slots()[head].taken()) return nullptr;
  RequestSlot* slot = &Make(count_ - 1);
  if (slot->taken()) {
    if (slot->head() == head) return nullptr;
    slot = &Make(head);
  }
  slot->head_ = head;
  slot->since_.store(0, std::memory_order_relaxed);
  std::atomic_thread_fence(std::memory_order_release);
  slot->state_.store(RequestSlot::State::kInline, std::memory_order_release);
  return slot;
}

ErrnoOr<void> SlotTable::Gather(RequestSlot& slot, const virtqueue::Virtqueue& queue,
                                const virtqueue::GuestMemory& memory) {
  auto* const iovecs = reinterpret_cast<iovec*>(iovecs_.data());
  const auto index = static_cast<size_t>(&slot - slots());
  slot.memory_ = &memory;
  return queue.Gather(slot.head_, memory, {iovecs + index * chain_iovecs_, chain_iovecs_},
                      slot.chain_);
}

}  // namespace fsd::worker
