// How a VirtioFsDevice uses guest memory: changes of the table, and the dirty log.

#include <atomic>
#include <utility>

#include "gtest/gtest.h"
#include "server/os/memory_file.h"
#include "server/worker/virtio_fs_device_fixture.h"

namespace fsd::worker {
namespace {

constexpr auto kRoot = static_cast<uint64_t>(backends::kRootNodeId);
constexpr auto kPending = static_cast<uint64_t>(GatedFilesystem::kPendingNode);
constexpr auto kBlocking = static_cast<uint64_t>(GatedFilesystem::kBlockingNode);

using VirtioFsDeviceMemoryTest = VirtioFsDeviceFixture;

TEST_F(VirtioFsDeviceMemoryTest, ARunningRingGoesOnWithANewTable) {
  StartMounted();
  bool done = false;
  device_->SetMemory(guest_.MapAgain(), [&done] { done = true; });
  ASSERT_TRUE(Pump([&done] { return done; }));

  ring_.OfferGetAttributes(2, kRoot);
  ring_.Kick();

  ASSERT_TRUE(ring_.AwaitUsed(2));
  EXPECT_EQ(ring_.ReplyAt(2).unique, 1002u);
}

TEST_F(VirtioFsDeviceMemoryTest, BuffersThatTheNewTableLacksAreNotUsed) {
  StartMounted();
  bool done = false;
  device_->SetMemory(std::make_shared<virtqueue::GuestMemory>(), [&done] { done = true; });
  ASSERT_TRUE(Pump([&done] { return done; }));

  ring_.OfferGetAttributes(2, kRoot);
  ring_.Kick();

  ASSERT_TRUE(ring_.AwaitUsed(2));
  EXPECT_EQ(ring_.UsedAt(1).length, 0u);
}

TEST_F(VirtioFsDeviceMemoryTest, AChangeIsAnsweredOnceNoPendingRequestUsesTheOldTable) {
  StartMounted();
  ring_.OfferGetAttributes(2, kPending);
  ring_.OfferGetAttributes(4, kPending);
  ring_.Kick();
  ASSERT_TRUE(filesystem_.AwaitPending(1004));

  bool done = false;
  device_->SetMemory(guest_.MapAgain(), [&done] { done = true; });
  ASSERT_TRUE(filesystem_.CompletePending(1002));
  // The queue has taken the new table.
  ring_.OfferGetAttributes(6, kRoot);
  ring_.Kick();
  ASSERT_TRUE(ring_.AwaitUsed(3));
  tasks_->Run();
  EXPECT_FALSE(done);

  ASSERT_TRUE(filesystem_.CompletePending(1004));
  ASSERT_TRUE(Pump([&done] { return done; }));
  EXPECT_EQ(ring_.ReplyAt(4).unique, 1004u);
}

TEST_F(VirtioFsDeviceMemoryTest, AChangeWaitsForARequestThatIsBeingServed) {
  StartMounted();
  filesystem_.blocking_gate.Close();
  ring_.OfferGetAttributes(2, kBlocking);
  ring_.Kick();
  ASSERT_TRUE(filesystem_.blocking_gate.AwaitWaiting(1));

  bool done = false;
  device_->SetMemory(guest_.MapAgain(), [&done] { done = true; });
  tasks_->Run();
  EXPECT_FALSE(done);

  filesystem_.blocking_gate.Open();
  EXPECT_TRUE(Pump([&done] { return done; }));
}

TEST_F(VirtioFsDeviceMemoryTest, ATableThatOnlyGrowsIsAnsweredWhileRequestsHang) {
  StartMounted();
  filesystem_.blocking_gate.Close();
  ring_.OfferGetAttributes(2, kBlocking);
  ring_.Kick();
  ASSERT_TRUE(filesystem_.blocking_gate.AwaitWaiting(1));

  bool done = false;
  device_->SetMemory(
      *guest_.memory()->With(
          {.guest_address = 0, .size = 0x1000, .user_address = 0x1000, .mmap_offset = 0},
          guest_.memory_fd()),
      [&done] { done = true; });
  EXPECT_TRUE(Pump([&done] { return done; }));
}

TEST_F(VirtioFsDeviceMemoryTest, ALaterChangeAlsoWaitsForTheTablesBeforeTheLast) {
  StartMounted();
  ring_.OfferGetAttributes(2, kPending);
  ring_.Kick();
  ASSERT_TRUE(filesystem_.AwaitPending(1002));

  int answered = 0;
  device_->SetMemory(guest_.MapAgain(), [&answered] { EXPECT_EQ(++answered, 1); });
  device_->SetMemory(guest_.MapAgain(), [&answered] { EXPECT_EQ(++answered, 2); });
  tasks_->Run();
  EXPECT_EQ(answered, 0);

  ASSERT_TRUE(filesystem_.CompletePending(1002));
  EXPECT_TRUE(Pump([&answered] { return answered == 2; }));
}

class VirtioFsDeviceDirtyLogTest : public VirtioFsDeviceFixture {
 protected:
  // One bit a page, up to the end of guest memory.
  static constexpr size_t kLogBytes = (FakeGuest::kGuestBase + FakeGuest::kMemoryBytes) / 4096 / 8;

  void SetUp() override {
    VirtioFsDeviceFixture::SetUp();
    log_file_ = *os::CreateMemoryFile("log", kLogBytes);
    bits_ = *os::MappedMemory::MapShared(log_file_.get(), 0, kLogBytes);
    log_ = *virtqueue::DirtyLog::Map(log_file_.get(), 0, kLogBytes);
  }

