// CycleClock: how long things take, at the cost of a few nanoseconds a look.
//
// The processor's cycle counter where the kernel itself would trust it (invariant, and among its
// clock sources: it drops one that drifts between processors), otherwise CLOCK_MONOTONIC. Its rate
// is found by comparing it with that clock.
#ifndef FSD_SERVER_OS_CYCLE_CLOCK_H_
#define FSD_SERVER_OS_CYCLE_CLOCK_H_

#include <cstdint>
#include <ctime>

#if defined(__x86_64__)
#include <x86intrin.h>
#endif

namespace fsd::os {

class CycleClock {
 public:
  // Begins to compare. Reads a file of /sys, so before there is a jail; without it, the cycle
  // counter is not used.
  static CycleClock Start();

  // For tests: no time ever passes.
  static CycleClock Stopped();

  // Sets the rate by the time that has passed since Start, a millisecond at least: waits for it.
  // Before any thread looks at the clock.
  void Calibrate();

  // In ticks of its own. Of two looks, one may be a little before the other on another processor.
  uint64_t Now() const {
#if defined(__x86_64__)
    if (cycles_) return __rdtsc();
#endif
    return Monotonic();
  }
  // Between two looks; 0 if the second is not after the first.
  uint64_t NanosecondsBetween(uint64_t begin, uint64_t end) const {
    if (end <= begin) return 0;
    return static_cast<uint64_t>(
        (static_cast<unsigned __int128>(end - begin) * nanoseconds_per_tick_) >> kFractionBits);
  }
  bool uses_cycles() const { return cycles_; }

 private:
  static constexpr int kFractionBits = 32;

  static uint64_t Monotonic() {
    timespec now;
    ::clock_gettime(CLOCK_MONOTONIC, &now);
    return static_cast<uint64_t>(now.tv_sec) * 1'000'000'000 + static_cast<uint64_t>(now.tv_nsec);
  }

  bool cycles_ = false;
  uint64_t nanoseconds_per_tick_ = uint64_t{1} << kFractionBits;  // fixed point
  uint64_t begun_ticks_ = 0;
  uint64_t begun_nanoseconds_ = 0;
};

}  // namespace fsd::os

#endif  // FSD_SERVER_OS_CYCLE_CLOCK_H_
