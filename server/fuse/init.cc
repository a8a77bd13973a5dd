#include "server/fuse/init.h"

#include <algorithm>

namespace fsd::fuse {
namespace {

Use If(bool condition) { return condition ? Use::kAuto : Use::kNever; }

Use Wanted(const SessionOptions&) { return Use::kAuto; }

bool DataIsUncached(const SessionOptions& options) {
  return (FileOpenFlags(options.cache) & FOPEN_DIRECT_IO) != 0;
}

// Without OPEN and RELEASE, and so without FLUSH, nothing would end a lock.
Use OpensNothing(const SessionOptions& options) {
  return If(options.zero_message_open && !options.locks);
}

struct FlagRule {
  uint64_t flag;
  const char* name;
  Use (*use)(const SessionOptions& options);
  uint64_t only_with = 0;  // flags of rows above: agreed if those are
  uint64_t not_with = 0;   // … if those are not
};

// Every flag that may be agreed on. The others are of no use to us (SPLICE_*, ABORT_ERROR,
// EXPLICIT_INVAL_DATA, HAS_EXPIRE_ONLY, HAS_RESEND, OVER_IO_URING: there is no /dev/fuse and no
// notification), of no use yet (MAP_ALIGNMENT, HAS_INODE_DAX: shared memory), or nothing we could
// keep (PASSTHROUGH, REQUEST_TIMEOUT).
constexpr FlagRule kRules[] = {
    {.flag = FUSE_INIT_EXT, .name = "INIT_EXT", .use = Wanted},
    {.flag = FUSE_ASYNC_READ, .name = "ASYNC_READ", .use = Wanted},
    {.flag = FUSE_BIG_WRITES, .name = "BIG_WRITES", .use = Wanted},
    {.flag = FUSE_ASYNC_DIO, .name = "ASYNC_DIO", .use = Wanted},
    {.flag = FUSE_PARALLEL_DIROPS, .name = "PARALLEL_DIROPS", .use = Wanted},
    {.flag = FUSE_MAX_PAGES, .name = "MAX_PAGES", .use = Wanted},
    {.flag = FUSE_EXPORT_SUPPORT, .name = "EXPORT_SUPPORT", .use = Wanted},
    {.flag = FUSE_HAS_IOCTL_DIR, .name = "HAS_IOCTL_DIR", .use = Wanted},
    {.flag = kInitCreateSuppGroup, .name = "CREATE_SUPP_GROUP", .use = Wanted},
    {.flag = kInitAllowIdmap, .name = "ALLOW_IDMAP", .use = Wanted},
    {.flag = FUSE_SETXATTR_EXT,
     .name = "SETXATTR_EXT",
     .use = [](const SessionOptions& options) { return If(options.xattr); }},
    {.flag = FUSE_SUBMOUNTS,
     .name = "SUBMOUNTS",
     .use = [](const SessionOptions& options) { return If(options.submounts); }},
    {.flag = FUSE_AUTO_INVAL_DATA,
     .name = "AUTO_INVAL_DATA",
     .use = [](const SessionOptions& options) { return If(options.cache == CachePolicy::kAuto); }},
    {.flag = FUSE_WRITEBACK_CACHE,
     .name = "WRITEBACK_CACHE",
     .use = [](const SessionOptions& options) { return If(options.writeback); }},
    {.flag = FUSE_CACHE_SYMLINKS,
     .name = "CACHE_SYMLINKS",
     .use = [](const SessionOptions& options) { return If(options.cache_symlinks); }},
    {.flag = kInitDirectIoAllowMmap,
     .name = "DIRECT_IO_ALLOW_MMAP",
     .use =
         [](const SessionOptions& options) { return If(options.mmap && DataIsUncached(options)); }},
    {.flag = FUSE_DO_READDIRPLUS,
     .name = "DO_READDIRPLUS",
     .use =
         [](const SessionOptions& options) {
           return If(options.readdirplus != ReadDirPlus::kNever);
         }},
    {.flag = FUSE_READDIRPLUS_AUTO,
     .name = "READDIRPLUS_AUTO",
     .use =
         [](const SessionOptions& options) {
           return If(options.readdirplus == ReadDirPlus::kAuto);
         },
     .only_with = FUSE_DO_READDIRPLUS},
    {.flag = FUSE_POSIX_LOCKS,
     .name = "POSIX_LOCKS",
     .use = [](const SessionOptions& options) { return If(options.locks); }},
    {.flag = FUSE_FLOCK_LOCKS,
     .name = "FLOCK_LOCKS",
     .use = [](const SessionOptions& options) { return If(options.locks); }},
    {.flag = FUSE_NO_OPEN_SUPPORT, .name = "NO_OPEN_SUPPORT", .use = OpensNothing},
    {.flag = FUSE_NO_OPENDIR_SUPPORT, .name = "NO_OPENDIR_SUPPORT", .use = OpensNothing},
    // Truncation by OPEN; where nothing is opened the guest must send SETATTR.
    {.flag = FUSE_ATOMIC_O_TRUNC,
     .name = "ATOMIC_O_TRUNC",
     .use = Wanted,
     .not_with = FUSE_NO_OPEN_SUPPORT},
    {.flag = FUSE_POSIX_ACL,
     .name = "POSIX_ACL",
     .use = [](const SessionOptions& options) { return options.posix_acl; }},
    // The umask is ours to apply, as a default ACL takes its place.
    {.flag = FUSE_DONT_MASK, .name = "DONT_MASK", .use = Wanted, .only_with = FUSE_POSIX_ACL},
    {.flag = FUSE_SECURITY_CTX,
     .name = "SECURITY_CTX",
     .use = [](const SessionOptions& options) { return options.security_label; }},
    {.flag = FUSE_HANDLE_KILLPRIV_V2,
     .name = "HANDLE_KILLPRIV_V2",
     .use = [](const SessionOptions& options) { return If(options.killpriv != Use::kNever); }},
    // Demands either: a guest older than Linux 5.11 has only this one.
    {.flag = FUSE_HANDLE_KILLPRIV,
     .name = "HANDLE_KILLPRIV",
     .use = [](const SessionOptions& options) { return options.killpriv; },
     .not_with = FUSE_HANDLE_KILLPRIV_V2},
};

struct Agreement {
  uint64_t flags = 0;
  const char* lacks = nullptr;
};

Agreement Agree(uint64_t offered, const SessionOptions& options) {
  Agreement agreement;
  for (const FlagRule& rule : kRules) {
    const Use use = rule.use(options);
    if (use == Use::kNever || (agreement.flags & rule.only_with) != rule.only_with ||
        (agreement.flags & rule.not_with) != 0) {
      continue;
    }
    agreement.flags |= offered & rule.flag;
    if (use == Use::kAlways && (offered & rule.flag) == 0) agreement.lacks = rule.name;
  }
  return agreement;
}

// A guest that does not know MAX_PAGES splits at 32 pages of 4 KiB.
constexpr uint32_t kMaxWriteBytesWithoutMaxPages = 32 * 4096;

// The ring bounds what is in flight, so the guest need not.
constexpr uint16_t kMaxBackground = 65535;
constexpr uint16_t kCongestionThreshold = kMaxBackground / 4 * 3;

}  // namespace

ErrnoOr<InitReply> NegotiateInit(const fuse_init_in& in, size_t in_bytes,
                                 const SessionOptions& options) {
  InitReply reply;
  reply.out.major = kProtocolMajor;
  reply.out.minor = kProtocolMinor;
  if (in.major > kProtocolMajor) return reply;
  if (in.major < kProtocolMajor || in.minor < kOldestMinor) return Errno(EPROTO);

  uint64_t offered = in.flags;
  if ((in.flags & FUSE_INIT_EXT) != 0) {
    if (in_bytes < sizeof(fuse_init_in)) return Errno(EINVAL);
    offered |= static_cast<uint64_t>(in.flags2) << 32;
  }
  const Agreement agreement = Agree(offered, options);
  if (agreement.lacks != nullptr) {
    reply.lacks = agreement.lacks;
    return reply;
  }
  const uint64_t flags = agreement.flags;
  const bool max_pages = (flags & FUSE_MAX_PAGES) != 0;

  fuse_init_out& out = reply.out;
  out.minor = std::min(in.minor, kProtocolMinor);
  out.max_readahead = in.max_readahead;
  out.flags = static_cast<uint32_t>(flags);
  out.flags2 = static_cast<uint32_t>(flags >> 32);
  out.max_background = kMaxBackground;
  out.congestion_threshold = kCongestionThreshold;
  out.max_write = max_pages ? kMaxWriteBytes : kMaxWriteBytesWithoutMaxPages;
  out.max_pages = max_pages ? kMaxPages : 0;
  out.time_gran = 1;  // ns
  reply.agreed = NegotiatedInit{
      .major = out.major, .minor = out.minor, .flags = flags, .max_write_bytes = out.max_write};
  return reply;
}

}  // namespace fsd::fuse
