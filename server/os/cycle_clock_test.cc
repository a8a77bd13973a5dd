#include "server/os/cycle_clock.h"

#include <chrono>
#include <thread>

#include "gtest/gtest.h"

namespace fsd::os {
namespace {

using std::chrono::steady_clock;

uint64_t NanosecondsSince(steady_clock::time_point begin) {
  return static_cast<uint64_t>(std::chrono::nanoseconds(steady_clock::now() - begin).count());
}

TEST(CycleClock, AgreesWithTheKernelsClock) {
  CycleClock clock = CycleClock::Start();
  clock.Calibrate();
  const auto outer = steady_clock::now();
  const uint64_t begin = clock.Now();
  const auto inner = steady_clock::now();
  std::this_thread::sleep_for(std::chrono::milliseconds(20));
  const uint64_t at_least = NanosecondsSince(inner);
  const uint64_t nanoseconds = clock.NanosecondsBetween(begin, clock.Now());
  const uint64_t at_most = NanosecondsSince(outer);
  // Whatever interrupts this thread lies between the two; 1 in 100 besides.
  EXPECT_GE(nanoseconds, at_least - at_least / 100);
  EXPECT_LE(nanoseconds, at_most + at_most / 100);
}

TEST(CycleClock, ALookThatIsEarlierTakesNoTime) {
  CycleClock clock = CycleClock::Start();
  clock.Calibrate();
  EXPECT_EQ(clock.NanosecondsBetween(1000, 1000), 0U);
  EXPECT_EQ(clock.NanosecondsBetween(1000, 999), 0U);
}

TEST(CycleClock, CountsYears) {
  CycleClock clock = CycleClock::Start();
  clock.Calibrate();
  const uint64_t second = clock.NanosecondsBetween(0, uint64_t{1} << 33);
  const uint64_t years = clock.NanosecondsBetween(0, uint64_t{1} << 60);
  EXPECT_NEAR(static_cast<double>(years), static_cast<double>(second) * (uint64_t{1} << 27),
              static_cast<double>(years) * 1e-6);
}

}  // namespace
}  // namespace fsd::os
