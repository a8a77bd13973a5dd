// DriverQueue: the driver's side of a split virtqueue (virtio 1.2 §2.7), as a guest would run it.
//
// Written from the specification, independently of server/virtqueue, which it tests.
#ifndef FSD_TESTS_HARNESS_DRIVER_QUEUE_H_
#define FSD_TESTS_HARNESS_DRIVER_QUEUE_H_

// The legacy helpers behind it are C, not C++.
#define VIRTIO_RING_NO_LEGACY
#include <linux/virtio_ring.h>

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "tests/harness/guest_arena.h"

namespace fsd::harness {

// A piece of guest memory.
struct Buffer {
  uint64_t guest_address = 0;
  uint32_t size = 0;
};

class DriverQueue {
 public:
  struct Options {
    uint16_t size = 128;
    bool event_index = true;
    bool indirect = true;  // chains of more than one descriptor go through an indirect table
  };
  struct Used {
    uint16_t head = 0;
    uint32_t written = 0;
  };

  DriverQueue(GuestArena& arena, Options options);

  uint16_t size() const { return options_.size; }
  uint64_t descriptor_address() const { return descriptors_; }
  uint64_t available_address() const { return available_; }
  uint64_t used_address() const { return used_; }

  // Makes a chain available; its head, or nothing if the descriptors are used up. The device sees
  // it at once; whether it must be kicked, KickNeeded tells.
  std::optional<uint16_t> Submit(std::span<const Buffer> readable,
                                 std::span<const Buffer> writable);
  // Whether the device asked to be kicked for what was submitted since this was last asked.
  bool KickNeeded();

  // The next chain that the device has used; its descriptors are free again.
  std::optional<Used> PopUsed();
  // Asks for a call when the next chain is used, or for none. True if one is already used.
  bool RequestCall();
  void SuppressCalls();

  // For hostile tests: the raw rings.
  vring_desc* descriptors() const { return arena_.At<vring_desc>(descriptors_); }
  vring_avail* available() const { return arena_.At<vring_avail>(available_); }
  vring_used* used() const { return arena_.At<vring_used>(used_); }
  // Makes `head` available, whatever it is.
  void Publish(uint16_t head);

 private:
  __u16* used_event() const { return &available()->ring[options_.size]; }
  __u16* available_event() const { return reinterpret_cast<__u16*>(&used()->ring[options_.size]); }

  GuestArena& arena_;
  const Options options_;
  uint64_t descriptors_;
  uint64_t available_;
  uint64_t used_;
  std::vector<uint64_t> indirect_tables_;        // by head
  std::vector<uint16_t> free_;                   // descriptors
  std::vector<std::vector<uint16_t>> in_chain_;  // by head
  uint16_t next_available_ = 0;
  uint16_t last_kicked_ = 0;
  uint16_t next_used_ = 0;
};

}  // namespace fsd::harness

#endif  // FSD_TESTS_HARNESS_DRIVER_QUEUE_H_
