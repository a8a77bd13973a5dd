#include "server/virtqueue/virtqueue.h"

#include <algorithm>
#include <bit>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "server/errors/check.h"
#include "server/errors/status_macros.h"
#include "server/os/prefetch.h"
#include "server/virtqueue/descriptor_chain.h"
#include "server/virtqueue/guest_word.h"

namespace fsd::virtqueue {
namespace {

// One area of the ring in the host's addresses.
absl::StatusOr<std::byte*> FindArea(const GuestMemory& memory, std::string_view name,
                                    uint64_t user_address, size_t bytes, size_t alignment) {
  void* const area = memory.AtUserAddress(user_address, bytes);
  if (area == nullptr) {
    return absl::InvalidArgumentError(absl::StrCat(Absl(name), " lies outside the guest's memory"));
  }
  // The host's address too: a region may be mapped from an odd offset of its file.
  if (user_address % alignment != 0 || reinterpret_cast<uintptr_t>(area) % alignment != 0) {
    return absl::InvalidArgumentError(absl::StrCat(Absl(name), " is misaligned"));
  }
  return static_cast<std::byte*>(area);
}

}  // namespace

absl::StatusOr<std::unique_ptr<Virtqueue>> Virtqueue::Create(
    const VirtqueueSetup& setup, std::shared_ptr<const GuestMemory> memory) {
  if (!std::has_single_bit(setup.size) || setup.size > kMaxQueueSize) {
    return absl::InvalidArgumentError(
        absl::StrCat("queue size ", setup.size, " is no power of two up to ", kMaxQueueSize));
  }
  Areas areas;
  FSD_ASSIGN_OR_RETURN(areas.descriptors,
                       FindArea(*memory, "descriptor table", setup.descriptor_address,
                                DescriptorTableBytes(setup.size), kDescriptorTableAlignment));
  FSD_ASSIGN_OR_RETURN(areas.available, FindArea(*memory, "available ring", setup.available_address,
                                                 AvailableRingBytes(setup.size, setup.event_index),
                                                 kAvailableRingAlignment));
  FSD_ASSIGN_OR_RETURN(areas.used,
                       FindArea(*memory, "used ring", setup.used_address,
                                UsedRingBytes(setup.size, setup.event_index), kUsedRingAlignment));
  return std::unique_ptr<Virtqueue>(new Virtqueue(setup, areas, std::move(memory)));
}

Virtqueue::Virtqueue(const VirtqueueSetup& setup, const Areas& areas,
                     std::shared_ptr<const GuestMemory> memory)
    : memory_(std::move(memory)),
      size_(setup.size),
      event_index_(setup.event_index),
      indirect_(setup.indirect),
      used_log_address_(setup.used_log_address),
      descriptors_(reinterpret_cast<const Descriptor*>(areas.descriptors), setup.size),
      available_flags_(reinterpret_cast<const uint16_t*>(areas.available + kRingFlagsOffset)),
      available_index_(reinterpret_cast<const uint16_t*>(areas.available + kRingIndexOffset)),
      available_heads_(reinterpret_cast<const uint16_t*>(areas.available + kRingEntriesOffset)),
      used_event_(reinterpret_cast<const uint16_t*>(areas.available + UsedEventOffset(size_))),
      used_flags_(reinterpret_cast<uint16_t*>(areas.used + kRingFlagsOffset)),
      used_index_(reinterpret_cast<uint16_t*>(areas.used + kRingIndexOffset)),
      used_elements_(reinterpret_cast<UsedElement*>(areas.used + kRingEntriesOffset)),
      avail_event_(reinterpret_cast<uint16_t*>(areas.used + AvailEventOffset(size_))),
      next_available_(setup.next_available),
      known_available_(setup.next_available),
      // SET_VRING_BASE carries no used index: the ring itself is where it is kept.
      next_used_(Fetch(used_index_)) {}

size_t Virtqueue::max_chain_iovecs() const {
  return kMaxChainDescriptors + GuestMemory::kMaxRegions - 1;
}

bool Virtqueue::LookForMore(uint16_t next) {
  // Acquire: the heads and descriptors that the index announces are read after it.
  known_available_ = Fetch(available_index_, std::memory_order_acquire);
  const auto pending = static_cast<uint16_t>(known_available_ - next);
  if (pending > size_) Break("available index is ahead by more than the queue's size");
  const auto unused = static_cast<uint16_t>(pending + unanswered());
  in_flight_ = std::max<uint16_t>(unused, in_flight_ > 0 ? in_flight_ - 1 : 0);
  return pending != 0 && !broken();
}

void Virtqueue::Break(const char* reason) {
  broken_reason_.store(reason, std::memory_order_relaxed);
}

bool Virtqueue::AnyAvailable() const {
  // What Pop will give without another look at the driver's index is there whatever that says now.
  const uint16_t next = next_available();
  return !broken() && (known_available_ != next || Fetch(available_index_) != next);
}

ErrnoOr<void> Virtqueue::Gather(uint16_t head, const GuestMemory& memory, std::span<iovec> storage,
                                Chain& chain) const {
  FSD_CHECK(head < size_);
  GuestMemory::Nearby nearby(memory);
  size_t readable = 0;
  size_t count = 0;
  FSD_RETURN_IF_ERRNO(WalkChain(descriptors_, head, memory, nearby,
                                {.indirect = indirect_, .limit = kMaxChainDescriptors},
                                [&](uint64_t address, uint64_t length, bool writable) {
                                  if (!memory.Translate(address, length, storage, count, nearby))
                                    return false;
                                  if (!writable) readable = count;
                                  return true;
                                }));
  chain.readable = storage.first(readable);
  chain.writable = storage.subspan(readable, count - readable);
  return {};
}

uint16_t Virtqueue::unanswered() const {
  return static_cast<uint16_t>(next_available() - next_used_);
}

void Virtqueue::Complete(uint16_t head, uint32_t written, const DirtyLog* log, Show show) {
  FSD_CHECK(head < size_);
  const uint16_t next = next_used_.load(std::memory_order_relaxed);
  const size_t slot = next & (size_ - 1);
  Store(&used_elements_[slot].id, uint32_t{head});
  Store(&used_elements_[slot].length, written);
  const auto after = static_cast<uint16_t>(next + 1);
  next_used_.store(after, std::memory_order_relaxed);
  if (show == Show::kNow || log != nullptr) ShowCompleted();
  if (uncalled_ <= UINT16_MAX) ++uncalled_;
  MarkUsed(log, kRingEntriesOffset + slot * sizeof(UsedElement), sizeof(UsedElement));
  MarkUsed(log, kRingIndexOffset, sizeof(uint16_t));
}

void Virtqueue::ShowCompleted() {
  // Release: whoever sees the index sees the element and the reply.
  Store(used_index_, next_used_.load(std::memory_order_relaxed), std::memory_order_release);
}

void Virtqueue::PrefetchCompletion() const {
  os::PrefetchToWrite(&used_elements_[next_used_.load(std::memory_order_relaxed) & (size_ - 1)]);
}

bool Virtqueue::CallNeeded() {
  const uint32_t uncalled = std::exchange(uncalled_, 0);
  if (uncalled == 0) return false;
  // The driver asks for a call, then looks at the used index; we publish the index, then look
  // whether it asked. With a full barrier on both sides one of us sees the other. The index is
  // stored to have that barrier, even if the driver has seen it.
  const uint16_t next = next_used_.load(std::memory_order_relaxed);
  StoreAndFence(used_index_, next);
  if (!event_index_) {
    return !(Fetch(available_flags_, std::memory_order_seq_cst) & kAvailableNoInterrupt);
  }
  // Is used_event among the last `uncalled` indices (§2.7.7.2)?
  const uint16_t event = Fetch(used_event_, std::memory_order_seq_cst);
  return static_cast<uint16_t>(next - event - 1) < uncalled;
}

void Virtqueue::SuppressKicks(const DirtyLog* log) {
  // With EVENT_IDX the driver kicks when it passes avail_event, which stays behind by itself.
  if (event_index_) return;
  Store(used_flags_, kUsedNoNotify);
  MarkUsed(log, kRingFlagsOffset, sizeof(uint16_t));
}

bool Virtqueue::RequestKicks(const DirtyLog* log) {
  if (broken()) return false;
  const uint16_t next = next_available();
  // The driver publishes its index, then looks whether we want a kick: as in CallNeeded, a full
  // barrier between our wish and our look at the index, or a kick is lost.
  if (event_index_) {
    StoreAndFence(avail_event_, next);
    MarkUsed(log, AvailEventOffset(size_), sizeof(uint16_t));
  } else {
    StoreAndFence(used_flags_, uint16_t{0});
    MarkUsed(log, kRingFlagsOffset, sizeof(uint16_t));
  }
  return Fetch(available_index_, std::memory_order_seq_cst) != next;
}

void Virtqueue::MarkUsed(const DirtyLog* log, size_t offset, size_t length) const {
  if (log != nullptr && used_log_address_.has_value()) {
    log->Mark(*used_log_address_ + offset, length);
  }
}

}  // namespace fsd::virtqueue
