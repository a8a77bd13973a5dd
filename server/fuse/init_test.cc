#include "server/fuse/init.h"

#include <optional>
#include <string>

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

InitReply Negotiate(uint32_t minor, uint64_t flags, const SessionOptions& options = {}) {
  return *NegotiateInit(InitIn(7, minor, flags), sizeof(fuse_init_in), options);
}

// The flags agreed on with a guest that offers `offered`.
uint64_t Agreed(uint64_t offered, const SessionOptions& options = {}) {
  return Negotiate(45, offered, options).agreed->flags;
}

int ErrorOf(const fuse_init_in& in, size_t bytes = sizeof(fuse_init_in)) {
  const ErrnoOr<InitReply> reply = NegotiateInit(in, bytes, {});
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
      NegotiateInit(InitIn(8, 1, kEverything), sizeof(fuse_init_in), {});

  ASSERT_TRUE(reply.ok());
  EXPECT_FALSE(reply->agreed.has_value());
  EXPECT_EQ(reply->out.major, 7u);
  EXPECT_EQ(reply->out.flags, 0u);
  EXPECT_EQ(reply->out.max_write, 0u);
}

// INIT_EXT is what the upper half of the flags is told with.
constexpr uint64_t kExt = FUSE_INIT_EXT;

struct FlagCase {
  const char* name;
  uint64_t flag;
  SessionOptions wanting = {};
  // Absent: the flag is always wanted.
  std::optional<SessionOptions> unwanting = std::nullopt;
  uint64_t along = 0;    // flags that the guest must offer besides
  uint64_t without = 0;  // flags that it must not
};

