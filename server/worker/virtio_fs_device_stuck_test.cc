// How a VirtioFsDevice goes on while threads are stuck in requests.

#include <utility>

#include "gtest/gtest.h"
#include "server/worker/virtio_fs_device_fixture.h"

namespace fsd::worker {
namespace {

constexpr auto kRoot = static_cast<uint64_t>(backends::kRootNodeId);
constexpr auto kBlocking = static_cast<uint64_t>(GatedFilesystem::kBlockingNode);
// One for each of the device's rings, and those to spare.
constexpr uint16_t kMostThreads = 3 + 4;

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

TEST_F(VirtioFsDeviceStuckTest, WhatWasDoneBeforeInTheBatchIsCalledFor) {
  StartMounted();
  filesystem_.blocking_gate.Close();
  ring_.OfferGetAttributes(2, kRoot);
  ring_.OfferGetAttributes(4, kBlocking);
  ring_.Kick();
  ASSERT_TRUE(filesystem_.blocking_gate.AwaitWaiting(1));
  ASSERT_TRUE(RunOnce() && RunOnce() && RunOnce());

  EXPECT_TRUE(ring_.AwaitUsed(2));
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

}  // namespace
}  // namespace fsd::worker
