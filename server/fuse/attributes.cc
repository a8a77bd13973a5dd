#include "server/fuse/attributes.h"

#include <sys/sysmacros.h>

namespace fsd::fuse {
namespace {

fuse_attr ToFuseAttr(backends::NodeId node, const backends::Attributes& attributes,
                     const EntryTerms& terms) {
  // The session's root is a mount in the guest already.
  const bool submount = terms.announce_submounts && node != backends::kRootNodeId &&
                        (attributes.stx_attributes & STATX_ATTR_MOUNT_ROOT) != 0;
  return {
      .ino = attributes.stx_ino,
      .size = attributes.stx_size,
      .blocks = attributes.stx_blocks,
      .atime = static_cast<uint64_t>(attributes.stx_atime.tv_sec),
      .mtime = static_cast<uint64_t>(attributes.stx_mtime.tv_sec),
      .ctime = static_cast<uint64_t>(attributes.stx_ctime.tv_sec),
      .atimensec = attributes.stx_atime.tv_nsec,
      .mtimensec = attributes.stx_mtime.tv_nsec,
      .ctimensec = attributes.stx_ctime.tv_nsec,
      .mode = attributes.stx_mode,
      .nlink = attributes.stx_nlink,
      .uid = attributes.stx_uid,
      .gid = attributes.stx_gid,
      .rdev = EncodeDevice(attributes.stx_rdev_major, attributes.stx_rdev_minor),
      .blksize = attributes.stx_blksize,
      .flags = submount ? static_cast<uint32_t>(FUSE_ATTR_SUBMOUNT) : 0,
  };
}

// What a file is marked with, as opposed to where the host has it.
constexpr uint64_t kFileAttributes = STATX_ATTR_COMPRESSED | STATX_ATTR_IMMUTABLE |
                                     STATX_ATTR_APPEND | STATX_ATTR_NODUMP | STATX_ATTR_ENCRYPTED |
                                     STATX_ATTR_VERITY;

StatxTime ToStatxTime(const statx_timestamp& time) {
  return {.tv_sec = time.tv_sec, .tv_nsec = time.tv_nsec, .reserved = 0};
}

}  // namespace

Timeout ToTimeout(absl::Duration duration) {
  if (duration <= absl::ZeroDuration()) return {};
  const int64_t seconds = absl::ToInt64Seconds(duration);
  const int64_t nanoseconds = absl::ToInt64Nanoseconds(duration - absl::Seconds(seconds));
  return {.seconds = static_cast<uint64_t>(seconds),
          .nanoseconds = nanoseconds < 1'000'000'000 ? static_cast<uint32_t>(nanoseconds) : 0};
}

fuse_attr_out ToAttrOut(backends::NodeId node, const backends::Attributes& attributes,
                        const EntryTerms& terms) {
  return {
      .attr_valid = terms.attributes.seconds,
      .attr_valid_nsec = terms.attributes.nanoseconds,
      .dummy = 0,
      .attr = ToFuseAttr(node, attributes, terms),
  };
}

StatxOut ToStatxOut(const backends::Attributes& attributes, const EntryTerms& terms) {
  StatxOut out{};
  out.attr_valid = terms.attributes.seconds;
  out.attr_valid_nsec = terms.attributes.nanoseconds;
  Statx& stat = out.stat;
  stat.mask = attributes.stx_mask & (STATX_BASIC_STATS | STATX_BTIME);
  stat.blksize = attributes.stx_blksize;
  stat.attributes = attributes.stx_attributes & kFileAttributes;
  stat.attributes_mask = attributes.stx_attributes_mask & kFileAttributes;
  stat.nlink = attributes.stx_nlink;
  stat.uid = attributes.stx_uid;
  stat.gid = attributes.stx_gid;
  stat.mode = attributes.stx_mode;
  stat.ino = attributes.stx_ino;
  stat.size = attributes.stx_size;
  stat.blocks = attributes.stx_blocks;
  stat.atime = ToStatxTime(attributes.stx_atime);
  stat.btime = ToStatxTime(attributes.stx_btime);
  stat.ctime = ToStatxTime(attributes.stx_ctime);
  stat.mtime = ToStatxTime(attributes.stx_mtime);
  stat.rdev_major = attributes.stx_rdev_major;
  stat.rdev_minor = attributes.stx_rdev_minor;
  return out;
}

fuse_entry_out ToEntryOut(const backends::Entry& entry, const EntryTerms& terms) {
  const auto node = static_cast<uint64_t>(entry.node);
  return {
      .nodeid = node,
      .generation = node >> 32,
      .entry_valid = terms.entries.seconds,
      .attr_valid = terms.attributes.seconds,
      .entry_valid_nsec = terms.entries.nanoseconds,
      .attr_valid_nsec = terms.attributes.nanoseconds,
      .attr = ToFuseAttr(entry.node, entry.attributes, terms),
  };
}

fuse_entry_out ToNegativeEntryOut(const EntryTerms& terms) {
  fuse_entry_out out{};
  out.entry_valid = terms.negative.seconds;
  out.entry_valid_nsec = terms.negative.nanoseconds;
  return out;
}

dev_t DecodeDevice(uint32_t encoded) {
  const uint32_t major = (encoded & 0xfff00) >> 8;
  const uint32_t minor = (encoded & 0xff) | ((encoded >> 12) & 0xfff00);
  return makedev(major, minor);
}

uint32_t EncodeDevice(uint32_t major, uint32_t minor) {
  return (minor & 0xff) | (major << 8) | ((minor & ~0xffu) << 12);
}

}  // namespace fsd::fuse
