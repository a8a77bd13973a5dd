#include "server/worker/virtio_fs_device.h"

#include <sys/eventfd.h>
#include <unistd.h>

#include <cstring>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "gtest/gtest.h"
#include "server/worker/virtio_fs_device_fixture.h"

namespace fsd::worker {
namespace {

constexpr auto kRoot = static_cast<uint64_t>(backends::kRootNodeId);
constexpr auto kPending = static_cast<uint64_t>(GatedFilesystem::kPendingNode);
constexpr auto kBlocking = static_cast<uint64_t>(GatedFilesystem::kBlockingNode);
constexpr uint32_t kAttributesReplyBytes = sizeof(fuse_out_header) + sizeof(fuse_attr_out);

using VirtioFsDeviceTest = VirtioFsDeviceFixture;

TEST_F(VirtioFsDeviceTest, ConfigurationSpaceHasTagAndNumberOfRequestQueues) {
  ASSERT_EQ(device_->config().size(), 40u);
  EXPECT_EQ(std::memcmp(device_->config().data(), "myfs\0", 5), 0);
  EXPECT_EQ(device_->config()[36], std::byte{2});
  EXPECT_EQ(device_->config()[39], std::byte{0});
  EXPECT_EQ(device_->queue_count(), 3u);
}

TEST_F(VirtioFsDeviceTest, ATagThatDoesNotFitIsRefused) {
  EXPECT_FALSE(VirtioFsDevice::Create({.export_name = "test", .tag = std::string(37, 't')},
                                      session_, *tasks_)
                   .ok());
  EXPECT_FALSE(VirtioFsDevice::Create({.export_name = "test", .tag = ""}, session_, *tasks_).ok());
}

TEST_F(VirtioFsDeviceTest, ServesARequestFromKickToCall) {
  StartMounted();

  ring_.OfferGetAttributes(2, kRoot);
  ring_.Kick();

  ASSERT_TRUE(ring_.AwaitUsed(2));
  EXPECT_EQ(ring_.UsedAt(1).id, 2u);
  EXPECT_EQ(ring_.UsedAt(1).length, kAttributesReplyBytes);
  EXPECT_EQ(ring_.ReplyAt(2).unique, 1002u);
  EXPECT_EQ(ring_.ReplyAt(2).error, 0);
  EXPECT_EQ(ring_.ReplyAt(2).len, kAttributesReplyBytes);
}

TEST_F(VirtioFsDeviceTest, ServesWhatWasOfferedBeforeTheStart) {
  device_->SetVringEnabled(kRequestQueue, true);
  ring_.OfferInit(0);

  ASSERT_TRUE(Start().ok());

  EXPECT_TRUE(ring_.AwaitUsed(1));
}

TEST_F(VirtioFsDeviceTest, NeverReadsTheKick) {
  StartMounted();
  ring_.OfferGetAttributes(2, kRoot);
  ring_.Kick();
  ASSERT_TRUE(ring_.AwaitUsed(2));
  uint64_t kicks = 0;
  ASSERT_EQ(::read(ring_.kick_fd(), &kicks, sizeof kicks), 8);
  EXPECT_EQ(kicks, 2u);
}

TEST_F(VirtioFsDeviceTest, ServesARingWithoutAKick) {
  device_->SetVringEnabled(kRequestQueue, true);
  device_->SetVringCall(kRequestQueue, ring_.GiveCall());
  ASSERT_TRUE(device_->StartVring(kRequestQueue, {.setup = ring_.setup()}).ok());

  ring_.OfferInit(0);

  EXPECT_TRUE(ring_.AwaitUsed(1));
}

TEST_F(VirtioFsDeviceTest, RefusesAKickThatIsAFile) {
  vhost_user::VringStart start{.setup = ring_.setup(),
                               .kick = os::UniqueFd(::dup(guest_.memory_fd()))};
  EXPECT_EQ(device_->StartVring(kRequestQueue, std::move(start)).code(),
            absl::StatusCode::kInvalidArgument);
}

TEST_F(VirtioFsDeviceTest, RefusesARingOutsideMemory) {
  vhost_user::VringStart start{.setup = ring_.setup(), .kick = ring_.GiveKick()};
  start.setup.used_address = 0x1000;
  EXPECT_FALSE(device_->StartVring(kRequestQueue, std::move(start)).ok());
}

TEST_F(VirtioFsDeviceTest, RefusesToStartARingThatRuns) {
  ASSERT_TRUE(Start().ok());
  EXPECT_EQ(Start().code(), absl::StatusCode::kFailedPrecondition);
}

TEST_F(VirtioFsDeviceTest, PendingRequestsAreCompletedFromAnotherThreadInAnyOrder) {
  StartMounted();
  ring_.OfferGetAttributes(2, kPending);
  ring_.OfferGetAttributes(4, kPending);
  ring_.OfferGetAttributes(6, kRoot);
  ring_.Kick();
  ASSERT_TRUE(ring_.AwaitUsed(2));
  EXPECT_EQ(ring_.UsedAt(1).id, 6u);

  ASSERT_TRUE(filesystem_.CompletePending(1004));
  ASSERT_TRUE(ring_.AwaitUsed(3));
  EXPECT_EQ(ring_.UsedAt(2).id, 4u);
  EXPECT_EQ(ring_.UsedAt(2).length, kAttributesReplyBytes);

  ASSERT_TRUE(filesystem_.CompletePending(1002));
  ASSERT_TRUE(ring_.AwaitUsed(4));
  EXPECT_EQ(ring_.UsedAt(3).id, 2u);
  EXPECT_EQ(ring_.ReplyAt(2).unique, 1002u);
}

TEST_F(VirtioFsDeviceTest, SlowRequestsDoNotHoldUpTheRing) {
  StartMounted();
  filesystem_.fsync_gate.Close();
  for (uint16_t head = 2; head < 20; head += 2)
    ring_.Offer(head, FUSE_FSYNC, 1, fuse_fsync_in{}, 0);
  ring_.OfferGetAttributes(20, kRoot);
  ring_.Kick();

  ASSERT_TRUE(ring_.AwaitUsed(2));
  EXPECT_EQ(ring_.UsedAt(1).id, 20u);
  filesystem_.fsync_gate.Open();
  EXPECT_TRUE(ring_.AwaitUsed(11));
}

TEST_F(VirtioFsDeviceTest, ARequestInMorePiecesThanASlotHoldsIsServed) {
  StartMounted();
  ring_.OfferInPieces(2, FUSE_GETATTR, kRoot, fuse_getattr_in{}, sizeof(fuse_attr_out));
  ring_.Kick();

  ASSERT_TRUE(ring_.AwaitUsed(2));
  EXPECT_EQ(ring_.UsedAt(1).length, kAttributesReplyBytes);
  EXPECT_EQ(ring_.ReplyAt(2).unique, 1002u);
  EXPECT_EQ(ring_.ReplyAt(2).error, 0);
}

TEST_F(VirtioFsDeviceTest, ALongChainStaysValidWhileItsRequestIsPending) {
  StartMounted();
  ring_.OfferInPieces(2, FUSE_GETATTR, kPending, fuse_getattr_in{}, sizeof(fuse_attr_out));
  ring_.OfferGetAttributes(60, kRoot);
  ring_.Kick();
  ASSERT_TRUE(ring_.AwaitUsed(2));

  ASSERT_TRUE(filesystem_.CompletePending(1002));

  ASSERT_TRUE(ring_.AwaitUsed(3));
  EXPECT_EQ(ring_.ReplyAt(2).unique, 1002u);
}

TEST_F(VirtioFsDeviceTest, AChainOutsideMemoryIsHandedBackWithLengthZero) {
  StartMounted();
  ring_.SetDescriptor(2, {.address = 0x1000, .length = 56});
  ring_.Publish(2);
  ring_.OfferGetAttributes(4, kRoot);
  ring_.Kick();

  ASSERT_TRUE(ring_.AwaitUsed(3));
  EXPECT_EQ(ring_.UsedAt(1).id, 2u);
  EXPECT_EQ(ring_.UsedAt(1).length, 0u);
  EXPECT_EQ(ring_.UsedAt(2).length, kAttributesReplyBytes);
}

TEST_F(VirtioFsDeviceTest, AHeadOfferedAgainWhileInFlightStopsTheRingAndHarmsNoRequest) {
  const os::UniqueFd error(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  device_->SetVringError(kRequestQueue, os::UniqueFd(::dup(error.get())));
  StartMounted();
  ring_.OfferGetAttributes(2, kPending);
  ring_.Kick();
  ASSERT_TRUE(filesystem_.AwaitPending(1002));

  ring_.Publish(2);
  ring_.OfferGetAttributes(4, kRoot);
  ring_.Kick();
  ASSERT_TRUE(AwaitReadable(error.get()));
  ASSERT_TRUE(filesystem_.CompletePending(1002));

  ASSERT_TRUE(ring_.AwaitUsed(2));
  EXPECT_EQ(ring_.UsedAt(1).length, kAttributesReplyBytes);
  EXPECT_TRUE(Stop().has_value());
  EXPECT_EQ(ring_.UsedIndex(), 2u);
}

// The first that waits keeps the slot that all share, the second one has its head's own.
TEST_F(VirtioFsDeviceTest, AHeadOfferedAgainStopsTheRingWhicheverSlotItsRequestIsIn) {
  const os::UniqueFd error(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  device_->SetVringError(kRequestQueue, os::UniqueFd(::dup(error.get())));
  StartMounted();
  ring_.OfferGetAttributes(2, kPending);
  ring_.OfferGetAttributes(4, kPending);
  ring_.Kick();
  ASSERT_TRUE(filesystem_.AwaitPending(1002));
  ASSERT_TRUE(filesystem_.AwaitPending(1004));

  ring_.Publish(4);
  ring_.Kick();
  ASSERT_TRUE(AwaitReadable(error.get()));
  ASSERT_TRUE(filesystem_.CompletePending(1002));
  ASSERT_TRUE(filesystem_.CompletePending(1004));

  ASSERT_TRUE(ring_.AwaitUsed(3));
  EXPECT_EQ(ring_.ReplyAt(2).unique, 1002u);
  EXPECT_EQ(ring_.ReplyAt(4).unique, 1004u);
  EXPECT_TRUE(Stop().has_value());
  EXPECT_EQ(ring_.UsedIndex(), 3u);
}

TEST_F(VirtioFsDeviceTest, ARingServesOnlyOnceItIsEnabled) {
  ring_.OfferInit(0);
  ASSERT_TRUE(Start().ok());
  ring_.Kick();

  device_->SetVringEnabled(kRequestQueue, true);

  EXPECT_TRUE(ring_.AwaitUsed(1));
}

TEST_F(VirtioFsDeviceTest, ADisabledRingServesNothingUntilItIsEnabled) {
  StartMounted();
  device_->SetVringEnabled(kRequestQueue, false);
  ring_.OfferGetAttributes(2, kRoot);
  ring_.Kick();
  ASSERT_TRUE(AwaitOneLook());
  EXPECT_EQ(ring_.UsedIndex(), 1u);

  device_->SetVringEnabled(kRequestQueue, true);

  EXPECT_TRUE(ring_.AwaitUsed(2));
}

TEST_F(VirtioFsDeviceTest, DisablingLosesNoRequestInFlight) {
  StartMounted();
  ring_.OfferGetAttributes(2, kPending);
  ring_.Kick();
  ASSERT_TRUE(filesystem_.AwaitPending(1002));

  device_->SetVringEnabled(kRequestQueue, false);
  ASSERT_TRUE(filesystem_.CompletePending(1002));

  ASSERT_TRUE(ring_.AwaitUsed(2));
  EXPECT_EQ(ring_.UsedAt(1).length, kAttributesReplyBytes);
}

TEST_F(VirtioFsDeviceTest, StopAnswersOnlyWhenRequestsInFlightAreDone) {
  StartMounted();
  filesystem_.fsync_gate.Close();
  ring_.OfferGetAttributes(2, kPending);
  ring_.Offer(4, FUSE_FSYNC, 1, fuse_fsync_in{}, 0);
  ring_.Kick();
  ASSERT_TRUE(filesystem_.AwaitPending(1002));
  ASSERT_TRUE(filesystem_.fsync_gate.AwaitWaiting(1));

  std::optional<uint16_t> next;
  device_->StopVring(kRequestQueue, [&next](uint16_t index) { next = index; });
  ASSERT_TRUE(filesystem_.CompletePending(1002));
  ASSERT_TRUE(ring_.AwaitUsed(2));
  tasks_->Run();
  EXPECT_FALSE(next.has_value());
  filesystem_.fsync_gate.Open();

  ASSERT_TRUE(Pump([&next] { return next.has_value(); }));
  EXPECT_EQ(next, 3);
  EXPECT_EQ(ring_.UsedIndex(), 3u);
}

TEST_F(VirtioFsDeviceTest, StopEndsWhatWaitsForALock) {
  StartMounted();
  ring_.OfferGetAttributes(2, static_cast<uint64_t>(GatedFilesystem::kWaitingNode));
  ring_.Kick();
  ASSERT_TRUE(filesystem_.AwaitWaiting());

  EXPECT_EQ(Stop(), 2);

  EXPECT_EQ(ring_.UsedIndex(), 2u);
  EXPECT_EQ(ring_.ReplyAt(2).error, -EAGAIN);
}

TEST_F(VirtioFsDeviceTest, StopDoesNotWaitOnTheControlThreadForABlockedQueue) {
  StartMounted();
  filesystem_.blocking_gate.Close();
  ring_.OfferGetAttributes(2, kBlocking);
  ring_.Kick();
  ASSERT_TRUE(filesystem_.blocking_gate.AwaitWaiting(1));

  std::optional<uint16_t> next;
  device_->StopVring(kRequestQueue, [&next](uint16_t index) { next = index; });
  tasks_->Run();
  EXPECT_FALSE(next.has_value());
  filesystem_.blocking_gate.Open();

  ASSERT_TRUE(Pump([&next] { return next.has_value(); }));
  EXPECT_EQ(ring_.UsedIndex(), 2u);
}

TEST_F(VirtioFsDeviceTest, AStoppedRingIsNotTouched) {
  StartMounted();
  ASSERT_EQ(Stop(), 1);
  const std::string_view memory(guest_.At<char>(FakeGuest::kGuestBase), FakeGuest::kMemoryBytes);

  ring_.OfferGetAttributes(2, kRoot);
  const std::string before(memory);
  ring_.Kick();
  ASSERT_TRUE(AwaitOneLook());

  EXPECT_TRUE(memory == before);
}

TEST_F(VirtioFsDeviceTest, AStoppedRingGoesOnWhereItWas) {
  StartMounted();
  const std::optional<uint16_t> next = Stop();
  ASSERT_EQ(next, 1);
  ring_.OfferGetAttributes(2, kRoot);

  ASSERT_TRUE(Start(*next).ok());

  ASSERT_TRUE(ring_.AwaitUsed(2));
  EXPECT_EQ(ring_.UsedAt(1).id, 2u);
}

TEST_F(VirtioFsDeviceTest, AHighPriorityRingThatWaitsForMoreStops) {
  StartMounted();
  FakeRing high(guest_, 1);
  device_->SetVringEnabled(kHighPriorityQueue, true);
  ASSERT_TRUE(Start(kHighPriorityQueue, high, 0).ok());
  high.OfferGetAttributes(0, 1);
  high.Kick();
  ASSERT_TRUE(high.AwaitUsed(1));

  EXPECT_EQ(Stop(kHighPriorityQueue), 1);
}

TEST_F(VirtioFsDeviceTest, StoppingARingThatDoesNotRunIsAnswered) { EXPECT_EQ(Stop(), 0); }

TEST_F(VirtioFsDeviceTest, ACallSetLateIsToldWhatItMissed) {
  device_->SetVringEnabled(kRequestQueue, true);
  ring_.OfferInit(0);
  ASSERT_TRUE(
      device_->StartVring(kRequestQueue, {.setup = ring_.setup(), .kick = ring_.GiveKick()}).ok());
  ASSERT_TRUE(ring_.AwaitUsedWithoutCall(1));
  ASSERT_EQ(Stop(), 1);

  device_->SetVringCall(kRequestQueue, ring_.GiveCall());

  EXPECT_TRUE(AwaitReadable(ring_.call_fd()));
}

}  // namespace
}  // namespace fsd::worker
