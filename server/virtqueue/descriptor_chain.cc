#include "server/virtqueue/descriptor_chain.h"

#include <array>
#include <cerrno>

#include "server/errors/status_macros.h"
#include "server/virtqueue/guest_word.h"

namespace fsd::virtqueue {
namespace {

constexpr Errno kInvalid(EINVAL);

}  // namespace

DescriptorChain::DescriptorChain(std::span<const Descriptor> table, uint16_t head,
                                 const GuestMemory& memory, const ChainRules& rules)
    : memory_(memory),
      indirect_allowed_(rules.indirect),
      limit_(rules.limit),
      table_{.count = static_cast<uint32_t>(table.size()),
             .host = reinterpret_cast<const std::byte*>(table.data())},
      index_(head),
      steps_left_(table_.count),
      buffers_left_(rules.limit) {
  FSD_CHECK(head < table.size());
}

ErrnoOr<void> DescriptorChain::EnterIndirect(const Descriptor& descriptor) {
  if (!indirect_allowed_ || in_indirect_ || (descriptor.flags & kDescriptorNext)) return kInvalid;
  const uint32_t count = descriptor.length / sizeof(Descriptor);
  if (descriptor.length % sizeof(Descriptor) != 0 || count == 0 || count > limit_) return kInvalid;
  uint64_t end;
  if (__builtin_add_overflow(descriptor.address, descriptor.length, &end)) return Errno(EFAULT);
  in_indirect_ = true;
  table_ = {
      .count = count,
      .host = static_cast<const std::byte*>(memory_.At(descriptor.address, descriptor.length)),
      .guest_address = descriptor.address};
  index_ = 0;
  steps_left_ = count;
  return {};
}

bool DescriptorChain::FetchInPieces(Descriptor& descriptor) const {
  const uint64_t offset = uint64_t{index_} * sizeof(Descriptor);
  std::span<std::byte> rest = std::as_writable_bytes(std::span(&descriptor, 1));
  if (table_.host != nullptr) {
    FetchBytes(table_.host + offset, rest);
    return true;
  }
  std::array<iovec, sizeof(Descriptor)> pieces;
  size_t count = 0;
  GuestMemory::Nearby nearby;
  if (!memory_.Translate(table_.guest_address + offset, sizeof(Descriptor), pieces, count,
                         nearby)) {
    return false;
  }
  for (const iovec& piece : std::span(pieces).first(count)) {
    FetchBytes(static_cast<const std::byte*>(piece.iov_base), rest.first(piece.iov_len));
    rest = rest.subspan(piece.iov_len);
  }
  return true;
}

}  // namespace fsd::virtqueue
