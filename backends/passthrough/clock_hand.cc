#include "backends/passthrough/clock_hand.h"

#include <bit>

namespace fsd::passthrough {

ErrnoOr<ClockHand> ClockHand::Create(uint32_t slots) {
  ErrnoOr<os::MappedMemory> memory = os::MappedMemory::Anonymous((size_t{slots} / 64 + 1) * 8);
  if (!memory.ok()) return memory.error();
  return ClockHand(*std::move(memory));
}

void ClockHand::Add(uint32_t slot) {
  const uint64_t bit = uint64_t{1} << (slot % 64);
  if ((Word(slot).fetch_or(bit, std::memory_order_acq_rel) & bit) != 0) return;
  size_.fetch_add(1, std::memory_order_relaxed);
  uint32_t end = end_.load(std::memory_order_relaxed);
  while (end <= slot && !end_.compare_exchange_weak(end, slot + 1, std::memory_order_release)) {
  }
}

bool ClockHand::Remove(uint32_t slot) {
  const uint64_t bit = uint64_t{1} << (slot % 64);
  if ((Word(slot).fetch_and(~bit, std::memory_order_acq_rel) & bit) == 0) return false;
  size_.fetch_sub(1, std::memory_order_relaxed);
  return true;
}

std::optional<uint32_t> ClockHand::Next() {
  const uint32_t end = end_.load(std::memory_order_acquire);
  if (returned_ >= size()) {
    position_ = 0;
    returned_ = 0;
  }
  // Once round, and the word it starts in a second time, for the bits before the start.
  for (uint64_t scanned = 0; scanned < uint64_t{end} + 128;) {
    if (position_ >= end) {
      position_ = 0;
      returned_ = 0;
    }
    const uint64_t rest = Word(position_).load(std::memory_order_acquire) >> (position_ % 64);
    if (rest != 0) {
      const uint32_t found = position_ + static_cast<uint32_t>(std::countr_zero(rest));
      position_ = found + 1;
      ++returned_;
      return found;
    }
    const uint32_t step = 64 - position_ % 64;
    position_ += step;
    scanned += step;
  }
  return std::nullopt;
}

}  // namespace fsd::passthrough
