#include "server/virtqueue/mappable_file.h"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <bit>
#include <limits>

#include "absl/status/status.h"
#include "server/errors/errno_or.h"
#include "server/errors/status_macros.h"

namespace fsd::virtqueue {

absl::StatusOr<uint64_t> MappingAlignment(int fd, uint64_t offset, uint64_t size) {
  if (size == 0) return absl::InvalidArgumentError("nothing to map: size is 0");
  struct stat file;
  if (::fstat(fd, &file) != 0) return ErrnoStatus(Errno::Last(), "fstat of a file to map");

  // hugetlbfs reports its page size as the block size, and so does a memfd with huge pages. A file
  // system with large blocks gets a larger alignment than it needs, which costs addresses only.
  const auto page = static_cast<uint64_t>(::sysconf(_SC_PAGESIZE));
  const auto block = static_cast<uint64_t>(std::max<blksize_t>(file.st_blksize, 0));
  const uint64_t alignment = std::has_single_bit(block) ? std::max(page, block) : page;

  uint64_t end;
  constexpr uint64_t kMaxOffset = std::numeric_limits<int64_t>::max();
  if (__builtin_add_overflow(offset, size, &end) || end > kMaxOffset - (alignment - 1)) {
    return absl::InvalidArgumentError("offset and size to map wrap around");
  }
  if (S_ISREG(file.st_mode) && end > static_cast<uint64_t>(file.st_size)) {
    return absl::InvalidArgumentError("file to map is too short");
  }
  return alignment;
}

}  // namespace fsd::virtqueue
