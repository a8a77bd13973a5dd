// One side asks to be told, the other has news, at the same instant, many times over: whatever the
// processor reorders, the news is seen or the telling is done.
#include <atomic>
#include <chrono>
#include <cstdint>
#include <thread>

#include "gtest/gtest.h"
#include "server/virtqueue/fake_driver.h"
#include "server/virtqueue/virtqueue.h"

namespace fsd::virtqueue {
namespace {

constexpr uint32_t kMaxRounds = 200'000;
// On a busy machine the two threads seldom run at once and rounds are slow: then fewer must do. The
// verdict on the rounds that were run is the same.
constexpr auto kEnough = std::chrono::seconds(4);

// Runs `left` in this thread and `right` in another, as much at the same instant as can be; then
// `check` alone. Up to kMaxRounds times.
template <typename Left, typename Right, typename Check>
void Race(Left left, Right right, Check check) {
  constexpr uint32_t kStop = kMaxRounds + 1;
  std::atomic<uint32_t> started = 0;
  std::atomic<uint32_t> finished = 0;
  // What the counter has become when it is no longer `old`.
  const auto await_change = [](const std::atomic<uint32_t>& counter, uint32_t old) {
    for (uint32_t spins = 0;; ++spins) {
      const uint32_t value = counter.load(std::memory_order_acquire);
      if (value != old) return value;
      if (spins > 1000) std::this_thread::yield();
    }
  };
  std::thread other([&] {
    for (uint32_t round = 0; (round = await_change(started, round)) != kStop;) {
      right();
      finished.store(round, std::memory_order_release);
    }
  });
  const auto end = std::chrono::steady_clock::now() + kEnough;
  for (uint32_t round = 1; round <= kMaxRounds; ++round) {
    if (round % 64 == 0 && std::chrono::steady_clock::now() > end) break;
    started.store(round, std::memory_order_release);
    // Shifts the two against each other, to meet every interleaving.
    for (std::atomic<uint32_t> delay = round % 64; delay > 0;) --delay;
    left();
    await_change(finished, round - 1);
    check();
  }
  started.store(kStop, std::memory_order_release);
  other.join();
}

class VirtqueueRaceTest : public testing::TestWithParam<bool> {
 protected:
  FakeDriver driver_{{.size = 2, .event_index = GetParam()}};
  std::unique_ptr<Virtqueue> queue_ = driver_.MakeQueue();
};

TEST_P(VirtqueueRaceTest, AChainIsSeenOrKicked) {
  bool seen = false;
  bool kicked = false;
  uint32_t lost = 0;
  queue_->SuppressKicks();
  Race([&] { seen = queue_->RequestKicks(); },
       [&] {
         const uint16_t old = driver_.available_index();
         driver_.Publish(0);
         kicked = driver_.KickNeeded(old);
       },
       [&] {
         if (!seen && !kicked) ++lost;
         queue_->SuppressKicks();
         queue_->Complete(queue_->Pop().value(), 0, nullptr);
       });
  EXPECT_EQ(lost, 0u);
}

TEST_P(VirtqueueRaceTest, ACompletionIsSeenOrCalled) {
  bool seen = false;
  bool called = false;
  uint16_t next_used = 0;
  uint32_t lost = 0;
  driver_.SetUsedEvent(0x8000);
  driver_.SetAvailableFlags(kAvailableNoInterrupt);
  Race(
      [&] {
        queue_->Complete(0, 0, nullptr);
        called = queue_->CallNeeded();
      },
      [&] {
        if (GetParam()) {
          driver_.SetUsedEvent(next_used);
        } else {
          driver_.SetAvailableFlags(0);
        }
        seen = driver_.UsedIndex() != next_used;
      },
      [&] {
        if (!seen && !called) ++lost;
        driver_.SetAvailableFlags(kAvailableNoInterrupt);
        ++next_used;
      });
  EXPECT_EQ(lost, 0u);
}

INSTANTIATE_TEST_SUITE_P(EventIndex, VirtqueueRaceTest, testing::Bool());

}  // namespace
}  // namespace fsd::virtqueue
