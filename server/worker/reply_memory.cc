#include "server/worker/reply_memory.h"

#include <sys/uio.h>

#include <algorithm>

#include "server/os/prefetch.h"

namespace fsd::worker {

void PrefetchReply(const virtqueue::Chain& chain) {
  constexpr size_t kPieces = 2;
  constexpr size_t kLine = 64;
  for (const iovec& piece : chain.writable.first(std::min(kPieces, chain.writable.size()))) {
    const auto* const begin = static_cast<const std::byte*>(piece.iov_base);
    os::PrefetchToWrite(begin);
    if (piece.iov_len > kLine) os::PrefetchToWrite(begin + kLine);
  }
}

uint32_t PutBack(const RequestSlot& slot, uint32_t written, const virtqueue::GuestMemory& present) {
  size_t left = written;
  for (const iovec& piece : slot.chain().writable) {
    const size_t length = std::min(piece.iov_len, left);
    left -= length;
    uint64_t guest_address = 0;
    if (length != 0 &&
        (!slot.memory().GuestAddressOf(piece.iov_base, guest_address) ||
         !present.Write(guest_address, {static_cast<const std::byte*>(piece.iov_base), length}))) {
      return 0;
    }
  }
  return written;
}

void MarkWritten(const RequestSlot& slot, size_t bytes, const virtqueue::DirtyLog& log) {
  size_t left = bytes;
  for (const iovec& piece : slot.chain().writable) {
    const size_t length = std::min(piece.iov_len, left);
    if (length == 0) return;
    left -= length;
    uint64_t guest_address = 0;
    if (slot.memory().GuestAddressOf(piece.iov_base, guest_address)) {
      log.Mark(guest_address, length);
    }
  }
}

}  // namespace fsd::worker
