#include "server/ipc/worker_channel.h"

#include <array>
#include <memory>
#include <span>
#include <string>
#include <system_error>
#include <thread>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "server/errors/status_macros.h"
#include "server/os/unix_socket.h"

namespace fsd::ipc {
namespace {

template <typename Message>
absl::Status SendMessage(int socket, const Message& message, std::span<const int> fds = {}) {
  const std::string bytes = message.SerializeAsString();
  if (bytes.size() > kMaxMessageBytes) {
    return absl::ResourceExhaustedError(
        absl::StrCat("message of ", bytes.size(), " bytes; the limit is ", kMaxMessageBytes));
  }
  const auto sent = os::SendWithFds(socket, std::as_bytes(std::span(bytes)), fds);
  if (!sent.ok()) {
    return absl::UnavailableError(ErrnoStatus(sent.error(), "send to peer").message());
  }
  return absl::OkStatus();
}

template <typename Message>
struct Arrived {
  Message message;
  std::vector<os::UniqueFd> fds;
};

template <typename Message>
absl::StatusOr<std::optional<Arrived<Message>>> Receive(int socket, size_t max_fds) {
  // Not zeroed: a message is short, and the rest of its pages would be the process's for good.
  const auto buffer = std::make_unique_for_overwrite<std::byte[]>(kMaxMessageBytes);
  auto received = os::ReceiveWithFds(socket, std::span(buffer.get(), kMaxMessageBytes), max_fds);
  if (!received.ok()) {
    if (received.error() == Errno(EAGAIN)) return std::optional<Arrived<Message>>();
    return absl::UnavailableError(ErrnoStatus(received.error(), "receive from peer").message());
  }
  Arrived<Message> arrived{.message = {}, .fds = std::move(received->fds)};
  // An empty datagram looks the same; no message of ours is empty.
  if (received->bytes == 0) {
    CloseInBackground(std::move(arrived.fds));
    return absl::UnavailableError("the peer has closed the channel");
  }
  if (received->truncated ||
      !arrived.message.ParseFromArray(buffer.get(), static_cast<int>(received->bytes))) {
    CloseInBackground(std::move(arrived.fds));
    return absl::InvalidArgumentError("the peer sent what is not a message");
  }
  return std::optional<Arrived<Message>>(std::move(arrived));
}

template <typename Message>
absl::StatusOr<std::optional<Message>> ReceiveMessage(int socket) {
  FSD_ASSIGN_OR_RETURN(auto arrived, Receive<Message>(socket, 0));
  if (!arrived.has_value()) return std::optional<Message>();
  return std::optional<Message>(std::move(arrived->message));
}

}  // namespace

void CloseInBackground(std::vector<os::UniqueFd> fds) {
  if (fds.empty()) return;
  try {
    std::thread([fds = std::move(fds)] {}).detach();
  } catch (const std::system_error&) {  // no thread to be had; what was moved is closed here
  }
}

absl::Status WorkerChannel::Send(const internal::ToWorker& message) {
  return SendMessage(socket_.get(), message);
}

absl::Status WorkerChannel::Send(const internal::FromWorker& message) {
  return SendMessage(socket_.get(), message);
}

absl::StatusOr<std::optional<internal::ToWorker>> WorkerChannel::ReceiveToWorker() {
  return ReceiveMessage<internal::ToWorker>(socket_.get());
}

absl::StatusOr<std::optional<internal::FromWorker>> WorkerChannel::ReceiveFromWorker() {
  return ReceiveMessage<internal::FromWorker>(socket_.get());
}

absl::Status WorkerChannel::SendHandover(const internal::FromWorker& message, int vhost_listener,
                                         int counters) {
  const std::array<int, kHandoverFds> fds = {vhost_listener, counters};
  return SendMessage(socket_.get(), message, fds);
}

absl::StatusOr<std::optional<WorkerChannel::WithFds>> WorkerChannel::ReceiveFromWorkerWithFds() {
  FSD_ASSIGN_OR_RETURN(auto arrived, Receive<internal::FromWorker>(socket_.get(), kHandoverFds));
  if (!arrived.has_value()) return std::optional<WithFds>();
  if (arrived->fds.size() != (arrived->message.has_handover() ? kHandoverFds : 0)) {
    CloseInBackground(std::move(arrived->fds));
    return absl::InvalidArgumentError(
        "the peer sent another number of descriptors than belong to the message");
  }
  return std::optional(
      WithFds{.message = std::move(arrived->message), .fds = std::move(arrived->fds)});
}

}  // namespace fsd::ipc
