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
inline constexpr uint32_t kProtocolMinor = 45;
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

// fuse_in_header.uid and gid of a request that makes nothing, once ALLOW_IDMAP was agreed (7.41,
// FUSE_INVALID_UIDGID).
inline constexpr uint32_t kInvalidId = ~uint32_t{0};

// What a SETXATTR begins with unless SETXATTR_EXT was agreed: size, flags
// (FUSE_COMPAT_SETXATTR_IN_SIZE).
inline constexpr size_t kShortSetxattrInBytes = 8;

// Linux's limits on an extended attribute, and on what an ioctl number can say of its data.
inline constexpr size_t kMaxXattrNameBytes = 255;     // XATTR_NAME_MAX
inline constexpr size_t kMaxXattrValueBytes = 65536;  // XATTR_SIZE_MAX
inline constexpr size_t kMaxIoctlBytes = 16383;       // _IOC_SIZEMASK

// Request extensions (7.38): fuse_in_header.total_extlen counts them in units of this; they are the
// request's end. Each is a fuse_ext_header and what its size says, padded to a unit.
inline constexpr size_t kExtensionUnitBytes = 8;
inline constexpr uint32_t kExtensionGroups = 32;  // FUSE_EXT_GROUPS; up to FUSE_MAX_NR_SECCTX: the
                                                  // header is a fuse_secctx_header
// Behind a fuse_ext_header of kExtensionGroups; then the groups, 32 bits each (fuse_supp_groups).
struct SuppGroups {
  uint32_t nr_groups;
};

// STATX (7.39): fuse_sx_time, fuse_statx, fuse_statx_in, fuse_statx_out.
struct StatxTime {
  int64_t tv_sec;
  uint32_t tv_nsec;
  int32_t reserved;
};
struct Statx {
  uint32_t mask;  // STATX_*
  uint32_t blksize;
  uint64_t attributes;  // STATX_ATTR_*
  uint32_t nlink;
  uint32_t uid;
  uint32_t gid;
  uint16_t mode;
  uint16_t spare0;
  uint64_t ino;
  uint64_t size;
  uint64_t blocks;
  uint64_t attributes_mask;
  StatxTime atime;
  StatxTime btime;
  StatxTime ctime;
  StatxTime mtime;
  uint32_t rdev_major;
  uint32_t rdev_minor;
  uint32_t dev_major;
  uint32_t dev_minor;
  uint64_t spare2[14];
};
struct StatxIn {
  uint32_t getattr_flags;  // FUSE_GETATTR_FH
  uint32_t reserved;
  uint64_t fh;
  uint32_t sx_flags;  // AT_STATX_*
  uint32_t sx_mask;   // STATX_*
};
struct StatxOut {
  uint64_t attr_valid;
  uint32_t attr_valid_nsec;
  uint32_t flags;
  uint64_t spare[2];
  Statx stat;
};

// COPY_FILE_RANGE_64's reply (7.45, fuse_copy_file_range_out). Its arguments are
// COPY_FILE_RANGE's.
struct CopyFileRangeOut {
  uint64_t bytes_copied;
};

static_assert(sizeof(fuse_in_header) == 40);
static_assert(sizeof(fuse_out_header) == 16);
static_assert(sizeof(fuse_entry_out) == 128);
static_assert(sizeof(fuse_init_out) == 64);
static_assert(sizeof(fuse_setxattr_in) == 16);
static_assert(sizeof(Statx) == 256);
static_assert(sizeof(StatxIn) == 24);
static_assert(sizeof(StatxOut) == 288);

}  // namespace fsd::fuse

#endif  // FSD_SERVER_FUSE_ABI_H_
