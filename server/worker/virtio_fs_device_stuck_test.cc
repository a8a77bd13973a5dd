// How a VirtioFsDevice goes on while threads are stuck in requests.

#include <thread>
#include <utility>

#include "gtest/gtest.h"
#include "server/os/event_fd.h"
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

// Every request is quick, so that the driver is told of most of them later.
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

 private:
  uint16_t head_ = 0;
};

TEST_F(VirtioFsDeviceTellingTest, TheDriverIsToldOfTheFirstAndThenInFours) {
  Offer(7, kRoot);
  Offer(1, kBlocking);
  ring_.Kick();
  ASSERT_TRUE(filesystem_.blocking_gate.AwaitWaiting(1));

  EXPECT_EQ(ring_.UsedIndex(), 1u + 5);
}

TEST_F(VirtioFsDeviceTellingTest, WhatWasDoneBeforeItStuckIsCalledFor) {
  Offer(3, kRoot);
  Offer(1, kBlocking);
  ring_.Kick();
  ASSERT_TRUE(filesystem_.blocking_gate.AwaitWaiting(1));
  os::EventFd::DrainFd(ring_.call_fd());  // of the first

  EXPECT_TRUE(PumpCall());
  EXPECT_EQ(ring_.UsedIndex(), 1u + 3);
}

TEST_F(VirtioFsDeviceTellingTest, WhatTheLastThreadHasDoneBeforeItStuckIsTold) {
  Offer(kMostThreads - 1, kBlocking);
  Offer(3, kRoot);
  Offer(1, kBlocking);
  ring_.Kick();
  ASSERT_TRUE(Pump([this] { return filesystem_.blocking_gate.waiting() == kMostThreads; }));

  EXPECT_TRUE(PumpUsed(1 + 3));
}

TEST_F(VirtioFsDeviceTellingTest, AStopThatRequestsOutlastLeavesNothingUntold) {
  Offer(3, kRoot);
  Offer(1, kBlocking);
  ring_.Kick();
  ASSERT_TRUE(filesystem_.blocking_gate.AwaitWaiting(1));

  std::optional<uint16_t> next;
  device_->StopVring(kRequestQueue, [&next](uint16_t index) { next = index; });
  ASSERT_TRUE(PumpCall());
  filesystem_.blocking_gate.Open();

  ASSERT_TRUE(Pump([&next] { return next.has_value(); }));
  EXPECT_EQ(next, 5);
  EXPECT_EQ(ring_.UsedIndex(), 5u);
}

// What a VMM asks for is done though requests hang.
class VirtioFsDeviceDrainTest : public VirtioFsDeviceFixture {
 protected:
  void SetUp() override {
    drain_patience_ = absl::Milliseconds(20);
    VirtioFsDeviceFixture::SetUp();
    // What is revoked is not to be the driver's own mapping.
    bool done = false;
    device_->SetMemory(given_, [&done] { done = true; });
    ASSERT_TRUE(Pump([&done] { return done; }));
    StartMounted();
  }
  const std::shared_ptr<const virtqueue::GuestMemory> given_ = guest_.MapAgain();
  // Head 2 hangs until blocking_gate is opened.
  void HangOneRequest() {
    filesystem_.blocking_gate.Close();
    ring_.OfferGetAttributes(2, kBlocking);
    ring_.Kick();
    ASSERT_TRUE(filesystem_.blocking_gate.AwaitWaiting(1));
  }
  // A hung request comes to its end.
  void EndTheHang() {
    filesystem_.blocking_gate.Open();
    while (filesystem_.blocking_gate.waiting() != 0) std::this_thread::yield();
  }
};

TEST_F(VirtioFsDeviceDrainTest, AStopIsAnsweredAndItsRequestCompletedAtTheNextStart) {
  HangOneRequest();
  ASSERT_EQ(Stop(), 2);
  EndTheHang();
  EXPECT_EQ(ring_.UsedIndex(), 1u);

  ASSERT_TRUE(Start(2).ok());

  ASSERT_TRUE(PumpUsed(2));
  EXPECT_EQ(ring_.UsedAt(1).id, 2u);
  EXPECT_EQ(ring_.ReplyAt(2).unique, 1002u);
  EXPECT_TRUE(AwaitReadable(ring_.call_fd()));
}

TEST_F(VirtioFsDeviceDrainTest, ARingRestartedDuringTheHangServesAndCompletesTheHungRequestOnce) {
  HangOneRequest();
  ASSERT_EQ(Stop(), 2);
  ASSERT_TRUE(Start(2).ok());
  ring_.OfferGetAttributes(4, kRoot);
  ring_.Kick();
  ASSERT_TRUE(PumpUsed(2));
  EXPECT_EQ(ring_.UsedAt(1).id, 4u);

  EndTheHang();

  ASSERT_TRUE(PumpUsed(3));
  EXPECT_EQ(ring_.UsedAt(2).id, 2u);
  EXPECT_EQ(ring_.ReplyAt(2).unique, 1002u);
  EXPECT_EQ(ring_.ReplyAt(2).error, 0);
  EXPECT_EQ(Stop(), 3);
  EXPECT_EQ(ring_.UsedIndex(), 3u);
}

