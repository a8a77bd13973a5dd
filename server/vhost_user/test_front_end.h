// TestFrontEnd and FakeDevice: both neighbours of a Connection, for its tests.
#ifndef FSD_SERVER_VHOST_USER_TEST_FRONT_END_H_
#define FSD_SERVER_VHOST_USER_TEST_FRONT_END_H_

#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <type_traits>
#include <vector>

#include "absl/status/status.h"
#include "server/os/unique_fd.h"
#include "server/vhost_user/connection.h"
#include "server/vhost_user/device.h"
#include "server/vhost_user/features.h"
#include "server/vhost_user/message.h"

namespace fsd::vhost_user {

// Records what it is told, in words. Answers at once or, while `defers`, when AnswerNext is called.
class FakeDevice : public Device {
 public:
  size_t queue_count() const override { return 2; }
  std::span<const std::byte> config() const override { return configuration; }
  void SetMemory(std::shared_ptr<const virtqueue::GuestMemory> memory,
                 std::function<void()> done) override;
  void SetDirtyLog(std::shared_ptr<const virtqueue::DirtyLog> log) override;
  absl::Status StartVring(size_t index, VringStart start) override;
  void StopVring(size_t index, std::function<void(uint16_t)> done) override;
  void SetVringEnabled(size_t index, bool enabled) override;
  void SetVringCall(size_t index, os::UniqueFd call) override;
  void SetVringError(size_t index, os::UniqueFd error) override;
  void Reset(std::function<void()> done) override;

  // What has been told since the last time this was asked.
  std::vector<std::string> TakeCalls();
  // Gives the answer that has been owed the longest. False if none is.
  bool AnswerNext();

  bool defers = false;
  absl::Status start_result;
  uint16_t next_available = 0;  // of every vring that is stopped
  std::vector<std::byte> configuration = std::vector<std::byte>(40, std::byte{'t'});
  std::map<size_t, VringStart> starts;  // the last of each vring
  std::shared_ptr<const virtqueue::DirtyLog> log;

 private:
  void Answer(std::function<void()> answer);

  std::vector<std::string> calls_;
  std::deque<std::function<void()>> owed_;
};

struct Reply {
  MessageHeader header;
  std::vector<std::byte> body;

  // The body as a u64; nothing if it is none.
  std::optional<uint64_t> number() const;
};

enum class Ack { kNo, kAsked };

// A payload's struct, and neither bytes nor a list of descriptors.
template <typename T>
concept Payload =
    !std::is_array_v<T> && !std::is_convertible_v<const T&, std::span<const std::byte>>;

// A front-end that sends what it is told to, and the Connection at the other end.
class TestFrontEnd {
 public:
  explicit TestFrontEnd(FakeDevice& device, bool offer_config = false);

  // Puts raw bytes on the wire, with `fds` (borrowed).
  void SendBytes(std::span<const std::byte> bytes, std::span<const int> fds = {});
  // A message as bytes.
  static std::vector<std::byte> Encode(FrontendRequest request, std::span<const std::byte> body,
                                       uint32_t flags = kVersion);
  // Sends one message and lets the Connection handle it.
  void Tell(FrontendRequest request, std::span<const std::byte> body, std::span<const int> fds = {},
            Ack ack = Ack::kNo);
  template <Payload T>
  void Tell(FrontendRequest request, const T& payload, std::span<const int> fds = {},
            Ack ack = Ack::kNo) {
    Tell(request, std::as_bytes(std::span(&payload, 1)), fds, ack);
  }
  void Tell(FrontendRequest request) { Tell(request, std::span<const std::byte>()); }
  // The same, and the acknowledgement's value; nothing if none came.
  template <Payload T>
  std::optional<uint64_t> TellWithAck(FrontendRequest request, const T& payload,
                                      std::span<const int> fds = {}) {
    Tell(request, payload, fds, Ack::kAsked);
    return TakeNumber();
  }
  std::optional<uint64_t> TellWithAck(FrontendRequest request, std::span<const int> fds = {}) {
    Tell(request, std::span<const std::byte>(), fds, Ack::kAsked);
    return TakeNumber();
  }
  // A request without a body that is answered by a number.
  std::optional<uint64_t> Ask(FrontendRequest request) {
    Tell(request);
    return TakeNumber();
  }

  // The next reply, or nothing if none is there.
  std::optional<Reply> TakeReply();
  std::optional<uint64_t> TakeNumber();

  // GET_FEATURES to SET_FEATURES with everything that is offered, without any memory.
  void Negotiate(uint64_t virtio_features = kOfferedVirtioFeatures & ~kLogAll,
                 uint64_t protocol_features = kOfferedProtocolFeatures);
  // ADD_MEM_REG of 1 MiB at guest address 0, user address kUserAddress.
  void AddMemory();
  // NUM, BASE, ADDR and KICK.
  void StartVring(uint32_t index, uint32_t base = 0);

  std::optional<StopReason> Advance(uint32_t events);
  void ClosePeer() { peer_.reset(); }
  const os::UniqueFd& peer() const { return peer_; }
  Connection& connection() { return *connection_; }
  void DestroyConnection() { connection_.reset(); }
  // Why the connection is over; nothing while it lives.
  std::optional<StopReason> stopped() const { return stopped_; }

  static constexpr uint64_t kUserAddress = 0x7f0000000000;
  static constexpr uint64_t kMemoryBytes = 1 << 20;
  static constexpr MemoryRegion kRegion = {
      .guest_address = 0, .size = kMemoryBytes, .user_address = kUserAddress, .mmap_offset = 0};
  static VringAddress AddressOf(uint32_t index, bool logged = false);

 private:
  os::UniqueFd peer_;
  std::unique_ptr<Connection> connection_;
  std::optional<StopReason> stopped_;
};

// 1 MiB of memory in a file.
os::UniqueFd MakeMemory();
os::UniqueFd MakeEvent();
// Descriptors that this process has open.
size_t CountOpenFds();

}  // namespace fsd::vhost_user

#endif  // FSD_SERVER_VHOST_USER_TEST_FRONT_END_H_
