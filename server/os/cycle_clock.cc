#include "server/os/cycle_clock.h"

#include <fcntl.h>
#include <unistd.h>

#include <string_view>

#include "server/os/unique_fd.h"

#if defined(__x86_64__)
#include <cpuid.h>
#endif

namespace fsd::os {
namespace {

#if defined(__x86_64__)
bool CounterIsInvariant() {
  constexpr unsigned kPowerLeaf = 0x80000007;
  constexpr unsigned kInvariant = 1U << 8;
  unsigned a = 0;
  unsigned b = 0;
  unsigned c = 0;
  unsigned d = 0;
  return __get_cpuid(kPowerLeaf, &a, &b, &c, &d) != 0 && (d & kInvariant) != 0;
}

bool KernelTrustsCounter() {
  const UniqueFd file(::open("/sys/devices/system/clocksource/clocksource0/available_clocksource",
                             O_RDONLY | O_CLOEXEC));
  char text[256];
  const ssize_t bytes = file.valid() ? ::read(file.get(), text, sizeof text) : -1;
  if (bytes <= 0) return false;
  // Words, each followed by a space.
  const std::string_view sources(text, static_cast<size_t>(bytes));
  return sources.starts_with("tsc ") || sources.find(" tsc ") != std::string_view::npos;
}
#endif

}  // namespace

CycleClock CycleClock::Start() {
  CycleClock clock;
#if defined(__x86_64__)
  clock.cycles_ = CounterIsInvariant() && KernelTrustsCounter();
#endif
  clock.begun_nanoseconds_ = Monotonic();
  clock.begun_ticks_ = clock.Now();
  return clock;
}

CycleClock CycleClock::Stopped() {
  CycleClock clock;
  clock.nanoseconds_per_tick_ = 0;
  return clock;
}

void CycleClock::Calibrate() {
  if (!cycles_) return;
  // Both are looked at within some 50 ns, so that the rate is right to 1 in 10,000.
  constexpr uint64_t kEnoughNanoseconds = 1'000'000;
  while (Monotonic() - begun_nanoseconds_ < kEnoughNanoseconds) {
    const timespec pause{.tv_sec = 0, .tv_nsec = kEnoughNanoseconds};
    ::clock_nanosleep(CLOCK_MONOTONIC, 0, &pause, nullptr);
  }
  const uint64_t nanoseconds = Monotonic() - begun_nanoseconds_;
  const uint64_t ticks = Now() - begun_ticks_;
  if (ticks == 0) {
    cycles_ = false;
    return;
  }
  nanoseconds_per_tick_ =
      static_cast<uint64_t>((static_cast<unsigned __int128>(nanoseconds) << kFractionBits) / ticks);
}

}  // namespace fsd::os
