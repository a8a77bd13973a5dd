// How a VirtioFsDevice goes on while threads are stuck in requests.

#include <atomic>
#include <chrono>
#include <thread>
#include <utility>

#include "gtest/gtest.h"
#include "server/os/event_fd.h"
#include "server/worker/virtio_fs_device_fixture.h"

namespace fsd::worker {
namespace {

constexpr auto kRoot = static_cast<uint64_t>(backends::kRootNodeId);
constexpr auto kBlocking = static_cast<uint64_t>(GatedFilesystem::kBlockingNode);

using VirtioFsDeviceStuckTest = VirtioFsDeviceFixture;

TEST_F(VirtioFsDeviceStuckTest, OtherRequestsOfTheRingGoOn) {
  StartMounted();
  filesystem_.blocking_gate.Close();
  ring_.OfferGetAttributes(2, kBlocking);
  ring_.OfferGetAttributes(4, kRoot);
  ring_.Kick();

  ASSERT_TRUE(PumpUsed(2));
  EXPECT_EQ(ring_.UsedAt(1).id, 4u);
  filesystem_.blocking_gate.Open();
  ASSERT_TRUE(PumpUsed(3));
  EXPECT_EQ(ring_.UsedAt(2).id, 2u);
  EXPECT_EQ(ring_.ReplyAt(2).unique, 1002u);
}

TEST_F(VirtioFsDeviceStuckTest, AThreadThatComesBackCallsForItsRequestAndServesAgain) {
  StartMounted();
  filesystem_.blocking_gate.Close();
  ring_.OfferGetAttributes(2, kBlocking);
  ring_.OfferGetAttributes(4, kRoot);
  ring_.Kick();
  ASSERT_TRUE(PumpUsed(2));
  ASSERT_TRUE(ring_.AwaitUsed(2));
  filesystem_.blocking_gate.Open();
  ASSERT_TRUE(ring_.AwaitUsed(3));

  ring_.OfferGetAttributes(2, kRoot);
  ring_.OfferGetAttributes(4, kRoot);
  ring_.Kick();

  EXPECT_TRUE(ring_.AwaitUsed(5));
}

TEST_F(VirtioFsDeviceStuckTest, WithEveryThreadStuckTheRingWaitsAndLosesNothing) {
  StartMounted();
  filesystem_.blocking_gate.Close();
  for (uint16_t i = 1; i <= kMostThreads + 3; ++i) ring_.OfferGetAttributes(2 * i, kBlocking);
  ring_.Kick();
  ASSERT_TRUE(Pump([this] { return filesystem_.blocking_gate.waiting() == kMostThreads; }));
  device_->SetVringEnabled(kRequestQueue, true);
  EXPECT_EQ(ring_.UsedIndex(), 1u);

  filesystem_.blocking_gate.Open();

  ASSERT_TRUE(PumpUsed(1 + kMostThreads + 3));
  for (uint16_t i = 1; i <= kMostThreads + 3; ++i) {
    EXPECT_EQ(ring_.ReplyAt(2 * i).unique, 1000u + 2 * i);
  }
}

TEST_F(VirtioFsDeviceStuckTest, AStopWaitsForThreadsThatHaveLostTheirRing) {
  StartMounted();
  filesystem_.blocking_gate.Close();
  ring_.OfferGetAttributes(2, kBlocking);
  ring_.OfferGetAttributes(4, kRoot);
  ring_.Kick();
  ASSERT_TRUE(PumpUsed(2));

  std::optional<uint16_t> next;
  device_->StopVring(kRequestQueue, [&next](uint16_t index) { next = index; });
  tasks_->Run();
  EXPECT_FALSE(next.has_value());
  filesystem_.blocking_gate.Open();

  ASSERT_TRUE(Pump([&next] { return next.has_value(); }));
  EXPECT_EQ(next, 3);
  EXPECT_EQ(ring_.UsedIndex(), 3u);
}

TEST_F(VirtioFsDeviceStuckTest, AnIdleRingMakesNoTicks) {
  StartMounted();
  pollfd tick{.fd = device_->tick_fd(), .events = POLLIN, .revents = 0};
  while (::poll(&tick, 1, 200) == 1) device_->OnTick();

  EXPECT_EQ(::poll(&tick, 1, 200), 0);
}

TEST_F(VirtioFsDeviceStuckTest, ADriverThatWasAwakeIsCalledForALongRequest) {
  StartMounted();
  AwaitRest();
  // It wants no call for what it still sees; then it sleeps.
  const std::atomic_ref flags(*guest_.At<uint16_t>(ring_.available_address()));
  flags.store(virtqueue::kAvailableNoInterrupt);
  ring_.OfferGetAttributes(2, kRoot);
  ring_.Kick();
  ASSERT_TRUE(ring_.AwaitUsedWithoutCall(2));
  AwaitRest();
  flags.store(0);
  os::EventFd::DrainFd(ring_.call_fd());
  filesystem_.blocking_gate.Close();
  filesystem_.other_gate.Close();
  ring_.OfferGetAttributes(4, kBlocking);
  ring_.OfferGetAttributes(6, static_cast<uint64_t>(GatedFilesystem::kOtherBlockingNode));
  ring_.Kick();
  ASSERT_TRUE(filesystem_.blocking_gate.AwaitWaiting(1));
  std::this_thread::sleep_for(std::chrono::microseconds(100));

  filesystem_.blocking_gate.Open();

  EXPECT_TRUE(AwaitReadable(ring_.call_fd()));
  EXPECT_EQ(ring_.UsedIndex(), 3u);
}

// Every request is quick, so that a driver with many in flight is told of most of them later.
class VirtioFsDeviceTellingTest : public VirtioFsDeviceFixture {
 protected:
  void SetUp() override {
    clock_ = os::CycleClock::Stopped();
    VirtioFsDeviceFixture::SetUp();
    StartMounted();
    AwaitRest();
    filesystem_.blocking_gate.Close();
  }
  // Offers so many at the next heads.
  void Offer(int count, uint64_t node) {
    for (int i = 0; i < count; ++i) ring_.OfferGetAttributes(head_ += 2, node);
  }
  // Offers so many that are served, and one that the thread then sticks in.
  void ServeAndStick(int count) {
    Offer(count, kRoot);
    Offer(1, kBlocking);
    ring_.Kick();
    ASSERT_TRUE(filesystem_.blocking_gate.AwaitWaiting(1));
  }

