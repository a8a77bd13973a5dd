#include "server/virtqueue/virtqueue.h"

#include <array>
#include <cerrno>
#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "server/errors/status_macros.h"
#include "server/os/memory_file.h"
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
    Chain chain;
    FSD_RETURN_IF_ERRNO(
        queue->Gather(head, *driver.memory(), const_cast<std::vector<iovec>&>(storage), chain));
    return chain;
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

TEST(VirtqueuePop, WhatItHasSeenIsAvailableWhateverTheIndexSaysThen) {
  FakeDriver driver;
  const auto queue = driver.MakeQueue();
  EXPECT_FALSE(queue->AnyAvailable());
  driver.Publish(0);
  driver.Publish(1);
  ASSERT_TRUE(queue->Pop().has_value());

  driver.SetAvailableIndex(1);

  EXPECT_TRUE(queue->AnyAvailable()) << "as Pop gives it";
  EXPECT_EQ(queue->Pop(), 1);
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

TEST(VirtqueueInFlight, CountsWhatIsNotUsedAndForgetsItSlowly) {
  Guest guest;
  guest.driver.Publish(0);
  guest.driver.Publish(1);
  ASSERT_TRUE(guest.queue->Pop().has_value());
  EXPECT_EQ(guest.queue->in_flight(), 2);
  ASSERT_TRUE(guest.queue->Pop().has_value());
  guest.driver.Publish(2);
  ASSERT_TRUE(guest.queue->Pop().has_value());
  EXPECT_EQ(guest.queue->in_flight(), 3);

  for (int i = 0; i < 3; ++i) guest.queue->Complete(0, 0, nullptr);
  guest.Serve(1);
  EXPECT_EQ(guest.queue->in_flight(), 2);
  guest.Serve(5);
  EXPECT_EQ(guest.queue->in_flight(), 1);
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

TEST(VirtqueueComplete, ShowsWithTheNextWhatIsToBeShownSoon) {
  Guest guest;
  guest.queue->Complete(6, 0, nullptr, Virtqueue::Show::kSoon);
  guest.queue->Complete(1, 0, nullptr, Virtqueue::Show::kSoon);
  EXPECT_EQ(guest.driver.UsedIndex(), 0);
  guest.queue->Complete(2, 0, nullptr);
  EXPECT_EQ(guest.driver.UsedIndex(), 3);
  EXPECT_EQ(guest.driver.UsedAt(1).id, 1u);
}

TEST(VirtqueueComplete, ShowsEverythingWhenAsked) {
  Guest guest;
  guest.queue->Complete(0, 0, nullptr, Virtqueue::Show::kSoon);
  guest.queue->ShowCompleted();
  EXPECT_EQ(guest.driver.UsedIndex(), 1);
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
  for (uint64_t i = 0; i < kMaxChainDescriptors; ++i) {
    descriptors.push_back({.address = kData + 2 * i, .length = 1, .flags = kWrite});
  }
  guest.driver.WriteTable(kData + 0x10000, descriptors);
  guest.driver.SetDescriptor(0, {.address = kData + 0x10000,
                                 .length = kMaxChainDescriptors * sizeof(Descriptor),
                                 .flags = kDescriptorIndirect});
  const ErrnoOr<Chain> chain = guest.Gather(0);
  ASSERT_TRUE(chain.ok());
  EXPECT_EQ(chain->writable.size(), kMaxChainDescriptors);
}

TEST(VirtqueueGather, ALargeQueueTakesNoLongerOnes) {
  Guest guest({.size = 4096});
  std::vector<Descriptor> descriptors;
  for (uint64_t i = 0; i <= kMaxChainDescriptors; ++i) {
    descriptors.push_back({.address = kData + 2 * i, .length = 1});
  }
  guest.driver.SetChain(0, descriptors);
  EXPECT_EQ(guest.Gather(0).error(), Errno(EINVAL));
  descriptors.pop_back();
  guest.driver.SetChain(0, descriptors);
  EXPECT_TRUE(guest.Gather(0).ok());
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
  const auto fits = [&guest](std::span<iovec> room) {
    Chain chain;
    return guest.queue->Gather(0, *guest.driver.memory(), room, chain).ok();
  };
  EXPECT_TRUE(fits(storage));
  EXPECT_FALSE(fits(std::span(storage).first(2)));
  EXPECT_FALSE(fits({}));
}

}  // namespace
}  // namespace fsd::virtqueue
