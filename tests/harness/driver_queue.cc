#include "tests/harness/driver_queue.h"

#include <atomic>

#include "server/errors/check.h"

namespace fsd::harness {
namespace {

// Descriptors that an indirect table of ours holds.
constexpr uint16_t kIndirectEntries = 512;

uint16_t Load(const __u16* word, std::memory_order order = std::memory_order_acquire) {
  return std::atomic_ref<__u16>(*const_cast<__u16*>(word)).load(order);
}

void Store(__u16* word, uint16_t value, std::memory_order order = std::memory_order_release) {
  std::atomic_ref<__u16>(*word).store(value, order);
}

}  // namespace

DriverQueue::DriverQueue(GuestArena& arena, Options options)
    : arena_(arena),
      options_(options),
      descriptors_(arena.Allocate(sizeof(vring_desc) * options.size, 16)),
      available_(arena.Allocate(sizeof(__u16) * (3u + options.size), 2)),
      used_(arena.Allocate(sizeof(__u16) * 3 + sizeof(vring_used_elem) * options.size, 4)),
      in_chain_(options.size) {
  for (int i = options.size - 1; i >= 0; --i) free_.push_back(static_cast<uint16_t>(i));
  if (options.indirect) {
    for (int i = 0; i < options.size; ++i) {
      indirect_tables_.push_back(arena.Allocate(sizeof(vring_desc) * kIndirectEntries));
    }
  }
}

std::optional<uint16_t> DriverQueue::Submit(std::span<const Buffer> readable,
                                            std::span<const Buffer> writable) {
  const size_t count = readable.size() + writable.size();
  FSD_CHECK(count > 0);
  const bool indirect = options_.indirect && count > 1;
  const size_t needed = indirect ? 1 : count;
  if (free_.size() < needed) return std::nullopt;
  std::vector<uint16_t> chain(free_.end() - static_cast<std::ptrdiff_t>(needed), free_.end());
  free_.resize(free_.size() - needed);
  const uint16_t head = chain[0];

  vring_desc* table = descriptors();
  if (indirect) {
    FSD_CHECK(count <= kIndirectEntries);
    table = arena_.At<vring_desc>(indirect_tables_[head]);
    descriptors()[head] = {.addr = indirect_tables_[head],
                           .len = static_cast<__u32>(count * sizeof(vring_desc)),
                           .flags = VRING_DESC_F_INDIRECT,
                           .next = 0};
  }
  for (size_t i = 0; i < count; ++i) {
    const bool is_writable = i >= readable.size();
    const Buffer& buffer = is_writable ? writable[i - readable.size()] : readable[i];
    const bool last = i + 1 == count;
    const auto at = [&](size_t position) {
      return indirect ? static_cast<uint16_t>(position) : chain[position];
    };
    table[at(i)] = {.addr = buffer.guest_address,
                    .len = buffer.size,
                    .flags = static_cast<__u16>((is_writable ? VRING_DESC_F_WRITE : 0) |
                                                (last ? 0 : VRING_DESC_F_NEXT)),
                    .next = last ? __u16{0} : at(i + 1)};
  }
  in_chain_[head] = std::move(chain);
  Publish(head);
  return head;
}

void DriverQueue::Publish(uint16_t head) {
  available()->ring[next_available_ % options_.size] = head;
  ++next_available_;
  // Sequentially consistent with KickNeeded's reading of the device's wishes.
  Store(&available()->idx, next_available_, std::memory_order_seq_cst);
}

bool DriverQueue::KickNeeded() {
  const uint16_t old = last_kicked_;
  last_kicked_ = next_available_;
  if (old == next_available_) return false;
  if (!options_.event_index) {
    return (Load(&used()->flags, std::memory_order_seq_cst) & VRING_USED_F_NO_NOTIFY) == 0;
  }
  const uint16_t event = Load(available_event(), std::memory_order_seq_cst);
  return static_cast<uint16_t>(next_available_ - event - 1) <
         static_cast<uint16_t>(next_available_ - old);
}

std::optional<DriverQueue::Used> DriverQueue::PopUsed() {
  if (Load(&used()->idx) == next_used_) return std::nullopt;
  const vring_used_elem element = used()->ring[next_used_ % options_.size];
  ++next_used_;
  FSD_CHECK(element.id < options_.size);
  const auto head = static_cast<uint16_t>(element.id);
  for (const uint16_t descriptor : in_chain_[head]) free_.push_back(descriptor);
  in_chain_[head].clear();
  return Used{.head = head, .written = element.len};
}

bool DriverQueue::RequestCall() {
  if (options_.event_index) {
    Store(used_event(), next_used_, std::memory_order_seq_cst);
  } else {
    Store(&available()->flags, 0, std::memory_order_seq_cst);
  }
  return Load(&used()->idx, std::memory_order_seq_cst) != next_used_;
}

void DriverQueue::SuppressCalls() {
  if (options_.event_index) {
    // The index that is farthest from what the device asks about next. (Not one that was used: a
    // device that asks seldom may have passed it since it asked last, and has to call.)
    Store(used_event(), static_cast<uint16_t>(next_used_ + 0x8000));
  } else {
    Store(&available()->flags, VRING_AVAIL_F_NO_INTERRUPT);
  }
}

}  // namespace fsd::harness
