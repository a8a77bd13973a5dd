#include "server/virtqueue/descriptor_chain.h"

#include <array>
#include <cerrno>

#include "server/errors/status_macros.h"
#include "server/virtqueue/guest_word.h"

namespace fsd::virtqueue {
namespace {

constexpr Errno kInvalid(EINVAL);

Descriptor FetchFromHost(const std::byte* host) {
  // Nothing obliges a driver to align its indirect tables.
  if (reinterpret_cast<uintptr_t>(host) % alignof(uint64_t) != 0) {
    Descriptor descriptor;
    FetchBytes(host, std::as_writable_bytes(std::span(&descriptor, 1)));
    return descriptor;
  }
  const auto* words = reinterpret_cast<const uint64_t*>(host);
  return std::bit_cast<Descriptor>(std::array{Fetch(&words[0]), Fetch(&words[1])});
}

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

ErrnoOr<bool> DescriptorChain::Next(ChainBuffer& buffer) {
  if (finished_) return false;
  finished_ = true;  // unless a successor is found below
  FSD_ASSIGN_OR_RETURN_ERRNO(Descriptor descriptor, FetchDescriptor());
  if (descriptor.flags & kDescriptorIndirect) {
    FSD_RETURN_IF_ERRNO(EnterIndirect(descriptor));
    FSD_ASSIGN_OR_RETURN_ERRNO(descriptor, FetchDescriptor());
    if (descriptor.flags & kDescriptorIndirect) return kInvalid;
  }
  if (steps_left_ == 0 || buffers_left_ == 0) return kInvalid;
  --steps_left_;
  --buffers_left_;

  const bool writable = descriptor.flags & kDescriptorWrite;
  if (seen_writable_ && !writable) return kInvalid;
  seen_writable_ = writable;
  if (__builtin_add_overflow(bytes_, descriptor.length, &bytes_)) return kInvalid;
  if (descriptor.flags & kDescriptorNext) {
    if (descriptor.next >= table_.count) return kInvalid;
    index_ = descriptor.next;
    finished_ = false;
  }
  buffer = {.address = descriptor.address, .length = descriptor.length, .writable = writable};
  return true;
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

ErrnoOr<Descriptor> DescriptorChain::FetchDescriptor() const {
  const uint64_t offset = uint64_t{index_} * sizeof(Descriptor);
  if (table_.host != nullptr) return FetchFromHost(table_.host + offset);

  std::array<iovec, sizeof(Descriptor)> pieces;
  size_t count = 0;
  if (!memory_.Translate(table_.guest_address + offset, sizeof(Descriptor), pieces, count)) {
    return Errno(EFAULT);
  }
  Descriptor descriptor;
  std::span<std::byte> rest = std::as_writable_bytes(std::span(&descriptor, 1));
  for (const iovec& piece : std::span(pieces).first(count)) {
    FetchBytes(static_cast<const std::byte*>(piece.iov_base), rest.first(piece.iov_len));
    rest = rest.subspan(piece.iov_len);
  }
  return descriptor;
}

}  // namespace fsd::virtqueue
