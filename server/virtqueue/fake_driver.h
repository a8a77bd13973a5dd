// FakeDriver: the driver side of one split virtqueue, for tests.
//
// Owns a guest of two memory regions that are neighbours in the guest's addresses and not in the
// host's, with the rings in the first one. Writes what it is told, also nonsense. Its words are
// accessed atomically, its payload plainly, so ThreadSanitizer judges the device's ordering.
#ifndef FSD_SERVER_VIRTQUEUE_FAKE_DRIVER_H_
#define FSD_SERVER_VIRTQUEUE_FAKE_DRIVER_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "server/virtqueue/guest_memory.h"
#include "server/virtqueue/split_ring.h"
#include "server/virtqueue/virtqueue.h"

namespace fsd::virtqueue {

struct FakeDriverOptions {
  uint16_t size = 8;
  bool event_index = false;
  bool indirect = false;
  uint16_t start_index = 0;  // of both rings
};

class FakeDriver {
 public:
  // The guest's map.
  static constexpr uint64_t kRegionBytes = 4 << 20;
  static constexpr uint64_t kLow = 0x1000'0000;
  static constexpr uint64_t kBorder = kLow + kRegionBytes;  // where the second region starts
  static constexpr uint64_t kEnd = kBorder + kRegionBytes;
  static constexpr uint64_t kDescriptors = kLow;
  static constexpr uint64_t kAvailable = kLow + 0x10'0000;
  static constexpr uint64_t kUsed = kLow + 0x20'0000;
  static constexpr uint64_t kData = kLow + 0x30'0000;
  // What to add for the VMM's addresses.
  static constexpr uint64_t kUserOffset = 0x7f00'0000'0000;

  explicit FakeDriver(const FakeDriverOptions& options = {});

  VirtqueueSetup setup() const;
  std::shared_ptr<const GuestMemory> memory() const { return memory_; }
  // A queue of this set-up, which must be good.
  std::unique_ptr<Virtqueue> MakeQueue() const;

  // Guest memory by address; a T may not cross the border.
  template <typename T>
  T* At(uint64_t guest_address) const {
    return static_cast<T*>(memory_->At(guest_address, sizeof(T)));
  }
  // Any bytes, also across the border.
  void Write(uint64_t guest_address, std::span<const std::byte> bytes) const;

  void SetDescriptor(uint16_t index, const Descriptor& descriptor) const;
  // Chains descriptors[0] at table index `first`, the others after it.
  void SetChain(uint16_t first, std::vector<Descriptor> descriptors) const;
  // Writes an indirect table at a guest address, its descriptors chained in order.
  void WriteTable(uint64_t guest_address, std::vector<Descriptor> descriptors) const;

  // Makes a head available and publishes it.
  void Publish(uint16_t head);
  // The index to publish as it is.
  void SetAvailableIndex(uint16_t index);
  uint16_t available_index() const { return available_index_; }
  void SetAvailableFlags(uint16_t flags) const;
  void SetUsedEvent(uint16_t index) const;

  uint16_t UsedIndex() const;
  UsedElement UsedAt(uint16_t index) const;
  uint16_t UsedFlags() const;
  uint16_t AvailEvent() const;
  // Whether the device wants a kick for what was published from index `old` on.
  bool KickNeeded(uint16_t old) const;

 private:
  const FakeDriverOptions options_;
  std::shared_ptr<const GuestMemory> memory_;
  uint16_t available_index_;
};

}  // namespace fsd::virtqueue

#endif  // FSD_SERVER_VIRTQUEUE_FAKE_DRIVER_H_
