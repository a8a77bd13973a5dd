// WorkerChannel: one end of the private channel between a supervisor and a worker.
//
// A SOCK_SEQPACKET connection; each datagram is one serialized ToWorker or FromWorker, at most
// kMaxMessageBytes. Only a Handover carries descriptors. Neither side trusts the other's bytes:
// what does not parse ends the channel, not the process.
//
// The two may be of different releases, as workers outlive their supervisor:
//   * Both begin with a Hello that names the newest and the oldest version that its sender speaks,
//     and speak the newest that both know. If there is none, the worker is replaced.
//   * What is new and may be ignored (a field, a message that nobody waits an answer to) raises no
//     version: a worker ignores a message of a kind that it does not know, a supervisor one of a
//     worker that is newer than itself.
//   * What an older peer would misread, or must answer, raises kProtocolVersion. The supervisor
//   then
//     sends it only to those whose Hello says that they know it, and kOldestProtocolVersion stays
//     as long as workers of that age are to outlive an upgrade.
#ifndef FSD_SERVER_IPC_WORKER_CHANNEL_H_
#define FSD_SERVER_IPC_WORKER_CHANNEL_H_

#include <cstddef>
#include <cstdint>
#include <optional>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "proto/fsd/internal/worker.pb.h"
#include "server/os/unique_fd.h"

namespace fsd::ipc {

// Of WorkerSpec and the Hellos. 2: a worker can be adopted.
inline constexpr uint32_t kProtocolVersion = 2;
inline constexpr uint32_t kOldestProtocolVersion = 2;
// Whether there is a version that we and a peer with this Hello speak. `oldest`: 0 if it speaks
// `newest` only.
constexpr bool IsSpoken(uint32_t newest, uint32_t oldest) {
  return newest >= kOldestProtocolVersion && (oldest == 0 ? newest : oldest) <= kProtocolVersion;
}

inline constexpr size_t kMaxMessageBytes = 64 * 1024;
// Of a WorkerSpec: it fits into a Handover.
inline constexpr size_t kMaxSpecBytes = kMaxMessageBytes - 64;
// Of one answer to ListInflight: so many fit into a message, whatever their numbers.
inline constexpr uint32_t kMaxInflightRequests = 1000;
// Of a worker's last words.
inline constexpr size_t kMaxFailureBytes = 1024;

// A Handover's.
inline constexpr size_t kHandoverFds = 2;

// Closes them on a thread of its own: to close a file that a worker has sent may wait for the
// file's file system.
void CloseInBackground(std::vector<os::UniqueFd> fds);

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

  // A Handover with its descriptors, which are borrowed.
  absl::Status SendHandover(const internal::FromWorker& message, int vhost_listener, int counters);
  // The next message, of any kind; `fds` are a Handover's: both, close-on-exec, or it is an error.
  // Closing what a worker has sent instead can block: that is done on another thread.
  struct WithFds {
    internal::FromWorker message;
    std::vector<os::UniqueFd> fds;
  };
  absl::StatusOr<std::optional<WithFds>> ReceiveFromWorkerWithFds();

 private:
  os::UniqueFd socket_;
};

}  // namespace fsd::ipc

#endif  // FSD_SERVER_IPC_WORKER_CHANNEL_H_
