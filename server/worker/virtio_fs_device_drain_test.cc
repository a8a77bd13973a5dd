// How a VirtioFsDevice does what a VMM asks for though requests hang.

#include <seccomp.h>
#include <sys/mman.h>

#include <cerrno>
#include <chrono>
#include <fstream>
#include <functional>
#include <optional>
#include <string>
#include <thread>
#include <utility>

#include "gtest/gtest.h"
#include "server/os/event_fd.h"
#include "server/worker/virtio_fs_device_fixture.h"

namespace fsd::worker {
namespace {

constexpr auto kRoot = static_cast<uint64_t>(backends::kRootNodeId);
constexpr auto kBlocking = static_cast<uint64_t>(GatedFilesystem::kBlockingNode);

// A figure of /proc/self/status, in bytes.
uint64_t StatusBytes(const std::string& name) {
  std::ifstream status("/proc/self/status");
  std::string word;
  uint64_t kibibytes = 0;
  while (status >> word && word != name + ":") continue;
  status >> kibibytes;
  return kibibytes * 1024;
}

class VirtioFsDeviceDrainTest : public VirtioFsDeviceFixture {
 protected:
  void SetUp() override {
    drain_patience_ = absl::Milliseconds(20);
    VirtioFsDeviceFixture::SetUp();
    // What is revoked is not to be the driver's own mapping.
    ASSERT_TRUE(SetMemory(given_));
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
  // A stop, and longer than the drain's patience. `next` as long as the test.
  void BeginStop(std::optional<uint16_t>& next) {
    device_->StopVring(kRequestQueue, [&next](uint16_t index) { next = index; });
    for (int i = 0; i < 20; ++i) static_cast<void>(RunOnce(10));
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
  ASSERT_TRUE(SetMemory(guest_.MapAgain()));

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
  ASSERT_TRUE(SetMemory(*grown));
  ASSERT_TRUE(Start(2).ok());

  EndTheHang();

  ASSERT_TRUE(PumpUsed(2));
}

// Lets a thread be the control thread where no private copy of the guest's memory can be made.
void WithoutRoomForACopy(const std::function<void()>& control) {
  std::thread([&control] {
    const scmp_filter_ctx filter = ::seccomp_init(SCMP_ACT_ALLOW);
    constexpr uint64_t kOfAFile = MAP_PRIVATE | MAP_FIXED;
    EXPECT_EQ(::seccomp_rule_add(filter, SCMP_ACT_ERRNO(ENOMEM), SCMP_SYS(mmap), 1,
                                 SCMP_A3(SCMP_CMP_MASKED_EQ, kOfAFile | MAP_ANONYMOUS, kOfAFile)),
              0);
    EXPECT_EQ(::seccomp_load(filter), 0);
    ::seccomp_release(filter);
    control();
  }).join();
}

TEST_F(VirtioFsDeviceDrainTest, AStopThatCannotRevokeMemoryIsAnsweredWhenItsRequestsEnd) {
  HangOneRequest();
  std::optional<uint16_t> next;
  WithoutRoomForACopy([&] {
    BeginStop(next);
    EXPECT_FALSE(next.has_value());
    EXPECT_FALSE(given_->revoked());

    EndTheHang();

    EXPECT_TRUE(Pump([&next] { return next.has_value(); }));
  });
  EXPECT_EQ(next, 2);
  EXPECT_EQ(ring_.UsedIndex(), 2u);
  EXPECT_EQ(ring_.ReplyAt(2).unique, 1002u);
}

TEST_F(VirtioFsDeviceDrainTest, AStopThatCannotRevokeMemoryTriesAgain) {
  HangOneRequest();
  std::optional<uint16_t> next;
  WithoutRoomForACopy([&] { BeginStop(next); });
  ASSERT_FALSE(next.has_value());

  ASSERT_TRUE(Pump([&next] { return next.has_value(); }));
  EXPECT_TRUE(given_->revoked());
  EndTheHang();
}

TEST_F(VirtioFsDeviceDrainTest, ADrainThatEndedByItselfLeavesTheNextOneToRevokeMemory) {
  FakeRing other(guest_, 1);
  constexpr size_t kOtherQueue = 2;
  device_->SetVringEnabled(kOtherQueue, true);
  ASSERT_TRUE(
      device_->StartVring(kOtherQueue, {.setup = other.setup(), .kick = other.GiveKick()}).ok());
  HangOneRequest();
  std::optional<uint16_t> next;
  device_->StopVring(kRequestQueue, [&next](uint16_t index) { next = index; });
  device_->OnTick();
  std::this_thread::sleep_for(std::chrono::milliseconds(25));
  // A thread that is in a request keeps the drain from going on, and then the drain is over.
  other.OfferGetAttributes(2, kBlocking);
  other.Kick();
  ASSERT_TRUE(filesystem_.blocking_gate.AwaitWaiting(2));
  device_->OnTick();
  EndTheHang();
  ASSERT_TRUE(Pump([&next] { return next.has_value(); }));
  ASSERT_EQ(next, 2);
  ASSERT_FALSE(given_->revoked());
  ASSERT_TRUE(Start(2).ok());

  filesystem_.blocking_gate.Close();
  ring_.OfferGetAttributes(4, kBlocking);
  ring_.Kick();
  ASSERT_TRUE(filesystem_.blocking_gate.AwaitWaiting(1));
  ASSERT_EQ(Stop(), 3);
  EndTheHang();

  EXPECT_EQ(ring_.ReplyAt(4).unique, 0u);
  ASSERT_TRUE(Start(3).ok());
  ASSERT_TRUE(PumpUsed(3));
  EXPECT_EQ(ring_.ReplyAt(4).unique, 1004u);
}

TEST_F(VirtioFsDeviceDrainTest, OfItsArgumentsARequestKeepsWhatItReads) {
  constexpr uint32_t kReadable = 4 << 20;
  AwaitRest();
  filesystem_.blocking_gate.Close();
  ring_.OfferGetAttributes(2, kBlocking);
  ring_.SetDescriptor(2, {.address = ring_.request_address(2),
                          .length = kReadable,
                          .flags = virtqueue::kDescriptorNext,
                          .next = 3});
  ring_.Kick();
  ASSERT_TRUE(filesystem_.blocking_gate.AwaitWaiting(1));
  const uint64_t before = StatusBytes("RssAnon");

  ASSERT_EQ(Stop(), 2);

  EXPECT_TRUE(given_->revoked());
  EXPECT_LT(StatusBytes("RssAnon"), before + kReadable / 4);
  EndTheHang();
}

}  // namespace
}  // namespace fsd::worker
