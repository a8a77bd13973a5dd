// ClockHand: a set of slot numbers, gone round again and again: the candidates of a clock
// algorithm.
//
// One bit per slot, in pages that cost nothing until they are used. Any thread; Next() one at a
// time.
#ifndef FSD_BACKENDS_PASSTHROUGH_CLOCK_HAND_H_
#define FSD_BACKENDS_PASSTHROUGH_CLOCK_HAND_H_

#include <atomic>
#include <cstdint>
#include <optional>
#include <utility>

#include "server/errors/errno_or.h"
#include "server/os/mapped_memory.h"

namespace fsd::passthrough {

class ClockHand {
 public:
  // For numbers 0 … `slots` - 1.
  static ErrnoOr<ClockHand> Create(uint32_t slots);

  ClockHand(ClockHand&& other) noexcept
      : memory_(std::move(other.memory_)),
        size_(other.size_.load()),
        end_(other.end_.load()),
        position_(other.position_),
        returned_(other.returned_) {}

  void Add(uint32_t slot);
  // False if it was not in the set.
  bool Remove(uint32_t slot);
  uint64_t size() const { return size_.load(std::memory_order_relaxed); }

  // The next one in the set after the last that was returned, from the end to the beginning;
  // nothing if there is none.
  std::optional<uint32_t> Next();

 private:
  explicit ClockHand(os::MappedMemory memory) : memory_(std::move(memory)) {}

  std::atomic<uint64_t>& Word(uint32_t slot) const {
    return reinterpret_cast<std::atomic<uint64_t>*>(memory_.data())[slot / 64];
  }

  os::MappedMemory memory_;
  std::atomic<uint64_t> size_{0};
  std::atomic<uint32_t> end_{0};  // no number from here on was ever added
  uint32_t position_ = 0;
  uint64_t returned_ = 0;  // since it began
};

}  // namespace fsd::passthrough

#endif  // FSD_BACKENDS_PASSTHROUGH_CLOCK_HAND_H_
