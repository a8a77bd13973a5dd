#include "server/virtqueue/descriptor_chain.h"

#include <cerrno>
#include <cstdint>
#include <limits>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "server/virtqueue/fake_driver.h"

namespace fsd::virtqueue {
namespace {

using ::testing::ElementsAre;

constexpr uint16_t kRead = 0;
constexpr uint16_t kWrite = kDescriptorWrite;
constexpr uint64_t kTable = FakeDriver::kData;

struct Buffer {
  uint64_t address = 0;
  uint64_t length = 0;
  bool writable = false;

  friend bool operator==(const Buffer&, const Buffer&) = default;
};

class DescriptorChainTest : public testing::Test {
 protected:
  static constexpr uint16_t kSize = 8;
  static constexpr size_t kLimit = 16;

  // What a walk from `head` ends with: 0 or an errno. The buffers are in buffers_.
  int Walk(uint16_t head, bool indirect = true) {
    const std::span table(driver_.At<const Descriptor>(FakeDriver::kDescriptors), kSize);
    GuestMemory::Nearby nearby(*driver_.memory());
    buffers_.clear();
    const ErrnoOr<void> walked =
        WalkChain(table, head, *driver_.memory(), nearby, {.indirect = indirect, .limit = kLimit},
                  [this](uint64_t address, uint64_t length, bool writable) {
                    buffers_.push_back({address, length, writable});
                    return true;
                  });
    return walked.ok() ? 0 : walked.error().value();
  }

  // A walk over one indirect table of `descriptors` at `address`.
  int WalkTable(uint64_t address, const std::vector<Descriptor>& descriptors) {
    driver_.WriteTable(address, descriptors);
    return WalkIndirect(address, descriptors.size() * sizeof(Descriptor));
  }
  int WalkIndirect(uint64_t address, size_t bytes, uint16_t more_flags = 0) {
    driver_.SetDescriptor(0, {.address = address,
                              .length = static_cast<uint32_t>(bytes),
                              .flags = static_cast<uint16_t>(kDescriptorIndirect | more_flags),
                              .next = 1});
    return Walk(0);
  }

