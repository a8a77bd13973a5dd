#include "server/worker/session_options.h"

#include "absl/time/time.h"
#include "gtest/gtest.h"

namespace fsd::worker {
namespace {

using internal::ExportSpec;

TEST(SessionOptionsOf, AnEmptySpecificationHasTheDefaults) {
  const fuse::SessionOptions options = SessionOptionsOf(ExportSpec());

  EXPECT_EQ(options.cache, fuse::CachePolicy::kAuto);
  EXPECT_FALSE(options.read_only);
  EXPECT_FALSE(options.attr_timeout.has_value());
  EXPECT_FALSE(options.entry_timeout.has_value());
  EXPECT_EQ(options.negative_timeout, absl::ZeroDuration());
  EXPECT_FALSE(options.writeback);
  EXPECT_FALSE(options.mmap);
  EXPECT_FALSE(options.cache_symlinks);
  EXPECT_EQ(options.readdirplus, fuse::ReadDirPlus::kAuto);
  EXPECT_FALSE(options.zero_message_open);
  EXPECT_FALSE(options.xattr);
  EXPECT_EQ(options.posix_acl, fuse::Use::kNever);
  EXPECT_EQ(options.security_label, fuse::Use::kNever);
  EXPECT_EQ(options.killpriv, fuse::Use::kAuto);
  EXPECT_TRUE(options.submounts);
  EXPECT_FALSE(options.locks);
}

TEST(SessionOptionsOf, EachFieldHasItsPlace) {
  ExportSpec spec;
  spec.set_id("web");
  spec.set_cache(ExportSpec::CACHE_ALWAYS);
  spec.set_read_only(true);
  spec.set_attr_timeout_nanos(0);
  spec.set_entry_timeout_nanos(1'500'000'000);
  spec.set_negative_timeout_nanos(3);
  spec.set_writeback(true);
  spec.set_mmap(true);
  spec.set_cache_symlinks(true);
  spec.set_readdirplus(ExportSpec::READDIRPLUS_ALWAYS);
  spec.set_zero_message_open(true);
  spec.set_xattr(true);
  spec.set_posix_acl(ExportSpec::USE_AUTO);
  spec.set_security_label(ExportSpec::USE_ALWAYS);
  spec.set_killpriv(ExportSpec::USE_NEVER);
  spec.set_submounts(false);
  spec.set_shared_locks(true);

  const fuse::SessionOptions options = SessionOptionsOf(spec);

  EXPECT_EQ(options.export_name, "web");
  EXPECT_EQ(options.cache, fuse::CachePolicy::kAlways);
  EXPECT_TRUE(options.read_only);
  EXPECT_EQ(options.attr_timeout, absl::ZeroDuration());
  EXPECT_EQ(options.entry_timeout, absl::Milliseconds(1500));
  EXPECT_EQ(options.negative_timeout, absl::Nanoseconds(3));
  EXPECT_TRUE(options.writeback);
  EXPECT_TRUE(options.mmap);
  EXPECT_TRUE(options.cache_symlinks);
  EXPECT_EQ(options.readdirplus, fuse::ReadDirPlus::kAlways);
  EXPECT_TRUE(options.zero_message_open);
  EXPECT_TRUE(options.xattr);
  EXPECT_EQ(options.posix_acl, fuse::Use::kAuto);
  EXPECT_EQ(options.security_label, fuse::Use::kAlways);
  EXPECT_EQ(options.killpriv, fuse::Use::kNever);
  EXPECT_FALSE(options.submounts);
  EXPECT_TRUE(options.locks);
}

TEST(SessionOptionsOf, EachCachePolicyAndEachReadDirPlusIsItsOwn) {
  ExportSpec spec;
  spec.set_cache(ExportSpec::CACHE_NEVER);
  spec.set_readdirplus(ExportSpec::READDIRPLUS_NEVER);
  EXPECT_EQ(SessionOptionsOf(spec).cache, fuse::CachePolicy::kNever);
  EXPECT_EQ(SessionOptionsOf(spec).readdirplus, fuse::ReadDirPlus::kNever);
  spec.set_cache(ExportSpec::CACHE_AUTO);
  spec.set_readdirplus(ExportSpec::READDIRPLUS_AUTO);
  EXPECT_EQ(SessionOptionsOf(spec).cache, fuse::CachePolicy::kAuto);
  EXPECT_EQ(SessionOptionsOf(spec).readdirplus, fuse::ReadDirPlus::kAuto);
  spec.set_cache(ExportSpec::CACHE_METADATA);
  EXPECT_EQ(SessionOptionsOf(spec).cache, fuse::CachePolicy::kMetadata);
}

}  // namespace
}  // namespace fsd::worker