 private:
  uint16_t head_ = 0;
};

TEST_F(VirtioFsDeviceTellingTest, TheDriverIsToldOfTheFirstAndThenInFours) {
  ASSERT_NO_FATAL_FAILURE(ServeAndStick(7));

  EXPECT_EQ(ring_.UsedIndex(), 1u + 5);
}

TEST_F(VirtioFsDeviceTellingTest, ADriverWithFewInFlightIsToldOfMore) {
  ASSERT_NO_FATAL_FAILURE(ServeAndStick(5));

  EXPECT_EQ(ring_.UsedIndex(), 1u + 4);
}

TEST_F(VirtioFsDeviceTellingTest, ADriverWithThreeInFlightIsToldOfEach) {
  ASSERT_NO_FATAL_FAILURE(ServeAndStick(2));

  EXPECT_EQ(ring_.UsedIndex(), 1u + 2);
}

TEST_F(VirtioFsDeviceTellingTest, WhatWasDoneBeforeItStuckIsCalledFor) {
  ASSERT_NO_FATAL_FAILURE(ServeAndStick(7));
  os::EventFd::DrainFd(ring_.call_fd());  // of the first

  EXPECT_TRUE(PumpCall());
  EXPECT_EQ(ring_.UsedIndex(), 1u + 7);
}

TEST_F(VirtioFsDeviceTellingTest, WhatTheLastThreadHasDoneBeforeItStuckIsTold) {
  Offer(kMostThreads - 1, kBlocking);
  Offer(7, kRoot);
  Offer(1, kBlocking);
  ring_.Kick();
  ASSERT_TRUE(Pump([this] { return filesystem_.blocking_gate.waiting() == kMostThreads; }));

  EXPECT_TRUE(PumpUsed(1 + 7));
}

TEST_F(VirtioFsDeviceTellingTest, AStopThatRequestsOutlastLeavesNothingUntold) {
  ASSERT_NO_FATAL_FAILURE(ServeAndStick(7));

  std::optional<uint16_t> next;
  device_->StopVring(kRequestQueue, [&next](uint16_t index) { next = index; });
  ASSERT_TRUE(PumpCall());
  filesystem_.blocking_gate.Open();

  ASSERT_TRUE(Pump([&next] { return next.has_value(); }));
  EXPECT_EQ(next, 1 + 8);
  EXPECT_EQ(ring_.UsedIndex(), 1u + 8);
}

}  // namespace
}  // namespace fsd::worker