  FakeDriver driver_{{.size = kSize}};
  std::vector<Buffer> buffers_;
};

TEST_F(DescriptorChainTest, WalksADirectChainInItsOrder) {
  driver_.SetDescriptor(5, {.address = 10, .length = 1, .flags = kDescriptorNext, .next = 2});
  driver_.SetDescriptor(2, {.address = 20, .length = 2, .flags = kDescriptorNext, .next = 7});
  driver_.SetDescriptor(7, {.address = 30, .length = 3, .flags = kWrite, .next = 5});
  ASSERT_EQ(Walk(5), 0);
  EXPECT_THAT(buffers_,
              ElementsAre(Buffer{10, 1, false}, Buffer{20, 2, false}, Buffer{30, 3, true}));
}

TEST_F(DescriptorChainTest, AChainMayTakeTheWholeTable) {
  driver_.SetChain(0, std::vector<Descriptor>(kSize, {.length = 1}));
  EXPECT_EQ(Walk(0), 0);
  EXPECT_EQ(buffers_.size(), kSize);
}

TEST_F(DescriptorChainTest, RefusesALoop) {
  driver_.SetDescriptor(0, {.length = 1, .flags = kDescriptorNext, .next = 0});
  EXPECT_EQ(Walk(0), EINVAL);
  driver_.SetDescriptor(1, {.length = 0, .flags = kDescriptorNext, .next = 2});
  driver_.SetDescriptor(2, {.length = 0, .flags = kDescriptorNext, .next = 1});
  EXPECT_EQ(Walk(1), EINVAL);
  EXPECT_LE(buffers_.size(), kSize);
}

TEST_F(DescriptorChainTest, RefusesASuccessorOutsideTheTable) {
  driver_.SetDescriptor(0, {.length = 1, .flags = kDescriptorNext, .next = kSize});
  EXPECT_EQ(Walk(0), EINVAL);
  driver_.SetDescriptor(0, {.length = 1, .flags = kDescriptorNext, .next = 0xffff});
  EXPECT_EQ(Walk(0), EINVAL);
}

TEST_F(DescriptorChainTest, RefusesWritableBeforeReadable) {
  driver_.SetChain(0, {{.length = 1, .flags = kWrite}, {.length = 1, .flags = kRead}});
  EXPECT_EQ(Walk(0), EINVAL);
}

TEST_F(DescriptorChainTest, EmptyBuffersAreLegalAndLeftOut) {
  driver_.SetChain(0, {{.address = 9, .length = 0},
                       {.address = 10, .length = 4},
                       {.address = 20, .length = 0},
                       {.address = 30, .length = 0, .flags = kWrite}});
  ASSERT_EQ(Walk(0), 0);
  EXPECT_THAT(buffers_, ElementsAre(Buffer{10, 4, false}));
}

TEST_F(DescriptorChainTest, BuffersThatContinueEachOtherComeAsOne) {
  driver_.SetChain(0, {{.address = 10, .length = 4},
                       {.address = 14, .length = 6},
                       {.address = 21, .length = 1},
                       {.address = 20, .length = 1}});
  ASSERT_EQ(Walk(0), 0);
  EXPECT_THAT(buffers_,
              ElementsAre(Buffer{10, 10, false}, Buffer{21, 1, false}, Buffer{20, 1, false}));
}

TEST_F(DescriptorChainTest, WhatIsWritableDoesNotContinueWhatIsReadable) {
  driver_.SetChain(0, {{.address = 10, .length = 4}, {14, 6, kWrite, 0}, {20, 1, kWrite, 0}});
  ASSERT_EQ(Walk(0), 0);
  EXPECT_THAT(buffers_, ElementsAre(Buffer{10, 4, false}, Buffer{14, 7, true}));
}

TEST_F(DescriptorChainTest, RefusesMoreThanUsedLengthCanTell) {
  constexpr uint32_t kMax = std::numeric_limits<uint32_t>::max();
  driver_.SetChain(0, {{.length = kMax - 1}, {.length = 1, .flags = kWrite}});
  EXPECT_EQ(Walk(0), 0);
  driver_.SetChain(0, {{.length = kMax - 1}, {.length = 2, .flags = kWrite}});
  EXPECT_EQ(Walk(0), EINVAL);
  driver_.SetChain(0, {{.length = kMax - 1}, {.address = kMax - 1, .length = 2}});
  EXPECT_EQ(Walk(0), EINVAL);
}

TEST_F(DescriptorChainTest, WalksAnIndirectTable) {
  ASSERT_EQ(WalkTable(kTable, {{.address = 10, .length = 1}, {20, 2, kWrite, 0}}), 0);
  EXPECT_THAT(buffers_, ElementsAre(Buffer{10, 1, false}, Buffer{20, 2, true}));
}

TEST_F(DescriptorChainTest, AnIndirectTableMayFollowDirectDescriptors) {
  driver_.WriteTable(kTable, {{.address = 20, .length = 2}, {30, 3, kWrite, 0}});
  driver_.SetChain(
      0, {{.address = 10, .length = 1},
          {.address = kTable, .length = 2 * sizeof(Descriptor), .flags = kDescriptorIndirect}});
  ASSERT_EQ(Walk(0), 0);
  EXPECT_THAT(buffers_,
              ElementsAre(Buffer{10, 1, false}, Buffer{20, 2, false}, Buffer{30, 3, true}));
}

// §2.7.5.3.2: the write flag of the descriptor that leads to a table means nothing.
TEST_F(DescriptorChainTest, IgnoresTheWriteFlagOfATable) {
  driver_.WriteTable(kTable, {{.address = 10, .length = 1}});
  ASSERT_EQ(WalkIndirect(kTable, sizeof(Descriptor), kDescriptorWrite), 0);
  EXPECT_THAT(buffers_, ElementsAre(Buffer{10, 1, false}));
}

TEST_F(DescriptorChainTest, AnIndirectTableMayBeLongerThanTheQueue) {
  EXPECT_EQ(WalkTable(kTable, std::vector<Descriptor>(kLimit, {.length = 1})), 0);
  EXPECT_EQ(buffers_.size(), kLimit);
}

TEST_F(DescriptorChainTest, RefusesATableOverTheLimit) {
  driver_.WriteTable(kTable, {{.length = 1}});
  EXPECT_EQ(WalkIndirect(kTable, kLimit * sizeof(Descriptor)), 0);
  EXPECT_EQ(WalkIndirect(kTable, (kLimit + 1) * sizeof(Descriptor)), EINVAL);
  EXPECT_EQ(WalkTable(kTable, std::vector<Descriptor>(kLimit + 1, {.length = 1})), EINVAL);
}

TEST_F(DescriptorChainTest, RefusesMoreBuffersThanTheLimitInAll) {
  driver_.WriteTable(kTable, std::vector<Descriptor>(kLimit, {.length = 1}));
  driver_.SetChain(
      0,
      {{.length = 1},
       {.address = kTable, .length = kLimit * sizeof(Descriptor), .flags = kDescriptorIndirect}});
  EXPECT_EQ(Walk(0), EINVAL);
  EXPECT_LE(buffers_.size(), kLimit);
}

TEST_F(DescriptorChainTest, RefusesATableOfAWrongSize) {
  EXPECT_EQ(WalkIndirect(kTable, 0), EINVAL);
  EXPECT_EQ(WalkIndirect(kTable, 8), EINVAL);
  EXPECT_EQ(WalkIndirect(kTable, 24), EINVAL);
}

TEST_F(DescriptorChainTest, RefusesATableThatWasNotNegotiated) {
  ASSERT_EQ(WalkTable(kTable, {{.length = 1}}), 0);
  EXPECT_EQ(Walk(0, /*indirect=*/false), EINVAL);
}

TEST_F(DescriptorChainTest, RefusesATableWithASuccessor) {
  driver_.WriteTable(kTable, {{.length = 1}});
  EXPECT_EQ(WalkIndirect(kTable, sizeof(Descriptor), kDescriptorNext), EINVAL);
}

TEST_F(DescriptorChainTest, RefusesATableInsideATable) {
  driver_.WriteTable(kTable + 0x1000, {{.length = 1}});
  const Descriptor inner{.address = kTable + 0x1000, .length = 16, .flags = kDescriptorIndirect};
  EXPECT_EQ(WalkTable(kTable, {inner}), EINVAL);
  EXPECT_EQ(WalkTable(kTable, {{.length = 1}, inner}), EINVAL);
}

TEST_F(DescriptorChainTest, RefusesALoopInATable) {
  driver_.SetDescriptor(1, {.length = 1});
  driver_.Write(kTable, std::as_bytes(std::span<const Descriptor>({
                            {.length = 0, .flags = kDescriptorNext, .next = 1},
                            {.length = 0, .flags = kDescriptorNext, .next = 0},
                        })));
  EXPECT_EQ(WalkIndirect(kTable, 2 * sizeof(Descriptor)), EINVAL);
  EXPECT_LE(buffers_.size(), 2u);
}

TEST_F(DescriptorChainTest, RefusesASuccessorOutsideAnIndirectTable) {
  const Descriptor last{.length = 1, .flags = kDescriptorNext, .next = 2};
  EXPECT_EQ(WalkTable(kTable, {{.length = 1}, last}), EINVAL);
}

TEST_F(DescriptorChainTest, ATableMayStraddleRegionsAtAnyByte) {
  const std::vector<Descriptor> descriptors = {
      {.address = 0x1122'3344'5566'7788, .length = 1}, {20, 2, kRead, 0}, {30, 3, kWrite, 0}};
  for (uint64_t before = 1; before < 3 * sizeof(Descriptor); ++before) {
    SCOPED_TRACE(before);
    ASSERT_EQ(WalkTable(FakeDriver::kBorder - before, descriptors), 0);
    EXPECT_THAT(buffers_, ElementsAre(Buffer{0x1122'3344'5566'7788, 1, false}, Buffer{20, 2, false},
                                      Buffer{30, 3, true}));
  }
}

TEST_F(DescriptorChainTest, ATableMayBeUnaligned) {
  ASSERT_EQ(WalkTable(kTable + 3, {{.address = 10, .length = 1}, {20, 2, kWrite, 0}}), 0);
  EXPECT_THAT(buffers_, ElementsAre(Buffer{10, 1, false}, Buffer{20, 2, true}));
}

TEST_F(DescriptorChainTest, ATableThatIsNotSharedIsAFault) {
  EXPECT_EQ(WalkIndirect(FakeDriver::kEnd, 16), EFAULT);
  EXPECT_EQ(WalkIndirect(FakeDriver::kEnd - 8, 16), EFAULT);
  EXPECT_EQ(WalkIndirect(std::numeric_limits<uint64_t>::max() - 7, 16), EFAULT);
}

}  // namespace
}  // namespace fsd::virtqueue
