// DirtyLog: tells a migrating VMM which guest pages we have written (VHOST_F_LOG_ALL).
//
// A bitmap in memory shared with the VMM, one bit per 4 KiB guest page, bit n of byte n / 8
// (vhost-user, "Migration"). Any thread may mark.
#ifndef FSD_SERVER_VIRTQUEUE_DIRTY_LOG_H_
#define FSD_SERVER_VIRTQUEUE_DIRTY_LOG_H_

#include <cstdint>
#include <memory>

#include "absl/status/statusor.h"
#include "server/os/mapped_memory.h"

namespace fsd::virtqueue {

class DirtyLog {
 public:
  // Maps `size` bytes of `fd` from `offset` on. INVALID_ARGUMENT: empty or larger than the file.
  static absl::StatusOr<std::shared_ptr<const DirtyLog>> Map(int fd, uint64_t offset,
                                                             uint64_t size);
  explicit DirtyLog(os::MappedMemory bitmap);

  // Marks every page that [guest_address, guest_address + length) touches. Pages past the bitmap's
  // end are left out: the VMM did not ask for them.
  void Mark(uint64_t guest_address, uint64_t length) const;

 private:
  os::MappedMemory bitmap_;
};

}  // namespace fsd::virtqueue

#endif  // FSD_SERVER_VIRTQUEUE_DIRTY_LOG_H_
