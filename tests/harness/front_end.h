// FrontEnd: a VM without a VM. Speaks vhost-user to any back-end's socket the way a VMM does.
//
// One thread. Every wait is bounded by kPatience, so a back-end that hangs fails a test instead of
// hanging it.
#ifndef FSD_TESTS_HARNESS_FRONT_END_H_
#define FSD_TESTS_HARNESS_FRONT_END_H_

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "server/os/event_fd.h"
#include "server/os/unique_fd.h"
#include "tests/harness/driver_queue.h"
#include "tests/harness/guest_arena.h"

namespace fsd::harness {

inline constexpr std::chrono::seconds kPatience{60};

// Whether there is something to read, or the end, before `timeout`.
bool WaitReadable(int fd, std::chrono::milliseconds timeout);

class FrontEnd {
 public:
  struct Options {
    size_t queues = 2;  // the high-priority one and the request queues
    DriverQueue::Options queue;
    size_t memory_bytes = size_t{32} << 20;
    int memory_regions = 1;
    bool memory_may_shrink = false;  // its file is not sealed against that
  };

  // Connects; says nothing yet.
  static absl::StatusOr<std::unique_ptr<FrontEnd>> Connect(const std::string& socket_path,
                                                           Options options);

  // The whole set-up as QEMU does it: features, memory, every queue started and enabled.
  absl::Status Start();
  // Stops every queue as QEMU does at a reboot or power-off; their bases are kept for StartQueues.
  absl::Status StopQueues();
  // Starts them again where they stopped (a guest that reboots makes its rings anew: ResetQueues).
  absl::Status StartQueues();
  // Fresh, empty rings in the same memory.
  void ResetQueues();

  GuestArena& arena() { return arena_; }
  DriverQueue& queue(size_t index) { return *queues_[index]; }
  size_t queue_count() const { return queues_.size(); }
  uint64_t features() const { return features_; }
  uint64_t protocol_features() const { return protocol_features_; }

  // Kicks a queue if the device wants it.
  void Kick(size_t index);
  // Kicks it without a look at its ring.
  void SignalKick(size_t index) { kicks_[index].Signal(); }
  // Waits until the queue has used chains (calls are requested meanwhile). DEADLINE_EXCEEDED after
  // kPatience; UNAVAILABLE if the back-end closed the connection.
  absl::Status WaitUsed(size_t index);
  int call_fd(size_t index) const { return calls_[index].fd(); }

  // --- the raw protocol, for tests of it ---

  static constexpr uint32_t kNeedReply = 1u << 3;
  // Sends one message; `flags` besides the version.
  absl::Status Send(uint32_t request, std::span<const std::byte> body,
                    std::span<const int> fds = {}, uint32_t flags = 0);
  // Receives one reply's body.
  absl::StatusOr<std::vector<std::byte>> Receive(uint32_t request);
  // Sends and waits for the acknowledgement (REPLY_ACK): the back-end's value, 0 for success.
  absl::StatusOr<uint64_t> SendAcknowledged(uint32_t request, std::span<const std::byte> body,
                                            std::span<const int> fds = {});
  absl::StatusOr<uint64_t> GetU64(uint32_t request);
  // Whether the back-end has closed the connection, waiting up to kPatience for it.
  bool WaitClosed();
  int socket() const { return socket_.get(); }

 private:
  FrontEnd(os::UniqueFd socket, GuestArena arena, Options options);

  absl::Status ReceiveExactly(std::span<std::byte> buffer);
  absl::Status SendMemory();
  absl::Status StartQueue(size_t index, uint16_t base);

  os::UniqueFd socket_;
  GuestArena arena_;
  const Options options_;
  uint64_t features_ = 0;
  uint64_t protocol_features_ = 0;
  std::vector<std::unique_ptr<DriverQueue>> queues_;
  std::vector<uint16_t> bases_;
  std::vector<os::EventFd> kicks_;
  std::vector<os::EventFd> calls_;
};

}  // namespace fsd::harness

#endif  // FSD_TESTS_HARNESS_FRONT_END_H_
