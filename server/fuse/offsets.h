// Where a guest's ranges of bytes may lie.
#ifndef FSD_SERVER_FUSE_OFFSETS_H_
#define FSD_SERVER_FUSE_OFFSETS_H_

#include <cstdint>

namespace fsd::fuse {

inline constexpr uint64_t kMaxOffset = INT64_MAX;

// Whether a range's last byte is below kMaxOffset.
constexpr bool RangeValid(uint64_t offset, uint64_t length) {
  return offset <= kMaxOffset && length <= kMaxOffset - offset;
}

}  // namespace fsd::fuse

#endif  // FSD_SERVER_FUSE_OFFSETS_H_
