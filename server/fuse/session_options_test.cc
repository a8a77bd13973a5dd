#include "server/fuse/session_options.h"

#include "absl/time/time.h"
#include "gtest/gtest.h"
#include "server/fuse/abi.h"

namespace fsd::fuse {
namespace {

// Names and attributes alike.
absl::Duration TimeoutOf(CachePolicy policy) {
  const CacheTimeouts timeouts = TimeoutsOf({.cache = policy});
  EXPECT_EQ(timeouts.attributes, timeouts.entries);
  EXPECT_EQ(timeouts.negative, absl::ZeroDuration());
  return timeouts.entries;
}

TEST(CachePolicy, NeverCachesNothing) {
  EXPECT_EQ(TimeoutOf(CachePolicy::kNever), absl::ZeroDuration());
  EXPECT_EQ(FileOpenFlags(CachePolicy::kNever), static_cast<uint32_t>(FOPEN_DIRECT_IO));
  EXPECT_EQ(DirectoryOpenFlags(CachePolicy::kNever), 0u);
}

TEST(CachePolicy, AutoTrustsForASecond) {
  EXPECT_EQ(TimeoutOf(CachePolicy::kAuto), absl::Seconds(1));
  EXPECT_EQ(FileOpenFlags(CachePolicy::kAuto), 0u);
  EXPECT_EQ(DirectoryOpenFlags(CachePolicy::kAuto), 0u);
}

TEST(CachePolicy, MetadataCachesNoData) {
  EXPECT_EQ(TimeoutOf(CachePolicy::kMetadata), absl::Hours(24));
  EXPECT_EQ(FileOpenFlags(CachePolicy::kMetadata), static_cast<uint32_t>(FOPEN_DIRECT_IO));
  EXPECT_EQ(DirectoryOpenFlags(CachePolicy::kMetadata), 0u);
}

TEST(CachePolicy, AlwaysKeepsEverything) {
  EXPECT_EQ(TimeoutOf(CachePolicy::kAlways), absl::Hours(24));
  EXPECT_EQ(FileOpenFlags(CachePolicy::kAlways), static_cast<uint32_t>(FOPEN_KEEP_CACHE));
  EXPECT_EQ(DirectoryOpenFlags(CachePolicy::kAlways),
            static_cast<uint32_t>(FOPEN_CACHE_DIR | FOPEN_KEEP_CACHE));
}

TEST(CachePolicy, TimesOfItsOwnReplaceThePolicys) {
  const CacheTimeouts timeouts = TimeoutsOf({.cache = CachePolicy::kAlways,
                                             .attr_timeout = absl::ZeroDuration(),
                                             .entry_timeout = absl::Milliseconds(1500),
                                             .negative_timeout = absl::Seconds(3)});

  EXPECT_EQ(timeouts.attributes, absl::ZeroDuration());
  EXPECT_EQ(timeouts.entries, absl::Milliseconds(1500));
  EXPECT_EQ(timeouts.negative, absl::Seconds(3));
}

}  // namespace
}  // namespace fsd::fuse
