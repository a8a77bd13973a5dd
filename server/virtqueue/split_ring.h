// The layout of a split virtqueue in guest memory (virtio 1.2 §2.7). No logic.
//
// Three areas, little-endian: the descriptor table and the available ring are written by the
// driver, the used ring by the device.
//
//   descriptor table   Descriptor[size]                                            16-aligned
//   available ring     u16 flags, u16 index, u16 heads[size], u16 used_event        2-aligned
//   used ring          u16 flags, u16 index, UsedElement[size], u16 avail_event     4-aligned
//
// used_event and avail_event are there only with VIRTIO_RING_F_EVENT_IDX.
#ifndef FSD_SERVER_VIRTQUEUE_SPLIT_RING_H_
#define FSD_SERVER_VIRTQUEUE_SPLIT_RING_H_

#include <bit>
#include <cstddef>
#include <cstdint>

namespace fsd::virtqueue {

static_assert(std::endian::native == std::endian::little, "virtio 1.x is little-endian");

// §2.7.5, struct virtq_desc.
struct Descriptor {
  uint64_t address = 0;  // guest-physical
  uint32_t length = 0;   // bytes
  uint16_t flags = 0;
  uint16_t next = 0;  // index into the same table, if kDescriptorNext
};
static_assert(sizeof(Descriptor) == 16);

inline constexpr uint16_t kDescriptorNext = 1;
inline constexpr uint16_t kDescriptorWrite = 2;  // device-writable, else device-readable
inline constexpr uint16_t kDescriptorIndirect = 4;

// §2.7.8, struct virtq_used_elem.
struct UsedElement {
  uint32_t id = 0;      // the chain's head
  uint32_t length = 0;  // bytes written into its writable part
};
static_assert(sizeof(UsedElement) == 8);

// available ring's flags: the driver wants no call (§2.7.7). Without EVENT_IDX.
inline constexpr uint16_t kAvailableNoInterrupt = 1;
// used ring's flags: the device wants no kick (§2.7.10). Without EVENT_IDX.
inline constexpr uint16_t kUsedNoNotify = 1;

inline constexpr size_t kDescriptorTableAlignment = 16;
inline constexpr size_t kAvailableRingAlignment = 2;
inline constexpr size_t kUsedRingAlignment = 4;

inline constexpr uint32_t kMaxQueueSize = 32768;

// Offsets in bytes from the start of the area; `size` is the queue's.
inline constexpr size_t kRingFlagsOffset = 0;
inline constexpr size_t kRingIndexOffset = 2;
inline constexpr size_t kRingEntriesOffset = 4;

constexpr size_t UsedEventOffset(size_t size) {
  return kRingEntriesOffset + size * sizeof(uint16_t);
}
constexpr size_t AvailEventOffset(size_t size) {
  return kRingEntriesOffset + size * sizeof(UsedElement);
}

// Bytes that each area takes.
constexpr size_t DescriptorTableBytes(size_t size) { return size * sizeof(Descriptor); }
constexpr size_t AvailableRingBytes(size_t size, bool event_index) {
  return UsedEventOffset(size) + (event_index ? sizeof(uint16_t) : 0);
}
constexpr size_t UsedRingBytes(size_t size, bool event_index) {
  return AvailEventOffset(size) + (event_index ? sizeof(uint16_t) : 0);
}

}  // namespace fsd::virtqueue

#endif  // FSD_SERVER_VIRTQUEUE_SPLIT_RING_H_
