// FakeGuest: a guest's memory and the driver's side of its rings, for this room's tests.
//
// Usually head 2n is a request's readable descriptor and 2n + 1 its writable one. Ring words are
// accessed atomically and payload plainly, by the same mapping as the device's, so ThreadSanitizer
// judges the device's ordering.
#ifndef FSD_SERVER_WORKER_FAKE_GUEST_H_
#define FSD_SERVER_WORKER_FAKE_GUEST_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "server/fuse/abi.h"
#include "server/os/unique_fd.h"
#include "server/virtqueue/guest_memory.h"
#include "server/virtqueue/split_ring.h"
#include "server/virtqueue/virtqueue.h"

namespace fsd::worker {

class FakeGuest {
 public:
  static constexpr uint64_t kMemoryBytes = 8 << 20;
  static constexpr uint64_t kGuestBase = 0x1000'0000;
  static constexpr uint64_t kUserBase = 0x7f00'0000'0000;

  FakeGuest();

  int memory_fd() const { return file_.get(); }
  std::shared_ptr<const virtqueue::GuestMemory> memory() const { return memory_; }
  // The same memory, mapped anew: nothing of memory() is in it.
  std::shared_ptr<const virtqueue::GuestMemory> MapAgain() const;
  template <typename T>
  T* At(uint64_t guest_address) const {
    return static_cast<T*>(memory_->At(guest_address, sizeof(T)));
  }

 private:
  os::UniqueFd file_;
  std::shared_ptr<const virtqueue::GuestMemory> memory_;
};

// One ring of a guest and its eventfds, which are the driver's.
class FakeRing {
 public:
  // Empty rings. Those of one guest have different numbers, 0 … 3.
  FakeRing(FakeGuest& guest, size_t number, uint16_t size = 64);

  virtqueue::VirtqueueSetup setup() const;
  int kick_fd() const { return kick_.get(); }
  int call_fd() const { return call_.get(); }
  // Duplicates, to be given away.
  os::UniqueFd GiveKick() const;
  os::UniqueFd GiveCall() const;

  // Writes a FUSE request with `arguments` at `head` (even), with room for `reply_bytes` behind the
  // reply's header, and makes it available. Its unique is 1000 + head.
  void Offer(uint16_t head, uint32_t opcode, uint64_t node, std::span<const std::byte> arguments,
             size_t reply_bytes);
  template <typename T>
  void Offer(uint16_t head, uint32_t opcode, uint64_t node, const T& arguments,
             size_t reply_bytes) {
    Offer(head, opcode, node, std::as_bytes(std::span(&arguments, 1)), reply_bytes);
  }
  // The same with each byte of the arguments in a descriptor of its own (head + 1, …).
  void OfferInPieces(uint16_t head, uint32_t opcode, uint64_t node,
                     std::span<const std::byte> arguments, size_t reply_bytes);
  template <typename T>
  void OfferInPieces(uint16_t head, uint32_t opcode, uint64_t node, const T& arguments,
                     size_t reply_bytes) {
    OfferInPieces(head, opcode, node, std::as_bytes(std::span(&arguments, 1)), reply_bytes);
  }
  void OfferInit(uint16_t head);
  void OfferGetAttributes(uint16_t head, uint64_t node);
  // Makes a head available, whatever its descriptors say.
  void Publish(uint16_t head);
  void SetDescriptor(uint16_t index, const virtqueue::Descriptor& descriptor);
  void Kick() const;

  uint16_t UsedIndex() const;
  virtqueue::UsedElement UsedAt(uint16_t index) const;
  // Waits, by the call's eventfd, until that many requests are used in all. False after a minute.
  [[nodiscard]] bool AwaitUsed(uint16_t count) const;
  [[nodiscard]] bool AwaitUsedWithoutCall(uint16_t count) const;
  fuse_out_header ReplyAt(uint16_t head) const;
  uint64_t request_address(uint16_t head) const;
  uint64_t reply_address(uint16_t head) const;
  uint64_t available_address() const { return base_ + kAvailableOffset; }
  uint64_t used_address() const { return base_ + kUsedOffset; }

 private:
  fuse_in_header WriteRequest(uint16_t head, uint32_t opcode, uint64_t node,
                              std::span<const std::byte> arguments, size_t stride);

  static constexpr uint64_t kAvailableOffset = 0x4000;
  static constexpr uint64_t kUsedOffset = 0x8000;
  static constexpr uint64_t kDataOffset = 0x10000;
  static constexpr uint64_t kDataBytesPerHead = 0x4000;  // half for the request, half for the reply

  FakeGuest& guest_;
  const uint64_t base_;  // guest address
  const uint16_t size_;
  const os::UniqueFd kick_;
  const os::UniqueFd call_;
  uint16_t available_index_ = 0;
};

// Whether `fd` becomes readable within a minute.
[[nodiscard]] bool AwaitReadable(int fd);

}  // namespace fsd::worker

#endif  // FSD_SERVER_WORKER_FAKE_GUEST_H_
