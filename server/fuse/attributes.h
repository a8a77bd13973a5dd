// How inodes look on the wire: fuse_attr, fuse_attr_out, fuse_statx_out, fuse_entry_out.
//
// The host's device and mount numbers never reach the guest.
#ifndef FSD_SERVER_FUSE_ATTRIBUTES_H_
#define FSD_SERVER_FUSE_ATTRIBUTES_H_

#include <sys/types.h>

#include <cstdint>

#include "absl/time/time.h"
#include "backends/filesystem.h"
#include "server/fuse/abi.h"

namespace fsd::fuse {

// How long the guest may keep something.
struct Timeout {
  uint64_t seconds = 0;
  uint32_t nanoseconds = 0;  // below 1e9

  bool zero() const { return seconds == 0 && nanoseconds == 0; }
};

// None for what is negative; as long as can be for what is longer than the wire can tell.
Timeout ToTimeout(absl::Duration duration);

// What the session's terms add to a backend's answer.
struct EntryTerms {
  Timeout attributes = {};
  Timeout entries = {};
  Timeout negative = {};            // for names that do not exist
  bool announce_submounts = false;  // FUSE_SUBMOUNTS was agreed
};

fuse_attr_out ToAttrOut(backends::NodeId node, const backends::Attributes& attributes,
                        const EntryTerms& terms);
StatxOut ToStatxOut(const backends::Attributes& attributes, const EntryTerms& terms);
fuse_entry_out ToEntryOut(const backends::Entry& entry, const EntryTerms& terms);
// Tells that there is no such name, and for how long that may be believed.
fuse_entry_out ToNegativeEntryOut(const EntryTerms& terms);

// FUSE carries device numbers in Linux's new_encode_dev form (linux/kdev_t.h): minor bits 0-7,
// major bits 8-19, the minor's upper 12 bits from bit 20 on.
dev_t DecodeDevice(uint32_t encoded);
uint32_t EncodeDevice(uint32_t major, uint32_t minor);

}  // namespace fsd::fuse

#endif  // FSD_SERVER_FUSE_ATTRIBUTES_H_
