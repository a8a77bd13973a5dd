#include "server/virtqueue/virtqueue.h"

#include <array>
#include <cerrno>
#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "server/os/memory_file.h"
#include "server/virtqueue/dirty_log.h"
#include "server/virtqueue/fake_driver.h"

namespace fsd::virtqueue {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

constexpr uint64_t kData = FakeDriver::kData;
constexpr uint16_t kWrite = kDescriptorWrite;

// A driver, its queue, and storage for a chain.
struct Guest {
  explicit Guest(const FakeDriverOptions& options = {})
      : driver(options), queue(driver.MakeQueue()), storage(queue->max_chain_iovecs()) {}

  ErrnoOr<Chain> Gather(uint16_t head) const {
    return queue->Gather(head, *driver.memory(), const_cast<std::vector<iovec>&>(storage));
  }
  // Publishes `count` one-byte chains, pops and completes them.
  void Serve(int count) {
    for (int i = 0; i < count; ++i) {
      driver.Publish(0);
      queue->Complete(queue->Pop().value(), 0, nullptr);
    }
  }

  FakeDriver driver;
  std::unique_ptr<Virtqueue> queue;
  std::vector<iovec> storage;
};

std::vector<size_t> Lengths(std::span<const iovec> iovecs) {
  std::vector<size_t> lengths;
  for (const iovec& piece : iovecs) lengths.push_back(piece.iov_len);
  return lengths;
}

// ---- Setting up

TEST(VirtqueueCreate, TakesEveryPowerOfTwo) {
  for (uint32_t size = 1; size <= kMaxQueueSize; size *= 2) {
    const FakeDriver driver({.size = static_cast<uint16_t>(size), .event_index = true});
    const auto queue = Virtqueue::Create(driver.setup(), driver.memory());
    ASSERT_TRUE(queue.ok()) << queue.status();
    EXPECT_EQ((*queue)->size(), size);
  }
}

TEST(VirtqueueCreate, RefusesOtherSizes) {
  for (const uint16_t size : {0, 3, 1000, 32769, 65535}) {
    const FakeDriver driver;
    VirtqueueSetup setup = driver.setup();
    setup.size = size;
    EXPECT_TRUE(absl::IsInvalidArgument(Virtqueue::Create(setup, driver.memory()).status()));
  }
}

TEST(VirtqueueCreate, RefusesMisalignedAreas) {
  const FakeDriver driver;
  VirtqueueSetup descriptors = driver.setup();
  descriptors.descriptor_address += 8;
  VirtqueueSetup available = driver.setup();
  available.available_address += 1;
  VirtqueueSetup used = driver.setup();
  used.used_address += 2;
  for (const VirtqueueSetup& setup : {descriptors, available, used}) {
    EXPECT_TRUE(absl::IsInvalidArgument(Virtqueue::Create(setup, driver.memory()).status()));
  }
}

TEST(VirtqueueCreate, RefusesAreasThatAMappingMisaligns) {
  const auto file = *os::CreateMemoryFile("guest", 1 << 20);
  const auto memory = *GuestMemory().With({.size = 0x8000, .mmap_offset = 1}, file.get());
  const VirtqueueSetup setup{.size = 8, .available_address = 0x1000, .used_address = 0x2000};
  EXPECT_TRUE(absl::IsInvalidArgument(Virtqueue::Create(setup, memory).status()));
}

TEST(VirtqueueCreate, RefusesAreasOutsideMemory) {
  const FakeDriver driver({.event_index = true});
  constexpr uint64_t kEnd = FakeDriver::kEnd + FakeDriver::kUserOffset;
  VirtqueueSetup descriptors = driver.setup();
  descriptors.descriptor_address = kEnd - 8 * sizeof(Descriptor) + 16;
  VirtqueueSetup available = driver.setup();
  available.available_address = kEnd - AvailableRingBytes(8, true) + 2;
  VirtqueueSetup used = driver.setup();
  used.used_address = kEnd - AvailEventOffset(8);  // only avail_event is outside
  for (const VirtqueueSetup& setup : {descriptors, available, used}) {
    EXPECT_TRUE(absl::IsInvalidArgument(Virtqueue::Create(setup, driver.memory()).status()));
  }
}

TEST(VirtqueueCreate, GoesOnWhereTheRingsStand) {
  Guest guest({.start_index = 1234});
  EXPECT_EQ(guest.queue->next_available(), 1234);
  guest.Serve(1);
  EXPECT_EQ(guest.queue->next_available(), 1235);
  EXPECT_EQ(guest.driver.UsedIndex(), 1235);
}

TEST(VirtqueueCreate, KeepsItsRingsMapped) {
  auto driver = std::make_unique<FakeDriver>();
  const auto queue = driver->MakeQueue();
  driver->Publish(3);
  driver.reset();
  EXPECT_EQ(queue->Pop(), 3);
}

// ---- Popping and completing

TEST(VirtqueuePop, YieldsHeadsInTheirOrder) {
  Guest guest;
  EXPECT_EQ(guest.queue->Pop(), std::nullopt);
  guest.driver.Publish(5);
  guest.driver.Publish(2);
  EXPECT_EQ(guest.queue->Pop(), 5);
  EXPECT_EQ(guest.queue->next_available(), 1);
  EXPECT_EQ(guest.queue->Pop(), 2);
  EXPECT_EQ(guest.queue->Pop(), std::nullopt);
  EXPECT_FALSE(guest.queue->broken());
}

TEST(VirtqueuePop, GoesOnPastIndex65535) {
  Guest guest({.size = 4, .start_index = 65530});
  for (uint32_t i = 0; i < 20; ++i) {
    const auto head = static_cast<uint16_t>(i % 4);
    guest.driver.Publish(head);
    ASSERT_EQ(guest.queue->Pop(), head);
    guest.queue->Complete(head, i, nullptr);
    const UsedElement used = guest.driver.UsedAt(static_cast<uint16_t>(65530 + i));
    EXPECT_EQ(used.id, head);
    EXPECT_EQ(used.length, i);
  }
  EXPECT_EQ(guest.driver.UsedIndex(), 14);
  EXPECT_EQ(guest.queue->next_available(), 14);
}

TEST(VirtqueuePop, AFullRingOfTheLargestSizeIsNotBroken) {
  Guest guest({.size = 32768, .start_index = 40000});
  guest.driver.SetAvailableIndex(static_cast<uint16_t>(40000 + 32768));
  EXPECT_TRUE(guest.queue->Pop().has_value());
}

TEST(VirtqueuePop, AnIndexTooFarAheadBreaksTheQueue) {
  Guest guest({.size = 8});
  guest.driver.SetAvailableIndex(9);
  EXPECT_EQ(guest.queue->Pop(), std::nullopt);
  EXPECT_TRUE(guest.queue->broken());
  EXPECT_NE(guest.queue->broken_reason(), nullptr);

  guest.driver.SetAvailableIndex(1);
  EXPECT_EQ(guest.queue->Pop(), std::nullopt) << "once broken, always broken";
  EXPECT_FALSE(guest.queue->RequestKicks());
}

TEST(VirtqueuePop, AnIndexThatGoesBackBreaksTheQueue) {
  Guest guest({.size = 8, .start_index = 5});
  guest.driver.SetAvailableIndex(4);
  EXPECT_EQ(guest.queue->Pop(), std::nullopt);
  EXPECT_TRUE(guest.queue->broken());
}

TEST(VirtqueuePop, AHeadOutsideTheTableBreaksTheQueue) {
  Guest guest({.size = 8});
  guest.driver.Publish(8);
  EXPECT_EQ(guest.queue->Pop(), std::nullopt);
  EXPECT_TRUE(guest.queue->broken());
  EXPECT_EQ(guest.queue->next_available(), 0);
}

TEST(VirtqueueComplete, ReportsLengthsExactlyAndInAnyOrder) {
  Guest guest;
  guest.queue->Complete(6, 0xffff'ffff, nullptr);
  guest.queue->Complete(1, 0, nullptr);
  EXPECT_EQ(guest.driver.UsedIndex(), 2);
  EXPECT_EQ(guest.driver.UsedAt(0).id, 6u);
  EXPECT_EQ(guest.driver.UsedAt(0).length, 0xffff'ffffu);
  EXPECT_EQ(guest.driver.UsedAt(1).id, 1u);
  EXPECT_EQ(guest.driver.UsedAt(1).length, 0u);
}

// ---- Gathering

TEST(VirtqueueGather, PartsReadableFromWritable) {
  Guest guest;
  // Neighbours in memory, which must not be joined.
  guest.driver.SetChain(0, {{.address = kData, .length = 40},
                            {.address = kData + 40, .length = 16, .flags = kWrite}});
  const ErrnoOr<Chain> chain = guest.Gather(0);
  ASSERT_TRUE(chain.ok());
  EXPECT_THAT(Lengths(chain->readable), ElementsAre(40));
  EXPECT_THAT(Lengths(chain->writable), ElementsAre(16));
  EXPECT_EQ(chain->readable[0].iov_base, guest.driver.At<std::byte>(kData));
  EXPECT_EQ(chain->writable[0].iov_base, guest.driver.At<std::byte>(kData + 40));
}

TEST(VirtqueueGather, JoinsNeighboursOfOneKind) {
  Guest guest;
  guest.driver.SetChain(0, {{.address = kData, .length = 10},
                            {.address = kData + 10, .length = 10},
                            {.address = kData + 100, .length = 1, .flags = kWrite},
                            {.address = kData + 101, .length = 1, .flags = kWrite}});
  const ErrnoOr<Chain> chain = guest.Gather(0);
  ASSERT_TRUE(chain.ok());
  EXPECT_THAT(Lengths(chain->readable), ElementsAre(20));
  EXPECT_THAT(Lengths(chain->writable), ElementsAre(2));
}

TEST(VirtqueueGather, SplitsBuffersAcrossRegions) {
  Guest guest;
  guest.driver.SetChain(0,
                        {{.address = FakeDriver::kBorder - 3, .length = 8},
                         {.address = FakeDriver::kBorder - 100, .length = 200, .flags = kWrite}});
  const ErrnoOr<Chain> chain = guest.Gather(0);
  ASSERT_TRUE(chain.ok());
  EXPECT_THAT(Lengths(chain->readable), ElementsAre(3, 5));
  EXPECT_THAT(Lengths(chain->writable), ElementsAre(100, 100));
  EXPECT_EQ(chain->writable[1].iov_base, guest.driver.At<std::byte>(FakeDriver::kBorder));
}

TEST(VirtqueueGather, FollowsAnIndirectTable) {
  Guest guest({.indirect = true});
  guest.driver.WriteTable(kData + 0x1000, {{.address = kData, .length = 40},
                                           {.address = kData + 64, .length = 16, .flags = kWrite}});
  guest.driver.SetDescriptor(
      4, {.address = kData + 0x1000, .length = 32, .flags = kDescriptorIndirect});
  const ErrnoOr<Chain> chain = guest.Gather(4);
  ASSERT_TRUE(chain.ok());
  EXPECT_THAT(Lengths(chain->readable), ElementsAre(40));
  EXPECT_THAT(Lengths(chain->writable), ElementsAre(16));
}

TEST(VirtqueueGather, TakesTheLongestChainThereMayBe) {
  Guest guest({.size = 8, .indirect = true});
  std::vector<Descriptor> descriptors;
  for (uint64_t i = 0; i < kMinChainLimit; ++i) {
    descriptors.push_back({.address = kData + 2 * i, .length = 1, .flags = kWrite});
  }
  guest.driver.WriteTable(kData + 0x10000, descriptors);
  guest.driver.SetDescriptor(0, {.address = kData + 0x10000,
                                 .length = kMinChainLimit * sizeof(Descriptor),
                                 .flags = kDescriptorIndirect});
  const ErrnoOr<Chain> chain = guest.Gather(0);
  ASSERT_TRUE(chain.ok());
  EXPECT_EQ(chain->writable.size(), kMinChainLimit);
}

TEST(VirtqueueGather, ALargeQueueTakesChainsOfItsSize) {
  Guest guest({.size = 4096});
  std::vector<Descriptor> descriptors;
  for (uint64_t i = 0; i < 4096; ++i) {
    descriptors.push_back({.address = kData + 2 * i, .length = 1});
  }
  guest.driver.SetChain(0, descriptors);
  ASSERT_TRUE(guest.Gather(0).ok());
}

TEST(VirtqueueGather, EmptyBuffersLeaveNoTrace) {
  Guest guest;
  guest.driver.SetChain(0, {{.address = 0, .length = 0},
                            {.address = kData, .length = 4},
                            {.address = ~uint64_t{0}, .length = 0, .flags = kWrite}});
  const ErrnoOr<Chain> chain = guest.Gather(0);
  ASSERT_TRUE(chain.ok());
  EXPECT_THAT(Lengths(chain->readable), ElementsAre(4));
  EXPECT_THAT(Lengths(chain->writable), IsEmpty());
}

TEST(VirtqueueGather, ABadChainIsInvalidAndTheQueueGoesOn) {
  Guest guest;
  guest.driver.SetDescriptor(0,
                             {.address = kData, .length = 1, .flags = kDescriptorNext, .next = 0});
  guest.driver.Publish(0);
  EXPECT_EQ(guest.Gather(guest.queue->Pop().value()).error(), Errno(EINVAL));
  guest.driver.SetDescriptor(1, {.address = FakeDriver::kEnd - 1, .length = 2});
  EXPECT_EQ(guest.Gather(1).error(), Errno(EFAULT));
  EXPECT_FALSE(guest.queue->broken());
  guest.Serve(1);
}

TEST(VirtqueueGather, TooLittleStorageIsAnErrorNotAnOverflow) {
  Guest guest;
  guest.driver.SetChain(0, {{.address = kData, .length = 1},
                            {.address = kData + 2, .length = 1},
                            {.address = kData + 4, .length = 1, .flags = kWrite}});
  std::array<iovec, 3> storage;
  EXPECT_TRUE(guest.queue->Gather(0, *guest.driver.memory(), storage).ok());
  EXPECT_FALSE(guest.queue->Gather(0, *guest.driver.memory(), std::span(storage).first(2)).ok());
  EXPECT_FALSE(guest.queue->Gather(0, *guest.driver.memory(), {}).ok());
}

// ---- Calls

TEST(VirtqueueCall, IsNotNeededWhenNothingWasCompleted) {
  Guest guest;
  EXPECT_FALSE(guest.queue->CallNeeded());
  Guest with_event_index({.event_index = true});
  EXPECT_FALSE(with_event_index.queue->CallNeeded());
}

TEST(VirtqueueCall, WithoutEventIndexTheFlagDecides) {
  Guest guest;
  guest.Serve(2);
  EXPECT_TRUE(guest.queue->CallNeeded());
  EXPECT_FALSE(guest.queue->CallNeeded()) << "once is enough";
  guest.driver.SetAvailableFlags(kAvailableNoInterrupt);
  guest.Serve(1);
  EXPECT_FALSE(guest.queue->CallNeeded());
  guest.driver.SetAvailableFlags(0);
  guest.Serve(1);
  EXPECT_TRUE(guest.queue->CallNeeded());
}

TEST(VirtqueueCall, WithEventIndexOnlyPassingTheEventCalls) {
  Guest guest({.event_index = true});
  guest.driver.SetUsedEvent(2);
  guest.driver.SetAvailableFlags(kAvailableNoInterrupt);  // means nothing now
  guest.Serve(2);
  EXPECT_FALSE(guest.queue->CallNeeded());
  guest.Serve(1);
  EXPECT_TRUE(guest.queue->CallNeeded());
  guest.Serve(5);
  EXPECT_FALSE(guest.queue->CallNeeded()) << "the event was passed before";
}

TEST(VirtqueueCall, CountsFromTheLastQuestion) {
  Guest guest({.event_index = true});
  guest.driver.SetUsedEvent(1);
  guest.Serve(5);
  EXPECT_TRUE(guest.queue->CallNeeded());
}

TEST(VirtqueueCall, PassesTheEventAcrossIndex65535) {
  Guest guest({.event_index = true, .start_index = 65534});
  guest.driver.SetUsedEvent(0);
  guest.Serve(2);  // used index 0
  EXPECT_FALSE(guest.queue->CallNeeded());
  guest.Serve(1);
  EXPECT_TRUE(guest.queue->CallNeeded());
  guest.driver.SetUsedEvent(65535);
  guest.Serve(3);
  EXPECT_FALSE(guest.queue->CallNeeded());
}

TEST(VirtqueueCall, AWholeRoundWithoutAQuestionIsNotNothing) {
  Guest guest({.event_index = true});
  guest.driver.SetUsedEvent(100);
  guest.Serve(65536);
  EXPECT_TRUE(guest.queue->CallNeeded());
}

// ---- Kicks

TEST(VirtqueueKick, WithEventIndexTheNextChainIsAskedFor) {
  Guest guest({.event_index = true, .start_index = 65535});
  guest.queue->SuppressKicks();
  guest.Serve(1);
  EXPECT_FALSE(guest.queue->RequestKicks());
  EXPECT_EQ(guest.driver.AvailEvent(), 0);
  guest.driver.Publish(0);
  EXPECT_TRUE(guest.driver.KickNeeded(0));
  EXPECT_EQ(guest.driver.UsedFlags(), 0) << "flags stay out of it";
}

// The driver publishes while we are still to ask for kicks: it sees the old event and stays quiet.
TEST(VirtqueueKick, AChainThatCameBeforeTheRequestIsReported) {
  Guest guest({.event_index = true});
  guest.Serve(3);
  ASSERT_FALSE(guest.queue->RequestKicks());
  guest.Serve(1);
  EXPECT_EQ(guest.queue->Pop(), std::nullopt);
  const uint16_t old = guest.driver.available_index();
  guest.driver.Publish(0);
  ASSERT_FALSE(guest.driver.KickNeeded(old));
  EXPECT_TRUE(guest.queue->RequestKicks());
  EXPECT_EQ(guest.queue->Pop(), 0);
}

TEST(VirtqueueKick, WithoutEventIndexTheFlagSuppresses) {
  Guest guest;
  guest.queue->SuppressKicks();
  EXPECT_EQ(guest.driver.UsedFlags(), kUsedNoNotify);
  EXPECT_EQ(guest.queue->Pop(), std::nullopt);
  guest.driver.Publish(0);
  ASSERT_FALSE(guest.driver.KickNeeded(0));
  EXPECT_TRUE(guest.queue->RequestKicks());
  EXPECT_EQ(guest.driver.UsedFlags(), 0);
  EXPECT_EQ(guest.queue->Pop(), 0);
  EXPECT_FALSE(guest.queue->RequestKicks());
}

// The owner looks at Pop's answer for a break; it must not go to sleep first.
TEST(VirtqueueKick, ANonsenseIndexWakesThePopper) {
  Guest guest({.event_index = true});
  EXPECT_EQ(guest.queue->Pop(), std::nullopt);
  guest.driver.SetAvailableIndex(1000);
  EXPECT_TRUE(guest.queue->RequestKicks());
  EXPECT_EQ(guest.queue->Pop(), std::nullopt);
  EXPECT_TRUE(guest.queue->broken());
}

// ---- The dirty log

class VirtqueueLogTest : public testing::Test {
 protected:
  static constexpr uint64_t kPage = 4096;

  std::unique_ptr<Virtqueue> MakeQueue(std::optional<uint64_t> used_log_address) const {
    VirtqueueSetup setup = driver_.setup();
    setup.used_log_address = used_log_address;
    return *Virtqueue::Create(setup, driver_.memory());
  }
  // The pages marked since this was last asked.
  std::vector<size_t> TakeMarked() const {
    std::vector<size_t> pages;
    for (size_t page = 0; page < view_.size() * 8; ++page) {
      if ((std::to_integer<int>(view_.data()[page / 8]) >> (page % 8)) & 1) pages.push_back(page);
    }
    std::fill_n(view_.data(), view_.size(), std::byte{0});
    return pages;
  }

  const FakeDriver driver_{{.size = 1024, .event_index = true, .start_index = 1022}};
  const os::UniqueFd file_ = *os::CreateMemoryFile("log", kPage);
  const os::MappedMemory view_ = *os::MappedMemory::MapShared(file_.get(), 0, kPage);
  const std::shared_ptr<const DirtyLog> log_ = *DirtyLog::Map(file_.get(), 0, kPage);
};

TEST_F(VirtqueueLogTest, MarksTheElementAndTheIndex) {
  const auto queue = MakeQueue(10 * kPage);
  queue->Complete(0, 0, log_.get());  // element 1022, at byte 8180 … 8187
  EXPECT_THAT(TakeMarked(), ElementsAre(10, 11));
  queue->Complete(0, 0, log_.get());  // element 1023, at byte 8188 … 8195
  EXPECT_THAT(TakeMarked(), ElementsAre(10, 11, 12));
  queue->Complete(0, 0, log_.get());  // element 0
  EXPECT_THAT(TakeMarked(), ElementsAre(10));
}

TEST_F(VirtqueueLogTest, CountsFromTheExactLogAddress) {
  // The ring's index, bytes 2 and 3, is the last word of page 9; element 0 lies in page 10.
  const auto queue = MakeQueue(10 * kPage - 4);
  queue->Complete(0, 0, nullptr);
  queue->Complete(0, 0, nullptr);
  queue->Complete(0, 0, log_.get());
  EXPECT_THAT(TakeMarked(), ElementsAre(9, 10));
}

TEST_F(VirtqueueLogTest, MarksTheWishForKicks) {
  const auto queue = MakeQueue(10 * kPage);
  queue->RequestKicks(log_.get());  // avail_event, at byte 8196
  EXPECT_THAT(TakeMarked(), ElementsAre(12));
  queue->SuppressKicks(log_.get());  // writes nothing
  EXPECT_THAT(TakeMarked(), IsEmpty());
}

TEST_F(VirtqueueLogTest, MarksTheFlagsWithoutEventIndex) {
  VirtqueueSetup setup = driver_.setup();
  setup.event_index = false;
  setup.used_log_address = 20 * kPage;
  const auto queue = *Virtqueue::Create(setup, driver_.memory());
  queue->SuppressKicks(log_.get());
  EXPECT_THAT(TakeMarked(), ElementsAre(20));
  queue->RequestKicks(log_.get());
  EXPECT_THAT(TakeMarked(), ElementsAre(20));
}

TEST_F(VirtqueueLogTest, MarksNothingWithoutALogAddress) {
  const auto queue = MakeQueue(std::nullopt);
  queue->Complete(0, 0, log_.get());
  queue->RequestKicks(log_.get());
  EXPECT_THAT(TakeMarked(), IsEmpty());
}

}  // namespace
}  // namespace fsd::virtqueue