TEST_F(VirtioFsDeviceDrainTest, AStopIsAnsweredAgainAndAgain) {
  HangOneRequest();
  for (int i = 0; i < 3; ++i) {
    ASSERT_EQ(Stop(), 2);
    ASSERT_TRUE(Start(2).ok());
  }
  EndTheHang();

  ASSERT_TRUE(PumpUsed(2));
  EXPECT_EQ(ring_.ReplyAt(2).unique, 1002u);
}

TEST_F(VirtioFsDeviceDrainTest, WhatHangsInTheSlowLaneIsCompletedAtTheNextStart) {
  filesystem_.fsync_gate.Close();
  for (uint16_t head = 2; head < 16; head += 2) {
    ring_.Offer(head, FUSE_FSYNC, 1, fuse_fsync_in{}, 0);
  }
  ring_.Kick();
  ASSERT_TRUE(filesystem_.fsync_gate.AwaitWaiting(4));
  // Others may still be in the ring.
  const std::optional<uint16_t> next = Stop();
  ASSERT_TRUE(next.has_value());
  filesystem_.fsync_gate.Open();

  ASSERT_TRUE(Start(*next).ok());

  EXPECT_TRUE(PumpUsed(8));
}

TEST_F(VirtioFsDeviceDrainTest, WhatWasCompletedMeanwhileIsCalledForThoughNoThreadIsLeft) {
  filesystem_.fsync_gate.Close();
  filesystem_.blocking_gate.Close();
  uint16_t head = 2;
  ring_.Offer(head, FUSE_FSYNC, 1, fuse_fsync_in{}, 0);
  while (head < 2 * (1 + kMostThreads)) ring_.OfferGetAttributes(head += 2, kBlocking);
  ring_.Kick();
  ASSERT_TRUE(Pump([this] { return filesystem_.blocking_gate.waiting() == kMostThreads; }));
  ASSERT_TRUE(filesystem_.fsync_gate.AwaitWaiting(1));
  ASSERT_EQ(Stop(), 2 + kMostThreads);
  os::EventFd::DrainFd(ring_.call_fd());
  filesystem_.fsync_gate.Open();
  while (filesystem_.fsync_gate.waiting() != 0) std::this_thread::yield();

  ASSERT_TRUE(Start(2 + kMostThreads).ok());

  EXPECT_TRUE(PumpCall());
  EXPECT_EQ(ring_.UsedIndex(), 2u);
  EndTheHang();
  EXPECT_TRUE(PumpUsed(2 + kMostThreads));
}

TEST_F(VirtioFsDeviceDrainTest, NothingOfAHungRequestReachesAGuestThatStartedAnew) {
  HangOneRequest();
  ASSERT_EQ(Stop(), 2);
  FakeRing fresh(guest_, 1);
  device_->SetVringCall(kRequestQueue, fresh.GiveCall());
  ASSERT_TRUE(
      device_->StartVring(kRequestQueue, {.setup = fresh.setup(), .kick = fresh.GiveKick()}).ok());
  fresh.OfferInit(0);
  fresh.Kick();
  ASSERT_TRUE(fresh.AwaitUsed(1));

  EndTheHang();

  ASSERT_TRUE(Reset());
  EXPECT_EQ(ring_.ReplyAt(2).unique, 0u);
  EXPECT_EQ(ring_.UsedIndex(), 1u);
  EXPECT_EQ(fresh.UsedIndex(), 1u);
}

TEST_F(VirtioFsDeviceDrainTest, AResetIsDoneWhileARequestHangs) {
  HangOneRequest();

  ASSERT_TRUE(Reset());

  EndTheHang();
  EXPECT_EQ(ring_.ReplyAt(2).unique, 0u);
}

TEST_F(VirtioFsDeviceDrainTest, MemoryIsReplacedWhileARequestHangsAndItsReplyFindsTheGuest) {
  HangOneRequest();
  bool done = false;
  device_->SetMemory(guest_.MapAgain(), [&done] { done = true; });
  ASSERT_TRUE(Pump([&done] { return done; }));

  EndTheHang();

  ASSERT_TRUE(PumpUsed(2));
  EXPECT_EQ(ring_.ReplyAt(2).unique, 1002u);
}

TEST_F(VirtioFsDeviceDrainTest, MemoryAddedAfterASuspensionIsTheGuests) {
  HangOneRequest();
  ASSERT_EQ(Stop(), 2);
  EXPECT_TRUE(given_->revoked());
  const auto grown =
      given_->With({.guest_address = 0, .size = 0x1000, .user_address = 0x1000, .mmap_offset = 0},
                   guest_.memory_fd());
  ASSERT_TRUE(grown.ok()) << grown.status();
  EXPECT_FALSE((*grown)->revoked());
  bool done = false;
  device_->SetMemory(*grown, [&done] { done = true; });
  ASSERT_TRUE(Pump([&done] { return done; }));
  ASSERT_TRUE(Start(2).ok());

  EndTheHang();

  ASSERT_TRUE(PumpUsed(2));
}

}  // namespace
}  // namespace fsd::worker
