// WorkerChannel: one end of the private channel between a supervisor and a worker.
//
// A SOCK_SEQPACKET connection; each datagram is one serialized ToWorker or FromWorker, at most
// kMaxMessageBytes. Both sides begin with a Hello that carries kProtocolVersion. Neither trusts the
// other's bytes: what does not parse ends the channel, not the process.
#ifndef FSD_SERVER_IPC_WORKER_CHANNEL_H_
#define FSD_SERVER_IPC_WORKER_CHANNEL_H_

#include <cstddef>
#include <cstdint>
#include <optional>
#include <utility>

#include "absl/status/statusor.h"
#include "proto/fsd/internal/worker.pb.h"
#include "server/os/unique_fd.h"

namespace fsd::ipc {

// Of WorkerSpec and the Hellos. Raised when an older peer would misread a message.
inline constexpr uint32_t kProtocolVersion = 1;
inline constexpr size_t kMaxMessageBytes = 64 * 1024;
// Of one answer to ListInflight: so many fit into a message, whatever their numbers.
inline constexpr uint32_t kMaxInflightRequests = 1000;
// Of a worker's last words.
inline constexpr size_t kMaxFailureBytes = 1024;

class WorkerChannel {
 public:
  // `socket` is connected, SOCK_SEQPACKET and non-blocking.
  explicit WorkerChannel(os::UniqueFd socket) : socket_(std::move(socket)) {}

  int fd() const { return socket_.get(); }

  // RESOURCE_EXHAUSTED: too large. UNAVAILABLE: the peer is gone, or does not read what it is sent.
  absl::Status Send(const internal::ToWorker& message);
  absl::Status Send(const internal::FromWorker& message);

  // The next message; nothing if none has arrived. UNAVAILABLE: the peer has closed.
  // INVALID_ARGUMENT: not a message, or one that carries descriptors.
  absl::StatusOr<std::optional<internal::ToWorker>> ReceiveToWorker();
  absl::StatusOr<std::optional<internal::FromWorker>> ReceiveFromWorker();

 private:
  os::UniqueFd socket_;
};

}  // namespace fsd::ipc

#endif  // FSD_SERVER_IPC_WORKER_CHANNEL_H_
