// WalkChain: along a driver's chain of descriptors (virtio 1.2 §2.7.5).
//
// A chain starts in the queue's table; its last descriptor there may lead into an indirect table
// elsewhere in guest memory (§2.7.5.3). Each descriptor is copied out once, then checked. The walk
// ends after a bounded number of steps, whatever the driver wrote. For the queue's thread;
// allocates nothing.
#ifndef FSD_SERVER_VIRTQUEUE_DESCRIPTOR_CHAIN_H_
#define FSD_SERVER_VIRTQUEUE_DESCRIPTOR_CHAIN_H_

#include <algorithm>
#include <array>
#include <bit>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>
#include <utility>

#include "server/errors/errno_or.h"
#include "server/errors/status_macros.h"
#include "server/virtqueue/guest_memory.h"
#include "server/virtqueue/guest_word.h"
#include "server/virtqueue/split_ring.h"

namespace fsd::virtqueue {

struct ChainRules {
  bool indirect = false;  // VIRTIO_RING_F_INDIRECT_DESC was negotiated
  size_t limit = 0;       // buffers in a chain, and descriptors in an indirect table
};

// Where a walk is: in the queue's table or in an indirect one.
struct ChainTable {
  uint32_t count = 0;
  const std::byte* host = nullptr;  // nullptr: not in one aligned piece; fetched by guest address
  uint64_t guest_address = 0;       // indirect tables only
};

// Copies a descriptor out of a table that is misaligned or in pieces. EFAULT if it is not shared.
[[gnu::cold]] ErrnoOr<Descriptor> FetchInPieces(const GuestMemory& memory, ChainTable table,
                                                uint32_t index);

inline ErrnoOr<Descriptor> FetchDescriptor(const GuestMemory& memory, const ChainTable& table,
                                           uint32_t index) {
  if (table.host == nullptr) [[unlikely]]
    return FetchInPieces(memory, table, index);
  const auto* words = reinterpret_cast<const uint64_t*>(table.host) + size_t{index} * 2;
  return std::bit_cast<Descriptor>(std::array{Fetch(&words[0]), Fetch(&words[1])});
}

// The indirect table that `descriptor` leads to. EINVAL, EFAULT.
inline ErrnoOr<ChainTable> IndirectTable(const Descriptor& descriptor, const GuestMemory& memory,
                                         GuestMemory::Nearby& nearby, const ChainRules& rules) {
  const uint32_t count = descriptor.length / sizeof(Descriptor);
  if (!rules.indirect || (descriptor.flags & kDescriptorNext) != 0 ||
      descriptor.length % sizeof(Descriptor) != 0 || count == 0 || count > rules.limit) {
    return Errno(EINVAL);
  }
  uint64_t end;
  if (__builtin_add_overflow(descriptor.address, descriptor.length, &end)) return Errno(EFAULT);
  const void* host = memory.At(descriptor.address, descriptor.length, nearby);
  // Nothing obliges a driver to align its tables.
  if (reinterpret_cast<uintptr_t>(host) % sizeof(uint64_t) != 0) host = nullptr;
  return ChainTable{.count = count,
                    .host = static_cast<const std::byte*>(host),
                    .guest_address = descriptor.address};
}

// Calls `visit` with the address, bytes and direction (true: writable) of each buffer of the chain
// that starts at `head` of the queue's `table`, which is 16-aligned and larger than that, until it
// returns false; readable ones come first. Buffers that continue each other come as one, empty ones
// not at all; whether they are shared has not been looked at. `nearby` is where the last of them
// was found, for `visit` too.
// EINVAL: a loop, more buffers than the limit, an index outside its table, a writable buffer
// before a readable one, more than 4 GiB - 1 in all, or an indirect table that was not
// negotiated, lies inside another, has a successor or is of a wrong size.
// EFAULT: an indirect table that is not shared with us, or `visit` returned false.
//
// A template, so that it and `visit` become one loop, most of whose state is in registers: the five
// descriptors of a GETATTR take 345 instructions, and took 750 when each was fetched by a call. A
// page of a longer transfer takes 30 if it continues the one before.
template <typename Visit>
ErrnoOr<void> WalkChain(std::span<const Descriptor> table, uint16_t head, const GuestMemory& memory,
                        GuestMemory::Nearby& nearby, const ChainRules& rules, const Visit& visit) {
  ChainTable at{.count = static_cast<uint32_t>(table.size()),
                .host = reinterpret_cast<const std::byte*>(table.data())};
  uint32_t index = head;
  bool in_indirect = false;
  // What is next for `visit`, but may go on.
  uint64_t address = 0;
  uint64_t length = 0;
  uint16_t direction = 0;
  uint64_t bytes = 0;  // before it
  // A chain without a loop takes no more of a table than it has.
  const size_t most_direct = std::min<size_t>(rules.limit, at.count);
  size_t buffers_left = most_direct;
  while (true) {
    FSD_ASSIGN_OR_RETURN_ERRNO(const Descriptor descriptor, FetchDescriptor(memory, at, index));
    if ((descriptor.flags & kDescriptorIndirect) != 0) [[unlikely]] {
      if (in_indirect) return Errno(EINVAL);
      FSD_ASSIGN_OR_RETURN_ERRNO(at, IndirectTable(descriptor, memory, nearby, rules));
      const size_t direct = most_direct - buffers_left;
      buffers_left = std::min<size_t>(rules.limit - direct, at.count);
      in_indirect = true;
      index = 0;
      continue;
    }
    if (buffers_left-- == 0) return Errno(EINVAL);
    const auto before = std::exchange(direction, descriptor.flags & kDescriptorWrite);
    if (direction == before && descriptor.address == address + length) {
      length += descriptor.length;
    } else {
      if (direction < before) return Errno(EINVAL);
      bytes += length;
      if (length > 0 && !visit(address, length, before != 0)) return Errno(EFAULT);
      address = descriptor.address;
      length = descriptor.length;
    }
    if ((descriptor.flags & kDescriptorNext) == 0) break;
    index = descriptor.next;
    if (index >= at.count) return Errno(EINVAL);
  }
  if (bytes + length > std::numeric_limits<uint32_t>::max()) return Errno(EINVAL);
  if (length > 0 && !visit(address, length, direction != 0)) return Errno(EFAULT);
  return {};
}

}  // namespace fsd::virtqueue

#endif  // FSD_SERVER_VIRTQUEUE_DESCRIPTOR_CHAIN_H_