  bool Marked(uint64_t guest_address) const {
    const uint64_t page = guest_address / 4096;
    auto& byte = reinterpret_cast<uint8_t&>(bits_.data()[page / 8]);
    return (std::atomic_ref(byte).load() >> (page % 8) & 1) != 0;
  }

  os::UniqueFd log_file_;
  os::MappedMemory bits_;
  std::shared_ptr<const virtqueue::DirtyLog> log_;
};

TEST_F(VirtioFsDeviceDirtyLogTest, MarksReplyAndUsedRingAndNothingElse) {
  StartMounted();
  device_->SetDirtyLog(log_);

  ring_.OfferGetAttributes(2, kRoot);
  ring_.Kick();
  ASSERT_TRUE(ring_.AwaitUsed(2));

  EXPECT_TRUE(Marked(ring_.reply_address(2)));
  EXPECT_TRUE(Marked(ring_.used_address()));
  EXPECT_FALSE(Marked(ring_.reply_address(0)));
  EXPECT_FALSE(Marked(ring_.request_address(2)));
  EXPECT_FALSE(Marked(ring_.reply_address(2) + 4096));
}

TEST_F(VirtioFsDeviceDirtyLogTest, MarksEachPageOfAReplyThatCrossesPages) {
  StartMounted();
  device_->SetDirtyLog(log_);
  ring_.OfferGetAttributes(2, kRoot);
  // Moved behind the back of Offer: the reply straddles two pages of request 4's.
  const uint64_t border = ring_.request_address(4) + 4096;
  ring_.SetDescriptor(
      5, {.address = border - 20, .length = 1000, .flags = virtqueue::kDescriptorWrite});
  ring_.SetDescriptor(4, {.address = ring_.request_address(2),
                          .length = sizeof(fuse_in_header) + sizeof(fuse_getattr_in),
                          .flags = virtqueue::kDescriptorNext,
                          .next = 5});
  ring_.Publish(4);
  ring_.Kick();
  ASSERT_TRUE(ring_.AwaitUsed(3));

  EXPECT_TRUE(Marked(border - 1));
  EXPECT_TRUE(Marked(border));
}

TEST_F(VirtioFsDeviceDirtyLogTest, MarksTheReplyOfARequestThatBeganBeforeTheLog) {
  StartMounted();
  ring_.OfferGetAttributes(2, kPending);
  ring_.Kick();
  ASSERT_TRUE(filesystem_.AwaitPending(1002));
  device_->SetDirtyLog(log_);

  ASSERT_TRUE(filesystem_.CompletePending(1002));
  ASSERT_TRUE(ring_.AwaitUsed(2));

  EXPECT_TRUE(Marked(ring_.reply_address(2)));
}

// Every request is quick.
class VirtioFsDeviceQuickLogTest : public VirtioFsDeviceDirtyLogTest {
 protected:
  void SetUp() override {
    clock_ = os::CycleClock::Stopped();
    VirtioFsDeviceDirtyLogTest::SetUp();
  }
};

TEST_F(VirtioFsDeviceQuickLogTest, WhatWasDoneBeforeTheLogIsShownBeforeIt) {
  StartMounted();
  AwaitRest();
  filesystem_.blocking_gate.Close();
  for (uint16_t head = 2; head <= 14; head += 2) ring_.OfferGetAttributes(head, kRoot);
  ring_.OfferGetAttributes(16, static_cast<uint64_t>(GatedFilesystem::kBlockingNode));
  ring_.Kick();
  ASSERT_TRUE(filesystem_.blocking_gate.AwaitWaiting(1));
  ASSERT_EQ(ring_.UsedIndex(), 6u);

  device_->SetDirtyLog(log_);

  EXPECT_EQ(ring_.UsedIndex(), 8u);
  EXPECT_FALSE(Marked(ring_.used_address()));
  filesystem_.blocking_gate.Open();
  EXPECT_TRUE(ring_.AwaitUsed(9));
}

TEST_F(VirtioFsDeviceDirtyLogTest, MarksAfterTheTableHasChanged) {
  StartMounted();
  bool done = false;
  device_->SetMemory(guest_.MapAgain(), [&done] { done = true; });
  ASSERT_TRUE(Pump([&done] { return done; }));
  device_->SetDirtyLog(log_);

  ring_.OfferGetAttributes(2, kRoot);
  ring_.Kick();
  ASSERT_TRUE(ring_.AwaitUsed(2));

  EXPECT_TRUE(Marked(ring_.reply_address(2)));
}

TEST_F(VirtioFsDeviceDirtyLogTest, ARingThatStartsLaterIsLoggedToo) {
  device_->SetDirtyLog(log_);
  StartMounted();
  EXPECT_TRUE(Marked(ring_.reply_address(0)));
}

TEST_F(VirtioFsDeviceDirtyLogTest, NothingIsMarkedOnceTheLogIsTakenAway) {
  StartMounted();
  device_->SetDirtyLog(log_);
  device_->SetDirtyLog(nullptr);

  ring_.OfferGetAttributes(2, kRoot);
  ring_.Kick();
  ASSERT_TRUE(ring_.AwaitUsed(2));

  EXPECT_FALSE(Marked(ring_.reply_address(2)));
}

}  // namespace
}  // namespace fsd::worker
