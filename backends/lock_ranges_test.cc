#include "backends/lock_ranges.h"

#include <fcntl.h>

#include <algorithm>
#include <random>
#include <vector>

#include "gtest/gtest.h"

namespace fsd::backends {
namespace {

FileLock Range(uint64_t first, uint64_t last, uint32_t type) {
  return {.first = first, .last = last, .type = type, .pid = 0};
}

TEST(LockRanges, TouchingRangesOfOneTypeAreOne) {
  LockRanges ranges;
  ranges.Set(Range(0, 9, F_RDLCK));
  ranges.Set(Range(20, 29, F_RDLCK));
  EXPECT_EQ(ranges.size(), 2u);
  ranges.Set(Range(10, 19, F_RDLCK));
  EXPECT_EQ(ranges.size(), 1u);
  EXPECT_EQ(ranges.FirstConflict(Range(15, 15, F_WRLCK))->last, 29u);
}

TEST(LockRanges, ARangeWithinAnotherSplitsIt) {
  LockRanges ranges;
  ranges.Set(Range(0, INT64_MAX, F_WRLCK));
  EXPECT_EQ(ranges.GrowthOf(Range(10, 19, F_RDLCK)), 2);
  EXPECT_EQ(ranges.GrowthOf(Range(10, 19, F_UNLCK)), 1);
  ranges.Set(Range(10, 19, F_UNLCK));
  EXPECT_EQ(ranges.size(), 2u);
  EXPECT_FALSE(ranges.FirstConflict(Range(10, 19, F_WRLCK)).has_value());
  ranges.Set(Range(0, INT64_MAX, F_UNLCK));
  EXPECT_TRUE(ranges.empty());
}

TEST(LockRanges, ReadersOnlyHinderWriters) {
  LockRanges ranges;
  ranges.Set(Range(5, 5, F_RDLCK));
  ranges.Set(Range(7, 8, F_WRLCK));
  EXPECT_FALSE(ranges.FirstConflict(Range(0, 6, F_RDLCK)).has_value());
  EXPECT_EQ(ranges.FirstConflict(Range(0, 6, F_WRLCK))->first, 5u);
  EXPECT_EQ(ranges.FirstConflict(Range(0, INT64_MAX, F_RDLCK))->first, 7u);
}

TEST(LockRanges, WhatIsNoLockIsRefused) {
  EXPECT_TRUE(CheckLock(Range(0, INT64_MAX, F_UNLCK)).ok());
  EXPECT_FALSE(CheckLock(Range(5, 4, F_RDLCK)).ok());
  EXPECT_FALSE(CheckLock(Range(0, uint64_t{1} << 63, F_RDLCK)).ok());
  EXPECT_FALSE(CheckLock(Range(0, 1, 77)).ok());
}

// Against a model that keeps the type of each byte.
TEST(LockRanges, KeepTheLastTypeOfEachByte) {
  constexpr uint64_t kBytes = 32;
  std::minstd_rand random(7);
  LockRanges ranges;
  std::vector<uint32_t> model(kBytes, F_UNLCK);
  for (int round = 0; round < 5000; ++round) {
    const uint64_t a = random() % kBytes;
    const uint64_t b = random() % kBytes;
    const FileLock lock = Range(std::min(a, b), std::max(a, b), random() % 3);
    const auto before = static_cast<int64_t>(ranges.size());
    const int64_t growth = ranges.GrowthOf(lock);
    ranges.Set(lock);
    for (uint64_t byte = lock.first; byte <= lock.last; ++byte) model[byte] = lock.type;

    EXPECT_LE(static_cast<int64_t>(ranges.size()), before + growth);
    size_t runs = 0;
    for (uint64_t byte = 0; byte < kBytes; ++byte) {
      const auto found = ranges.FirstConflict(Range(byte, byte, F_WRLCK));
      ASSERT_EQ(found ? found->type : static_cast<uint32_t>(F_UNLCK), model[byte]) << byte;
      if (found && (byte == 0 || model[byte - 1] != model[byte])) ++runs;
    }
    ASSERT_EQ(ranges.size(), runs);
  }
}

}  // namespace
}  // namespace fsd::backends
