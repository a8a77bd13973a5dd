// DescriptorChain: one walk along a driver's chain of descriptors (virtio 1.2 §2.7.5).
//
// A chain starts in the queue's table; its last descriptor there may lead into an indirect table
// elsewhere in guest memory (§2.7.5.3). Each descriptor is copied out once, then checked. The walk
// ends after a bounded number of steps, whatever the driver wrote. For the queue's thread;
// allocates nothing.
#ifndef FSD_SERVER_VIRTQUEUE_DESCRIPTOR_CHAIN_H_
#define FSD_SERVER_VIRTQUEUE_DESCRIPTOR_CHAIN_H_

#include <array>
#include <bit>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <span>

#include "server/errors/errno_or.h"
#include "server/virtqueue/guest_memory.h"
#include "server/virtqueue/guest_word.h"
#include "server/virtqueue/split_ring.h"

namespace fsd::virtqueue {

struct ChainRules {
  bool indirect = false;  // VIRTIO_RING_F_INDIRECT_DESC was negotiated
  size_t limit = 0;       // buffers in a chain, and descriptors in an indirect table
};

// One buffer, in guest addresses; its bytes have not been looked at, nor whether they are shared.
struct ChainBuffer {
  uint64_t address = 0;
  uint32_t length = 0;
  bool writable = false;

  friend bool operator==(const ChainBuffer&, const ChainBuffer&) = default;
};

class DescriptorChain {
 public:
  // `table` is the queue's descriptor table in guest memory, 16-aligned; `head` is an index into
  // it.
  DescriptorChain(std::span<const Descriptor> table, uint16_t head, const GuestMemory& memory,
                  const ChainRules& rules);

  // The chain's next buffer; false after the last one. After an errno the walk is over.
  // EINVAL: a loop, more buffers than the limit, an index outside its table, a writable buffer
  // before a readable one, more than 4 GiB - 1 in all, or an indirect table that was not
  // negotiated, lies inside another, has a successor or is of a wrong size.
  // EFAULT: an indirect table that is not shared with us.
  ErrnoOr<bool> Next(ChainBuffer& buffer);

 private:
  // Where the walk is: the queue's table or an indirect one.
  struct Table {
    uint32_t count = 0;
    const std::byte* host = nullptr;  // nullptr: not in one piece, so fetched by guest address
    uint64_t guest_address = 0;       // indirect tables only
  };

  ErrnoOr<void> EnterIndirect(const Descriptor& descriptor);
  // Copies the descriptor at index_ out. False if it is not shared with us.
  bool FetchDescriptor(Descriptor& descriptor) const {
    // Nothing obliges a driver to align its indirect tables.
    if (table_.host == nullptr ||
        reinterpret_cast<uintptr_t>(table_.host) % sizeof(uint64_t) != 0) {
      return FetchInPieces(descriptor);
    }
    const auto* words = reinterpret_cast<const uint64_t*>(table_.host) + size_t{index_} * 2;
    descriptor = std::bit_cast<Descriptor>(std::array{Fetch(&words[0]), Fetch(&words[1])});
    return true;
  }
  bool FetchInPieces(Descriptor& descriptor) const;

  const GuestMemory& memory_;
  const bool indirect_allowed_;
  const size_t limit_;

  Table table_;
  bool in_indirect_ = false;
  bool finished_ = false;
  uint32_t index_;       // of the next descriptor in table_; below its count
  uint32_t steps_left_;  // in table_; a chain without a loop takes no more
  size_t buffers_left_;
  uint32_t bytes_ = 0;
  bool seen_writable_ = false;
};

// Inline, for the chains of a page a descriptor.
inline ErrnoOr<bool> DescriptorChain::Next(ChainBuffer& buffer) {
  if (finished_) return false;
  finished_ = true;  // unless a successor is found below
  Descriptor descriptor;
  if (!FetchDescriptor(descriptor)) return Errno(EFAULT);
  if (descriptor.flags & kDescriptorIndirect) {
    if (const ErrnoOr<void> entered = EnterIndirect(descriptor); !entered.ok()) {
      return entered.error();
    }
    if (!FetchDescriptor(descriptor)) return Errno(EFAULT);
    if (descriptor.flags & kDescriptorIndirect) return Errno(EINVAL);
  }
  if (steps_left_ == 0 || buffers_left_ == 0) return Errno(EINVAL);
  --steps_left_;
  --buffers_left_;

  const bool writable = descriptor.flags & kDescriptorWrite;
  if (seen_writable_ && !writable) return Errno(EINVAL);
  seen_writable_ = writable;
  if (__builtin_add_overflow(bytes_, descriptor.length, &bytes_)) return Errno(EINVAL);
  if (descriptor.flags & kDescriptorNext) {
    if (descriptor.next >= table_.count) return Errno(EINVAL);
    index_ = descriptor.next;
    finished_ = false;
  }
  buffer = {.address = descriptor.address, .length = descriptor.length, .writable = writable};
  return true;
}

}  // namespace fsd::virtqueue

#endif  // FSD_SERVER_VIRTQUEUE_DESCRIPTOR_CHAIN_H_
