#include "server/worker/request_slot.h"

#include <algorithm>
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
  FSD_ASSIGN_OR_RETURN_ERRNO(os::MappedMemory overflow,
                             os::MappedMemory::Anonymous(count * max_chain_iovecs * sizeof(iovec)));
  return SlotTable(std::move(slots), std::move(overflow), count, max_chain_iovecs, session);
}

SlotTable::SlotTable(os::MappedMemory slots, os::MappedMemory overflow, size_t count,
                     size_t max_chain_iovecs, fuse::Session& session)
    : slots_(std::move(slots)),
      overflow_(std::move(overflow)),
      count_(count),
      made_(std::make_unique<std::atomic<bool>[]>(count)),
      scratch_(max_chain_iovecs),
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

void SlotTable::Keep(RequestSlot& slot, const virtqueue::Chain& chain,
                     const virtqueue::GuestMemory& memory) {
  const size_t readable = chain.readable.size();
  const size_t count = readable + chain.writable.size();
  std::span<iovec> iovecs(slot.iovecs_);
  if (count > iovecs.size()) {
    const auto index = static_cast<size_t>(&slot - slots());
    iovecs = std::span(reinterpret_cast<iovec*>(overflow_.data()) + index * scratch_.size(),
                       scratch_.size());
  }
  std::ranges::copy(chain.readable, iovecs.begin());
  std::ranges::copy(chain.writable, iovecs.begin() + static_cast<ptrdiff_t>(readable));
  slot.chain_ = {.readable = iovecs.first(readable),
                 .writable = iovecs.subspan(readable, chain.writable.size())};
  slot.memory_ = &memory;
}

}  // namespace fsd::worker
