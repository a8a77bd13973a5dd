#include "server/fuse/init.h"

#include <algorithm>

namespace fsd::fuse {
namespace {

// What we want of every guest that offers it. Locks, write-back caching and POSIX ACLs are absent:
// they change what the guest leaves to us, and nothing behind this layer takes that up.
constexpr uint64_t kWantedFlags = FUSE_ASYNC_READ | FUSE_BIG_WRITES | FUSE_ATOMIC_O_TRUNC |
                                  FUSE_ASYNC_DIO | FUSE_PARALLEL_DIROPS | FUSE_MAX_PAGES |
                                  FUSE_DO_READDIRPLUS | FUSE_READDIRPLUS_AUTO | FUSE_INIT_EXT |
                                  FUSE_SUBMOUNTS | FUSE_EXPORT_SUPPORT | FUSE_HANDLE_KILLPRIV_V2 |
                                  FUSE_SETXATTR_EXT;

// A guest that does not know MAX_PAGES splits at 32 pages of 4 KiB.
constexpr uint32_t kMaxWriteBytesWithoutMaxPages = 32 * 4096;

// The ring bounds what is in flight, so the guest need not.
constexpr uint16_t kMaxBackground = 65535;
constexpr uint16_t kCongestionThreshold = kMaxBackground / 4 * 3;

uint64_t WantedFlags(CachePolicy cache) {
  uint64_t wanted = kWantedFlags;
  if (cache == CachePolicy::kAuto) wanted |= FUSE_AUTO_INVAL_DATA;
  return wanted;
}

}  // namespace

ErrnoOr<InitReply> NegotiateInit(const fuse_init_in& in, size_t in_bytes, CachePolicy cache) {
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
  const uint64_t flags = offered & WantedFlags(cache);
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