const FlagCase kFlagCases[] = {
    {.name = "InitExt", .flag = FUSE_INIT_EXT},
    {.name = "AsyncRead", .flag = FUSE_ASYNC_READ},
    {.name = "BigWrites", .flag = FUSE_BIG_WRITES},
    {.name = "AsyncDio", .flag = FUSE_ASYNC_DIO},
    {.name = "ParallelDirops", .flag = FUSE_PARALLEL_DIROPS},
    {.name = "MaxPages", .flag = FUSE_MAX_PAGES},
    {.name = "ExportSupport", .flag = FUSE_EXPORT_SUPPORT},
    {.name = "HasIoctlDir", .flag = FUSE_HAS_IOCTL_DIR},
    {.name = "CreateSuppGroup", .flag = kInitCreateSuppGroup},
    {.name = "AllowIdmap", .flag = kInitAllowIdmap},
    {.name = "SetxattrExt",
     .flag = FUSE_SETXATTR_EXT,
     .wanting = {.xattr = true},
     .unwanting = {{}}},
    {.name = "Submounts",
     .flag = FUSE_SUBMOUNTS,
     .wanting = {.submounts = true},
     .unwanting = {{.submounts = false}}},
    {.name = "AutoInvalData",
     .flag = FUSE_AUTO_INVAL_DATA,
     .wanting = {.cache = CachePolicy::kAuto},
     .unwanting = {{.cache = CachePolicy::kAlways}}},
    {.name = "WritebackCache",
     .flag = FUSE_WRITEBACK_CACHE,
     .wanting = {.writeback = true},
     .unwanting = {{}}},
    {.name = "CacheSymlinks",
     .flag = FUSE_CACHE_SYMLINKS,
     .wanting = {.cache_symlinks = true},
     .unwanting = {{}}},
    {.name = "DirectIoAllowMmap",
     .flag = kInitDirectIoAllowMmap,
     .wanting = {.cache = CachePolicy::kNever, .mmap = true},
     .unwanting = {{.cache = CachePolicy::kNever}}},
    {.name = "DirectIoAllowMmapOfMetadata",
     .flag = kInitDirectIoAllowMmap,
     .wanting = {.cache = CachePolicy::kMetadata, .mmap = true},
     .unwanting = {{.cache = CachePolicy::kAlways, .mmap = true}}},
    {.name = "DoReaddirplus",
     .flag = FUSE_DO_READDIRPLUS,
     .wanting = {.readdirplus = ReadDirPlus::kAlways},
     .unwanting = {{.readdirplus = ReadDirPlus::kNever}}},
    {.name = "ReaddirplusAuto",
     .flag = FUSE_READDIRPLUS_AUTO,
     .wanting = {.readdirplus = ReadDirPlus::kAuto},
     .unwanting = {{.readdirplus = ReadDirPlus::kAlways}},
     .along = FUSE_DO_READDIRPLUS},
    {.name = "ReaddirplusAutoNever",
     .flag = FUSE_READDIRPLUS_AUTO,
     .wanting = {.readdirplus = ReadDirPlus::kAuto},
     .unwanting = {{.readdirplus = ReadDirPlus::kNever}},
     .along = FUSE_DO_READDIRPLUS},
    {.name = "PosixLocks", .flag = FUSE_POSIX_LOCKS, .wanting = {.locks = true}, .unwanting = {{}}},
    {.name = "FlockLocks", .flag = FUSE_FLOCK_LOCKS, .wanting = {.locks = true}, .unwanting = {{}}},
    {.name = "NoOpenSupport",
     .flag = FUSE_NO_OPEN_SUPPORT,
     .wanting = {.zero_message_open = true},
     .unwanting = {{}}},
    {.name = "NoOpenSupportWithLocks",
     .flag = FUSE_NO_OPEN_SUPPORT,
     .wanting = {.zero_message_open = true},
     .unwanting = {{.zero_message_open = true, .locks = true}}},
    {.name = "NoOpendirSupport",
     .flag = FUSE_NO_OPENDIR_SUPPORT,
     .wanting = {.zero_message_open = true},
     .unwanting = {{}}},
    {.name = "AtomicOTrunc",
     .flag = FUSE_ATOMIC_O_TRUNC,
     .wanting = {},
     .unwanting = {{.zero_message_open = true}},
     .along = FUSE_NO_OPEN_SUPPORT},
    {.name = "AtomicOTruncOfAGuestThatOpens",
     .flag = FUSE_ATOMIC_O_TRUNC,
     .wanting = {.zero_message_open = true},
     .without = FUSE_NO_OPEN_SUPPORT},
    {.name = "PosixAcl",
     .flag = FUSE_POSIX_ACL,
     .wanting = {.posix_acl = Use::kAuto},
     .unwanting = {{.posix_acl = Use::kNever}}},
    {.name = "DontMask",
     .flag = FUSE_DONT_MASK,
     .wanting = {.posix_acl = Use::kAuto},
     .unwanting = {{.posix_acl = Use::kNever}},
     .along = FUSE_POSIX_ACL},
    {.name = "SecurityCtx",
     .flag = FUSE_SECURITY_CTX,
     .wanting = {.security_label = Use::kAuto},
     .unwanting = {{.security_label = Use::kNever}}},
    {.name = "HandleKillprivV2",
     .flag = FUSE_HANDLE_KILLPRIV_V2,
     .wanting = {.killpriv = Use::kAuto},
     .unwanting = {{.killpriv = Use::kNever}}},
    {.name = "HandleKillprivOfAnOldGuest",
     .flag = FUSE_HANDLE_KILLPRIV,
     .wanting = {.killpriv = Use::kAuto},
     .unwanting = {{.killpriv = Use::kNever}},
     .without = FUSE_HANDLE_KILLPRIV_V2},
};

class EachFlag : public ::testing::TestWithParam<FlagCase> {
 protected:
  const uint64_t everything_ = kEverything & ~GetParam().without;
};

TEST_P(EachFlag, IsAgreedOnIfOfferedAndWanted) {
  const FlagCase& param = GetParam();
  const InitReply all = Negotiate(45, everything_, param.wanting);
  const uint64_t sparse = Agreed(param.flag | param.along | kExt, param.wanting);

  EXPECT_EQ(all.agreed->flags & param.flag, param.flag);
  EXPECT_EQ(sparse & param.flag, param.flag);
  EXPECT_EQ(all.out.flags, static_cast<uint32_t>(all.agreed->flags));
  EXPECT_EQ(all.out.flags2, static_cast<uint32_t>(all.agreed->flags >> 32));
}

TEST_P(EachFlag, IsNotAgreedOnIfOfferedAndUnwanted) {
  const FlagCase& param = GetParam();
  if (!param.unwanting.has_value()) return;

  EXPECT_EQ(Agreed(everything_, *param.unwanting) & param.flag, 0u);
}

