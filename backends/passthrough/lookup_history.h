// LookupHistory: whether the next name that is looked up will probably lead to an inode that the
// guest does not know.
//
// A known one takes one system call if it is asked for by name first, and three if it is opened
// first; an unknown one four and three. Guests do many of the same kind in a row: a walk through a
// tree meets unknown ones only.
//
// Any thread; a lost update does no harm.
#ifndef FSD_BACKENDS_PASSTHROUGH_LOOKUP_HISTORY_H_
#define FSD_BACKENDS_PASSTHROUGH_LOOKUP_HISTORY_H_

#include <atomic>
#include <cstdint>

namespace fsd::passthrough {

class LookupHistory {
 public:
  // Whether the last eight were unknown.
  bool ExpectUnknown() const { return known_.load(std::memory_order_relaxed) == 0; }
  void Add(bool known) {
    const uint8_t before = known_.load(std::memory_order_relaxed);
    const auto after = static_cast<uint8_t>(before << 1 | (known ? 1 : 0));
    // Threads that agree leave the cache line alone.
    if (after != before) known_.store(after, std::memory_order_relaxed);
  }

 private:
  std::atomic<uint8_t> known_ = 0xff;  // a bit for each lookup, the last one's lowest
};

}  // namespace fsd::passthrough

#endif  // FSD_BACKENDS_PASSTHROUGH_LOOKUP_HISTORY_H_
