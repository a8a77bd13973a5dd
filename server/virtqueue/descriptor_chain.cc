#include "server/virtqueue/descriptor_chain.h"

#include <array>
#include <cerrno>

#include "server/virtqueue/guest_word.h"

namespace fsd::virtqueue {

ErrnoOr<Descriptor> FetchInPieces(const GuestMemory& memory, ChainTable table, uint32_t index) {
  const uint64_t offset = uint64_t{index} * sizeof(Descriptor);
  Descriptor descriptor;
  std::span<std::byte> rest = std::as_writable_bytes(std::span(&descriptor, 1));
  std::array<iovec, sizeof(Descriptor)> pieces;
  size_t count = 0;
  GuestMemory::Nearby nearby(memory);
  if (!memory.Translate(table.guest_address + offset, sizeof(Descriptor), pieces, count, nearby)) {
    return Errno(EFAULT);
  }
  for (const iovec& piece : std::span(pieces).first(count)) {
    FetchBytes(static_cast<const std::byte*>(piece.iov_base), rest.first(piece.iov_len));
    rest = rest.subspan(piece.iov_len);
  }
  return descriptor;
}

}  // namespace fsd::virtqueue