TEST_P(EachFlag, IsNotAgreedOnIfItIsNotOffered) {
  const FlagCase& param = GetParam();

  EXPECT_EQ(Agreed(everything_ & ~param.flag, param.wanting) & param.flag, 0u);
}

INSTANTIATE_TEST_SUITE_P(All, EachFlag, ::testing::ValuesIn(kFlagCases),
                         [](const auto& info) { return std::string(info.param.name); });

TEST(NegotiateInit, HasATestForEveryFlagThatCanBeAgreedOn) {
  uint64_t tested = 0;
  for (const FlagCase& param : kFlagCases) tested |= param.flag;
  const SessionOptions everything[] = {
      {.cache = CachePolicy::kAuto,
       .writeback = true,
       .cache_symlinks = true,
       .xattr = true,
       .posix_acl = Use::kAuto,
       .security_label = Use::kAuto,
       .locks = true},
      {.cache = CachePolicy::kNever, .mmap = true, .zero_message_open = true}};

  uint64_t agreed = Agreed(kEverything & ~static_cast<uint64_t>(FUSE_HANDLE_KILLPRIV_V2));
  for (const SessionOptions& options : everything) agreed |= Agreed(kEverything, options);

  EXPECT_EQ(agreed, tested);
}

TEST(NegotiateInit, WhatTheHeaderLacksHasLinuxsNumber) {
  EXPECT_EQ(kInitCreateSuppGroup, uint64_t{1} << 34);
  EXPECT_EQ(kInitDirectIoAllowMmap, uint64_t{1} << 36);
  EXPECT_EQ(kInitAllowIdmap, uint64_t{1} << 40);
}

TEST(NegotiateInit, NeverSetsAFlagThatWasNotOffered) {
  for (int bit = 0; bit < 64; ++bit) {
    const uint64_t flag = 1ULL << bit;
    EXPECT_EQ(Agreed(flag) & ~flag, 0u);
    EXPECT_EQ(Agreed(kEverything & ~flag) & flag, 0u);
  }
}

TEST(NegotiateInit, FlagsThatNeedAnotherAreNotAgreedOnAlone) {
  const SessionOptions options = {.posix_acl = Use::kAuto};

  EXPECT_EQ(Agreed(kEverything & ~static_cast<uint64_t>(FUSE_POSIX_ACL), options) & FUSE_DONT_MASK,
            0u);
  EXPECT_EQ(
      Agreed(kEverything & ~static_cast<uint64_t>(FUSE_DO_READDIRPLUS)) & FUSE_READDIRPLUS_AUTO,
      0u);
}

TEST(NegotiateInit, TheOlderKillprivIsOnlyForGuestsWithoutTheNewer) {
  EXPECT_EQ(Agreed(kEverything) & FUSE_HANDLE_KILLPRIV, 0u);
}

TEST(NegotiateInit, AGuestThatLacksWhatIsDemandedIsNamedTheFlag) {
  const auto lacks = [](uint64_t missing, const SessionOptions& options) {
    const InitReply reply = Negotiate(45, kEverything & ~missing, options);
    EXPECT_EQ(reply.agreed.has_value(), reply.lacks == nullptr);
    return std::string(reply.lacks != nullptr ? reply.lacks : "");
  };
  const SessionOptions acl = {.posix_acl = Use::kAlways};
  const SessionOptions label = {.security_label = Use::kAlways};
  const SessionOptions killpriv = {.killpriv = Use::kAlways};

  EXPECT_EQ(lacks(FUSE_POSIX_ACL, acl), "POSIX_ACL");
  EXPECT_EQ(lacks(0, acl), "");
  EXPECT_EQ(lacks(FUSE_SECURITY_CTX, label), "SECURITY_CTX");
  EXPECT_EQ(lacks(FUSE_INIT_EXT, label), "SECURITY_CTX");
  EXPECT_EQ(lacks(0, label), "");
  EXPECT_EQ(lacks(FUSE_HANDLE_KILLPRIV_V2 | FUSE_HANDLE_KILLPRIV, killpriv), "HANDLE_KILLPRIV");
  EXPECT_EQ(lacks(FUSE_HANDLE_KILLPRIV_V2, killpriv), "");
  EXPECT_EQ(lacks(FUSE_HANDLE_KILLPRIV, killpriv), "");
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
