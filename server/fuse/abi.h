// The FUSE wire format: the kernel's own header, and what is newer than the one we build against.
//
// Debian 12's <linux/fuse.h> is protocol 7.38. Numbers below are those of Linux's
// include/uapi/linux/fuse.h at the protocol version named; they have names of our own, so that a
// newer header does not collide with them. No logic here.
#ifndef FSD_SERVER_FUSE_ABI_H_
#define FSD_SERVER_FUSE_ABI_H_

#include <linux/fuse.h>
#include <stddef.h>
#include <stdint.h>

namespace fsd::fuse {

// What we speak. Guests older than kOldestMinor (Linux 5.4, the first with virtio-fs) are refused.
inline constexpr uint32_t kProtocolMajor = 7;
inline constexpr uint32_t kProtocolMinor = 38;
inline constexpr uint32_t kOldestMinor = 31;

// Opcodes after TMPFILE (51).
inline constexpr uint32_t kOpcodeStatx = 52;            // 7.39, FUSE_STATX
inline constexpr uint32_t kOpcodeCopyFileRange64 = 53;  // 7.45, FUSE_COPY_FILE_RANGE_64

// INIT flags, flags2 being the upper 32 bits.
inline constexpr uint64_t kInitCreateSuppGroup = 1ULL << 34;    // 7.38, FUSE_CREATE_SUPP_GROUP
inline constexpr uint64_t kInitDirectIoAllowMmap = 1ULL << 36;  // 7.39, FUSE_DIRECT_IO_ALLOW_MMAP
inline constexpr uint64_t kInitPassthrough = 1ULL << 37;        // 7.40, FUSE_PASSTHROUGH
inline constexpr uint64_t kInitNoExportSupport = 1ULL << 38;    // 7.40, FUSE_NO_EXPORT_SUPPORT
inline constexpr uint64_t kInitHasResend = 1ULL << 39;          // 7.40, FUSE_HAS_RESEND
inline constexpr uint64_t kInitAllowIdmap = 1ULL << 40;         // 7.41, FUSE_ALLOW_IDMAP
inline constexpr uint64_t kInitOverIoUring = 1ULL << 41;        // 7.42, FUSE_OVER_IO_URING
inline constexpr uint64_t kInitRequestTimeout = 1ULL << 42;     // 7.43, FUSE_REQUEST_TIMEOUT

// A struct fuse_init_in before INIT_EXT (7.36) lengthened it: major, minor, max_readahead, flags.
inline constexpr size_t kShortInitInBytes = 16;

// The largest error number a reply may carry: Linux fails the request for 512 (ERESTARTSYS) on.
inline constexpr int kMaxReplyErrno = 511;

// Linux's limits on a path component and on a symlink's target, without the terminating NUL.
inline constexpr size_t kMaxNameBytes = 255;     // NAME_MAX
inline constexpr size_t kMaxTargetBytes = 4095;  // PATH_MAX - 1

static_assert(sizeof(fuse_in_header) == 40);
static_assert(sizeof(fuse_out_header) == 16);
static_assert(sizeof(fuse_entry_out) == 128);
static_assert(sizeof(fuse_init_out) == 64);

}  // namespace fsd::fuse

#endif  // FSD_SERVER_FUSE_ABI_H_
