#include "server/fuse/session_options.h"

#include "gtest/gtest.h"
#include "server/fuse/abi.h"

namespace fsd::fuse {
namespace {

TEST(CachePolicy, NeverCachesNothing) {
  EXPECT_EQ(CacheTimeoutSeconds(CachePolicy::kNever), 0u);
  EXPECT_EQ(FileOpenFlags(CachePolicy::kNever), static_cast<uint32_t>(FOPEN_DIRECT_IO));
  EXPECT_EQ(DirectoryOpenFlags(CachePolicy::kNever), 0u);
}

TEST(CachePolicy, AutoTrustsForASecond) {
  EXPECT_EQ(CacheTimeoutSeconds(CachePolicy::kAuto), 1u);
  EXPECT_EQ(FileOpenFlags(CachePolicy::kAuto), 0u);
  EXPECT_EQ(DirectoryOpenFlags(CachePolicy::kAuto), 0u);
}

TEST(CachePolicy, MetadataCachesNoData) {
  EXPECT_EQ(CacheTimeoutSeconds(CachePolicy::kMetadata), 86400u);
  EXPECT_EQ(FileOpenFlags(CachePolicy::kMetadata), static_cast<uint32_t>(FOPEN_DIRECT_IO));
  EXPECT_EQ(DirectoryOpenFlags(CachePolicy::kMetadata), 0u);
}

TEST(CachePolicy, AlwaysKeepsEverything) {
  EXPECT_EQ(CacheTimeoutSeconds(CachePolicy::kAlways), 86400u);
  EXPECT_EQ(FileOpenFlags(CachePolicy::kAlways), static_cast<uint32_t>(FOPEN_KEEP_CACHE));
  EXPECT_EQ(DirectoryOpenFlags(CachePolicy::kAlways),
            static_cast<uint32_t>(FOPEN_CACHE_DIR | FOPEN_KEEP_CACHE));
}

}  // namespace
}  // namespace fsd::fuse
