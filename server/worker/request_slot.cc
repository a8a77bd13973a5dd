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
  FSD_ASSIGN_OR_RETURN_ERRNO(os::MappedMemory slots,
                             os::MappedMemory::Anonymous(heads * sizeof(RequestSlot)));
  FSD_ASSIGN_OR_RETURN_ERRNO(os::MappedMemory overflow,
                             os::MappedMemory::Anonymous(heads * max_chain_iovecs * sizeof(iovec)));
  return SlotTable(std::move(slots), std::move(overflow), heads, max_chain_iovecs, session);
}

SlotTable::SlotTable(os::MappedMemory slots, os::MappedMemory overflow, size_t heads,
                     size_t max_chain_iovecs, fuse::Session& session)
    : slots_(std::move(slots)),
      overflow_(std::move(overflow)),
      heads_(heads),
      made_(std::make_unique<std::atomic<bool>[]>(heads)),
      scratch_(max_chain_iovecs),
      session_(&session) {}

SlotTable::~SlotTable() {
  auto* slots = reinterpret_cast<RequestSlot*>(slots_.data());
  if (made_ == nullptr) return;  // moved from
  for (size_t head = 0; head < heads_; ++head) {
    if (made(head)) slots[head].~RequestSlot();
  }
}

RequestSlot* SlotTable::Take(uint16_t head) {
  RequestSlot* slot = reinterpret_cast<RequestSlot*>(slots_.data()) + head;
  if (!made(head)) {
    new (slot) RequestSlot(head, *session_);
    made_[head].store(true, std::memory_order_release);
  }
  if (slot->taken()) return nullptr;
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
    auto* const overflow = reinterpret_cast<iovec*>(overflow_.data());
    iovecs = std::span(overflow + slot.head_ * scratch_.size(), scratch_.size());
  }
  std::ranges::copy(chain.readable, iovecs.begin());
  std::ranges::copy(chain.writable, iovecs.begin() + static_cast<ptrdiff_t>(readable));
  slot.chain_ = {.readable = iovecs.first(readable),
                 .writable = iovecs.subspan(readable, chain.writable.size())};
  slot.memory_ = &memory;
}

}  // namespace fsd::worker
