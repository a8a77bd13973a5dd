#include "server/virtqueue/dirty_log.h"

#include <algorithm>
#include <atomic>
#include <limits>
#include <utility>

#include "server/errors/status_macros.h"
#include "server/virtqueue/mappable_file.h"

namespace fsd::virtqueue {
namespace {

constexpr uint64_t kPageBytes = 4096;  // VHOST_LOG_PAGE, whatever the host's page is

}  // namespace

absl::StatusOr<std::shared_ptr<const DirtyLog>> DirtyLog::Map(int fd, uint64_t offset,
                                                              uint64_t size) {
  FSD_RETURN_IF_ERROR(MappingAlignment(fd, offset, size));
  auto bitmap = os::MappedMemory::MapShared(fd, offset, size);
  if (!bitmap.ok()) return ErrnoStatus(bitmap.error(), "mapping the dirty log");
  return std::make_shared<const DirtyLog>(*std::move(bitmap));
}

DirtyLog::DirtyLog(os::MappedMemory bitmap) : bitmap_(std::move(bitmap)) {}

void DirtyLog::Mark(uint64_t guest_address, uint64_t length) const {
  if (length == 0 || bitmap_.size() == 0) return;
  uint64_t last_address;
  if (__builtin_add_overflow(guest_address, length - 1, &last_address)) {
    last_address = std::numeric_limits<uint64_t>::max();
  }
  const uint64_t first = guest_address / kPageBytes;
  const uint64_t last = std::min<uint64_t>(last_address / kPageBytes, bitmap_.size() * 8 - 1);
  for (uint64_t page = first; page <= last;) {
    const uint64_t end = std::min(last, page | 7);  // the last page of this byte
    const auto mask = static_cast<uint8_t>((0xFF << (page & 7)) & (0xFF >> (7 - (end & 7))));
    // Release: whoever sees and clears the bit then copies what we have written. Set even where it
    // is set already: a look first could overtake our write, and the VMM clear it in between.
    std::atomic_ref<uint8_t>(*reinterpret_cast<uint8_t*>(bitmap_.data() + page / 8))
        .fetch_or(mask, std::memory_order_release);
    page = end + 1;
  }
}

}  // namespace fsd::virtqueue
