#include "server/fuse/init.h"

#include "gtest/gtest.h"

namespace fsd::fuse {
namespace {

constexpr uint64_t kEverything = ~(1ULL << 31);  // all but FUSE_INIT_RESERVED

fuse_init_in InitIn(uint32_t major, uint32_t minor, uint64_t flags) {
  fuse_init_in in{};
  in.major = major;
  in.minor = minor;
  in.max_readahead = 131072;
  in.flags = static_cast<uint32_t>(flags);
  in.flags2 = static_cast<uint32_t>(flags >> 32);
  return in;
}

InitReply Negotiate(uint32_t minor, uint64_t flags, CachePolicy cache = CachePolicy::kAuto) {
  return *NegotiateInit(InitIn(7, minor, flags), sizeof(fuse_init_in), cache);
}

int ErrorOf(const fuse_init_in& in, size_t bytes = sizeof(fuse_init_in)) {
  const ErrnoOr<InitReply> reply = NegotiateInit(in, bytes, CachePolicy::kAuto);
  return reply.ok() ? 0 : reply.error().value();
}

TEST(NegotiateInit, AgreesOnTheSmallerMinor) {
  EXPECT_EQ(Negotiate(31, 0).out.minor, 31u);
  EXPECT_EQ(Negotiate(38, 0).out.minor, 38u);
  EXPECT_EQ(Negotiate(45, 0).out.minor, 45u);
  EXPECT_EQ(Negotiate(46, 0).out.minor, 45u);
  EXPECT_EQ(Negotiate(46, 0).agreed->minor, 45u);
}

TEST(NegotiateInit, RefusesWhatIsOlderThanVirtioFs) {
  EXPECT_EQ(ErrorOf(InitIn(7, 30, kEverything)), EPROTO);
  EXPECT_EQ(ErrorOf(InitIn(6, 45, kEverything)), EPROTO);
  EXPECT_EQ(ErrorOf(InitIn(0, 0, 0)), EPROTO);
}

TEST(NegotiateInit, TellsANewerMajorOursAndNoMore) {
  const ErrnoOr<InitReply> reply =
      NegotiateInit(InitIn(8, 1, kEverything), sizeof(fuse_init_in), CachePolicy::kAuto);

  ASSERT_TRUE(reply.ok());
  EXPECT_FALSE(reply->agreed.has_value());
  EXPECT_EQ(reply->out.major, 7u);
  EXPECT_EQ(reply->out.flags, 0u);
  EXPECT_EQ(reply->out.max_write, 0u);
}

TEST(NegotiateInit, WantsWhatItCanServeOfWhatIsOffered) {
  const uint64_t expected = FUSE_ASYNC_READ | FUSE_BIG_WRITES | FUSE_ATOMIC_O_TRUNC |
                            FUSE_ASYNC_DIO | FUSE_AUTO_INVAL_DATA | FUSE_PARALLEL_DIROPS |
                            FUSE_MAX_PAGES | FUSE_DO_READDIRPLUS | FUSE_READDIRPLUS_AUTO |
                            FUSE_INIT_EXT | FUSE_SUBMOUNTS | FUSE_EXPORT_SUPPORT |
                            FUSE_HANDLE_KILLPRIV_V2 | FUSE_SETXATTR_EXT;

  const InitReply reply = Negotiate(38, kEverything);

  EXPECT_EQ(reply.agreed->flags, expected);
  EXPECT_EQ(reply.out.flags, expected);
  EXPECT_EQ(reply.out.flags2, 0u);
}

TEST(NegotiateInit, NeverSetsAFlagThatWasNotOffered) {
  for (int bit = 0; bit < 64; ++bit) {
    const uint64_t flag = 1ULL << bit;
    EXPECT_EQ(Negotiate(38, flag).agreed->flags & ~flag, 0u);
    EXPECT_EQ(Negotiate(38, kEverything & ~flag).agreed->flags & flag, 0u);
  }
}

TEST(NegotiateInit, TakesNoLocksNoWritebackAndNoAcls) {
  const uint64_t refused = FUSE_POSIX_LOCKS | FUSE_FLOCK_LOCKS | FUSE_WRITEBACK_CACHE |
                           FUSE_POSIX_ACL | FUSE_DONT_MASK | FUSE_NO_OPEN_SUPPORT |
                           FUSE_NO_OPENDIR_SUPPORT | FUSE_HANDLE_KILLPRIV | FUSE_SECURITY_CTX;

  EXPECT_EQ(Negotiate(38, kEverything).agreed->flags & refused, 0u);
}

TEST(NegotiateInit, OnlyAutoHasTheGuestInvalidateByItself) {
  const auto invalidates = [](CachePolicy cache) {
    return (Negotiate(38, kEverything, cache).agreed->flags & FUSE_AUTO_INVAL_DATA) != 0;
  };

  EXPECT_TRUE(invalidates(CachePolicy::kAuto));
  EXPECT_FALSE(invalidates(CachePolicy::kNever));
  EXPECT_FALSE(invalidates(CachePolicy::kMetadata));
  EXPECT_FALSE(invalidates(CachePolicy::kAlways));
}

TEST(NegotiateInit, SetsTheLimits) {
  const fuse_init_out out = Negotiate(38, kEverything).out;

  EXPECT_EQ(out.major, 7u);
  EXPECT_EQ(out.max_readahead, 131072u);
  EXPECT_EQ(out.max_write, 1u << 20);
  EXPECT_EQ(out.max_pages, 256u);
  EXPECT_EQ(out.time_gran, 1u);
  EXPECT_GT(out.max_background, out.congestion_threshold);
  EXPECT_GT(out.congestion_threshold, 0u);
  EXPECT_EQ(Negotiate(38, kEverything).agreed->max_write_bytes, 1u << 20);
}

TEST(NegotiateInit, WithoutMaxPagesAWriteHasThirtyTwo) {
  const fuse_init_out out = Negotiate(31, FUSE_BIG_WRITES).out;

  EXPECT_EQ(out.max_pages, 0u);
  EXPECT_EQ(out.max_write, 131072u);
}

TEST(NegotiateInit, TakesTheShortFormOnlyWithoutInitExt) {
  EXPECT_EQ(ErrorOf(InitIn(7, 35, FUSE_BIG_WRITES), kShortInitInBytes), 0);
  EXPECT_EQ(ErrorOf(InitIn(7, 36, FUSE_INIT_EXT), kShortInitInBytes), EINVAL);
  EXPECT_EQ(ErrorOf(InitIn(7, 36, FUSE_INIT_EXT), sizeof(fuse_init_in) - 1), EINVAL);
}

}  // namespace
}  // namespace fsd::fuse
