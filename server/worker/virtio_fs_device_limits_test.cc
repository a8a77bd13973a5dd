// Limits on requests, by a clock that goes only when a test says so: what they hold back stays held
// back, however slow or fast the machine is.
#include <atomic>
#include <chrono>
#include <cstdint>
#include <optional>
#include <thread>

#include "gtest/gtest.h"
#include "server/worker/virtio_fs_device_fixture.h"

namespace fsd::worker {
namespace {

using std::chrono::milliseconds;

constexpr auto kRoot = static_cast<uint64_t>(backends::kRootNodeId);
constexpr size_t kOtherRequestQueue = 2;

std::atomic<int64_t> now_ns;
RequestLimits::TimePoint Now() {
  return RequestLimits::TimePoint(std::chrono::nanoseconds(now_ns.load()));
}
void Pass(std::chrono::nanoseconds time) { now_ns += time.count(); }

class VirtioFsDeviceLimitsTest : public VirtioFsDeviceFixture {
 protected:
  VirtioFsDeviceLimitsTest() { limits_clock_ = Now; }

  // Requests of all kinds.
  static RequestLimits::Rates Total(uint64_t per_second, uint64_t burst) {
    return {.total = {.operations_per_second = per_second, .burst_operations = burst}};
  }
  static void Offer(FakeRing& ring, int count) {
    for (int i = 1; i <= count; ++i) ring.OfferGetAttributes(static_cast<uint16_t>(2 * i), kRoot);
    ring.Kick();
  }
  // Waits until that many rings are held back. False after a minute.
  [[nodiscard]] bool AwaitThrottled(size_t rings = 1) const {
    for (int i = 0; i < 60'000 && device_->throttled_rings() != rings; ++i) {
      std::this_thread::sleep_for(milliseconds(1));
    }
    return device_->throttled_rings() == rings;
  }
  // Six requests, of which three are served and three held back.
  void Throttle() {
    device_->SetLimits(Total(10, 3));
    StartMounted();
    Offer(ring_, 6);
    ASSERT_TRUE(ring_.AwaitUsed(4));
    ASSERT_TRUE(AwaitThrottled());
  }
};

TEST_F(VirtioFsDeviceLimitsTest, NoMoreThanTheBurstIsServedBeforeTimePasses) {
  Throttle();

  ring_.Kick();
  ASSERT_TRUE(AwaitOneLook());
  ASSERT_TRUE(AwaitThrottled());
  EXPECT_EQ(ring_.UsedIndex(), 4);
}

TEST_F(VirtioFsDeviceLimitsTest, WhatIsEarnedIsServedAndNoMore) {
  Throttle();

  Pass(milliseconds(200));
  ASSERT_TRUE(ring_.AwaitUsed(6));
  ASSERT_TRUE(AwaitOneLook());
  ASSERT_TRUE(AwaitThrottled());
  EXPECT_EQ(ring_.UsedIndex(), 6);

  Pass(milliseconds(100));
  EXPECT_TRUE(ring_.AwaitUsed(7));
}

TEST_F(VirtioFsDeviceLimitsTest, LiftingThemServesWhatWaits) {
  Throttle();
  device_->SetLimits({});
  EXPECT_TRUE(ring_.AwaitUsed(7));
  EXPECT_EQ(device_->throttled_rings(), 0u);
}

TEST_F(VirtioFsDeviceLimitsTest, TheyCanBeSetWhileRequestsAreServed) {
  StartMounted();
  Offer(ring_, 2);
  ASSERT_TRUE(ring_.AwaitUsed(3));

  device_->SetLimits(Total(10, 3));
  Offer(ring_, 6);
  ASSERT_TRUE(ring_.AwaitUsed(6));
  ASSERT_TRUE(AwaitThrottled());
  EXPECT_EQ(ring_.UsedIndex(), 6);
}

TEST_F(VirtioFsDeviceLimitsTest, ARingStopsWhileItIsHeldBack) {
  Throttle();
  EXPECT_EQ(Stop(), 4);
  EXPECT_EQ(device_->throttled_rings(), 0u);

  device_->SetLimits({});
  ASSERT_TRUE(Start(4).ok());
  EXPECT_TRUE(ring_.AwaitUsed(7));
}

TEST_F(VirtioFsDeviceLimitsTest, AResetEndsWhileARingIsHeldBack) {
  Throttle();
  ASSERT_TRUE(Reset());
  EXPECT_EQ(device_->throttled_rings(), 0u);
}

TEST_F(VirtioFsDeviceLimitsTest, ARingThatIsDisabledWaitsForNothingElse) {
  Throttle();
  device_->SetVringEnabled(kRequestQueue, false);
  ASSERT_TRUE(AwaitThrottled(0));

  device_->SetLimits({});
  ASSERT_TRUE(AwaitOneLook());
  EXPECT_EQ(ring_.UsedIndex(), 4);

  device_->SetVringEnabled(kRequestQueue, true);
  EXPECT_TRUE(ring_.AwaitUsed(7));
}

TEST_F(VirtioFsDeviceLimitsTest, TheHighPriorityQueueIsNotLimited) {
  Throttle();
  FakeRing ring(guest_, 1);
  device_->SetVringEnabled(kHighPriorityQueue, true);
  ASSERT_TRUE(Start(kHighPriorityQueue, ring, 0).ok());

  for (uint16_t head = 0; head < 20; head += 2) {
    ring.Offer(head, FUSE_FORGET, kRoot, fuse_forget_in{.nlookup = 0}, 0);
  }
  ring.Kick();
  EXPECT_TRUE(ring.AwaitUsed(10));
  EXPECT_EQ(ring_.UsedIndex(), 4);
}

TEST_F(VirtioFsDeviceLimitsTest, RingsShareThem) {
  device_->SetLimits(Total(10, 4));
  StartMounted();
  FakeRing ring(guest_, 1);
  device_->SetVringEnabled(kOtherRequestQueue, true);
  device_->SetVringCall(kOtherRequestQueue, ring.GiveCall());
  ASSERT_TRUE(
      device_->StartVring(kOtherRequestQueue, {.setup = ring.setup(), .kick = ring.GiveKick()})
          .ok());

  Offer(ring_, 10);
  Offer(ring, 10);
  ASSERT_TRUE(AwaitThrottled(2));
  // Each may have taken one at the same moment.
  EXPECT_GE(ring_.UsedIndex() + ring.UsedIndex(), 1 + 4);
  EXPECT_LE(ring_.UsedIndex() + ring.UsedIndex(), 1 + 5);

  // The first that waits is let go, and then the second.
  const uint16_t before = ring_.UsedIndex();
  const uint16_t before_of_other = ring.UsedIndex();
  for (int i = 0; i < 600 && (ring_.UsedIndex() == before || ring.UsedIndex() == before_of_other);
       ++i) {
    Pass(milliseconds(100));
    std::this_thread::sleep_for(milliseconds(100));
  }
  EXPECT_GT(ring_.UsedIndex(), before);
  EXPECT_GT(ring.UsedIndex(), before_of_other);
}

TEST_F(VirtioFsDeviceLimitsTest, ARingWithoutAKickIsHeldBackToo) {
  device_->SetLimits(Total(10, 2));
  device_->SetVringEnabled(kRequestQueue, true);
  device_->SetVringCall(kRequestQueue, ring_.GiveCall());
  ASSERT_TRUE(device_->StartVring(kRequestQueue, {.setup = ring_.setup()}).ok());
  ring_.OfferInit(0);
  Offer(ring_, 4);

  ASSERT_TRUE(ring_.AwaitUsed(3));
  ASSERT_TRUE(AwaitThrottled());
  ASSERT_TRUE(AwaitOneLook());
  EXPECT_EQ(ring_.UsedIndex(), 3);
  device_->SetLimits({});
  EXPECT_TRUE(ring_.AwaitUsed(5));
}

TEST_F(VirtioFsDeviceLimitsTest, ARequestThatIsStuckHoldsNobodyElseBack) {
  device_->SetLimits(Total(10, 2));
  StartMounted();
  filesystem_.blocking_gate.Close();
  ring_.OfferGetAttributes(2, static_cast<uint64_t>(GatedFilesystem::kBlockingNode));
  ring_.OfferGetAttributes(4, kRoot);
  ring_.OfferGetAttributes(6, kRoot);
  ring_.Kick();

  // Another thread has the ring, and is held back as the first would be.
  ASSERT_TRUE(PumpUsed(2));
  ASSERT_TRUE(AwaitThrottled());
  EXPECT_EQ(ring_.UsedIndex(), 2);
  Pass(milliseconds(100));
  EXPECT_TRUE(PumpUsed(3));
  filesystem_.blocking_gate.Open();
  EXPECT_TRUE(PumpUsed(4));
}

}  // namespace
}  // namespace fsd::worker
