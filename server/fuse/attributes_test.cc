#include "server/fuse/attributes.h"

#include <sys/sysmacros.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstring>
#include <new>

#include "absl/time/time.h"
#include "gtest/gtest.h"

namespace fsd::fuse {
namespace {

TEST(Attributes, EachFieldHasItsPlace) {
  backends::Attributes attributes{};
  attributes.stx_ino = 1;
  attributes.stx_size = 2;
  attributes.stx_blocks = 3;
  attributes.stx_atime.tv_sec = 4;
  attributes.stx_atime.tv_nsec = 5;
  attributes.stx_mtime.tv_sec = 6;
  attributes.stx_mtime.tv_nsec = 7;
  attributes.stx_ctime.tv_sec = -8;
  attributes.stx_ctime.tv_nsec = 9;
  attributes.stx_mode = 10;
  attributes.stx_nlink = 11;
  attributes.stx_uid = 12;
  attributes.stx_gid = 13;
  attributes.stx_rdev_major = 0x123;
  attributes.stx_rdev_minor = 0x45678;
  attributes.stx_blksize = 14;

  const fuse_attr_out out = ToAttrOut(backends::NodeId{5}, attributes,
                                      {.attributes = {.seconds = 86400, .nanoseconds = 7}});

  EXPECT_EQ(out.attr_valid, 86400u);
  EXPECT_EQ(out.attr_valid_nsec, 7u);
  EXPECT_EQ(out.attr.ino, 1u);
  EXPECT_EQ(out.attr.size, 2u);
  EXPECT_EQ(out.attr.blocks, 3u);
  EXPECT_EQ(out.attr.atime, 4u);
  EXPECT_EQ(out.attr.atimensec, 5u);
  EXPECT_EQ(out.attr.mtime, 6u);
  EXPECT_EQ(out.attr.mtimensec, 7u);
  EXPECT_EQ(static_cast<int64_t>(out.attr.ctime), -8);
  EXPECT_EQ(out.attr.ctimensec, 9u);
  EXPECT_EQ(out.attr.mode, 10u);
  EXPECT_EQ(out.attr.nlink, 11u);
  EXPECT_EQ(out.attr.uid, 12u);
  EXPECT_EQ(out.attr.gid, 13u);
  EXPECT_EQ(out.attr.rdev, 0x45612378u);
  EXPECT_EQ(out.attr.blksize, 14u);
  EXPECT_EQ(out.attr.flags, 0u);
}

TEST(Attributes, AreZeroAndCopiedUpToTheMountsNumber) {
  constexpr size_t kUsed = offsetof(struct ::statx, stx_mnt_id) + sizeof(uint64_t);
  alignas(backends::Attributes) std::array<unsigned char, sizeof(backends::Attributes)> space;
  space.fill(0xaa);
  auto* const zero = new (space.data()) backends::Attributes();
  EXPECT_EQ(std::count(space.begin(), space.begin() + kUsed, 0), ptrdiff_t{kUsed});

  std::memset(static_cast<void*>(zero), 0x55, kUsed);
  const backends::Attributes copy = *zero;
  backends::Attributes assigned;
  assigned = copy;
  EXPECT_EQ(std::memcmp(&copy, space.data(), kUsed), 0);
  EXPECT_EQ(std::memcmp(&assigned, space.data(), kUsed), 0);
}

TEST(Attributes, AnEntryHasATimeOfItsOwnBesideItsAttributes) {
  const EntryTerms terms = {.attributes = {.seconds = 1, .nanoseconds = 2},
                            .entries = {.seconds = 3, .nanoseconds = 4},
                            .negative = {.seconds = 5, .nanoseconds = 6}};

  const fuse_entry_out out = ToEntryOut({backends::NodeId{5}, backends::Attributes()}, terms);
  const fuse_entry_out none = ToNegativeEntryOut(terms);

  EXPECT_EQ(out.attr_valid, 1u);
  EXPECT_EQ(out.attr_valid_nsec, 2u);
  EXPECT_EQ(out.entry_valid, 3u);
  EXPECT_EQ(out.entry_valid_nsec, 4u);
  EXPECT_EQ(none.nodeid, 0u);
  EXPECT_EQ(none.entry_valid, 5u);
  EXPECT_EQ(none.entry_valid_nsec, 6u);
  EXPECT_EQ(none.attr_valid, 0u);
}

TEST(Attributes, TimeoutsKeepTheirNanosecondsAndNeverOverflow) {
  const Timeout exact = ToTimeout(absl::Seconds(3) + absl::Nanoseconds(999'999'999));
  const Timeout years = ToTimeout(absl::Hours(24 * 365 * 68));
  const Timeout endless = ToTimeout(absl::InfiniteDuration());

  EXPECT_EQ(exact.seconds, 3u);
  EXPECT_EQ(exact.nanoseconds, 999'999'999u);
  EXPECT_EQ(years.seconds, 68ULL * 365 * 86400);
  EXPECT_EQ(endless.seconds, static_cast<uint64_t>(INT64_MAX));
  EXPECT_EQ(endless.nanoseconds, 0u);
  EXPECT_TRUE(ToTimeout(absl::Nanoseconds(-1)).zero());
  EXPECT_FALSE(ToTimeout(absl::Nanoseconds(1)).zero());
}

TEST(Attributes, DeviceNumbersSurviveTheWire) {
  for (const uint32_t encoded : {0u, 0x0103u, 0x45612378u, 0xffffffffu}) {
    const dev_t device = DecodeDevice(encoded);
    EXPECT_EQ(EncodeDevice(major(device), minor(device)), encoded);
  }
}

}  // namespace
}  // namespace fsd::fuse
