// HostileGuest: sends FUSE requests that are malformed, in chains that are, by the thousand.
//
// Each starts as a request that a guest might send and has then at least one thing done to it that
// a driver must not do: to its lengths, names, numbers, buffers, descriptors or indirect tables.
// Many are in flight at once. The same seed makes the same requests. One thread, besides the one
// that Scribble is for.
#ifndef FSD_TESTS_HARNESS_HOSTILE_GUEST_H_
#define FSD_TESTS_HARNESS_HOSTILE_GUEST_H_

#include <cstddef>
#include <cstdint>
#include <random>
#include <span>
#include <vector>

#include "absl/status/status.h"
#include "tests/harness/front_end.h"
#include "tests/harness/malformed_requests.h"

namespace fsd::harness {

class HostileGuest {
 public:
  // Requests in flight at once, and the smallest queue that they can be in: as many descriptors
  // again are for chains to go on to.
  static constexpr size_t kMaxInFlight = 256;
  static constexpr uint16_t kQueueSize = 1024;

  // `front_end` has started; its queues are of kQueueSize and its arena of two regions.
  HostileGuest(FrontEnd& front_end, uint64_t seed);

  // The session has begun anew.
  void OnMounted() { requests_.Forget(); }

  // Sends `count` (at most kMaxInFlight) over a queue and waits until each has been completed, as
  // each must be: once, with a reply that says its own length, or none. Otherwise, or if the
  // back-end is gone, a Status. None of these can write over another's reply.
  absl::Status Attack(size_t queue, size_t count);
  // The same with links between chains and tables anywhere, and while Scribble may be called, so
  // that no reply is what it was.
  absl::Status AttackWildly(size_t queue, size_t count);
  // How many of the replies that were looked at said success: what got past the first checks.
  uint64_t granted() const { return granted_; }

  // From another thread: changes descriptors, indirect tables and buffers while they are read.
  void Scribble(std::mt19937_64& random);

  // Breaks a queue's ring: heads outside it, heads twice, an index that jumps, descriptors and
  // replies over the rings themselves. The back-end owes nothing afterwards.
  void BreakRing(size_t queue);

 private:
  // What a request has of a head's own memory.
  struct Room {
    uint64_t request;
    uint64_t table;
    uint64_t reply;
  };
  struct Shape {
    std::vector<Buffer> readable;
    std::vector<Buffer> writable;
    bool replies_in_place = true;  // its writable buffers are its reply's room, in order
  };

  uint64_t Random(uint64_t below) { return below == 0 ? 0 : random_() % below; }
  bool Chance(int percent) { return Random(100) < static_cast<uint64_t>(percent); }
  Room RoomOf(uint16_t head) const;
  uint64_t AnyAddress();
  void Cut(std::vector<Buffer>& pieces, uint64_t address, size_t bytes);
  bool CorruptShape(Shape& shape);
  void Link(DriverQueue& queue, uint16_t head, const Shape& shape);
  void LinkIndirect(DriverQueue& queue, uint16_t head, const Shape& shape, int fault);
  void CorruptTable(std::span<vring_desc> table);
  void CorruptLink(vring_desc& descriptor);
  bool Prepare(DriverQueue& queue, uint16_t head);
  absl::Status Send(size_t queue, size_t count);
  absl::Status CheckReply(uint16_t head, uint32_t written);

  FrontEnd& front_end_;
  std::mt19937_64 random_;
  MalformedRequests requests_;
  const uint64_t zone_;  // of all heads' rooms
  bool wild_ = false;    // no reply need be what it was
  uint64_t granted_ = 0;
  std::vector<bool> in_place_;  // by head: where its reply is
};

}  // namespace fsd::harness

#endif  // FSD_TESTS_HARNESS_HOSTILE_GUEST_H_
