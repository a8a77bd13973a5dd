// Checks of a file that a front-end passed, before it is mapped.
#ifndef FSD_SERVER_VIRTQUEUE_MAPPABLE_FILE_H_
#define FSD_SERVER_VIRTQUEUE_MAPPABLE_FILE_H_

#include <cstdint>

#include "absl/status/statusor.h"

namespace fsd::virtqueue {

// What a mapping of bytes [offset, offset + size) of `fd` has to be aligned to, in bytes: the page,
// or the huge page where the file is made of those. A power of two.
// INVALID_ARGUMENT: empty, wraps around, or larger than the file (where it has a size; a device's
// driver checks by itself). Else fstat(2)'s error.
absl::StatusOr<uint64_t> MappingAlignment(int fd, uint64_t offset, uint64_t size);

}  // namespace fsd::virtqueue

#endif  // FSD_SERVER_VIRTQUEUE_MAPPABLE_FILE_H_
