#include "server/ipc/worker_channel.h"

#include <memory>
#include <span>
#include <string>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "server/errors/status_macros.h"
#include "server/os/unix_socket.h"

namespace fsd::ipc {
namespace {

template <typename Message>
absl::Status SendMessage(int socket, const Message& message) {
  const std::string bytes = message.SerializeAsString();
  if (bytes.size() > kMaxMessageBytes) {
    return absl::ResourceExhaustedError(
        absl::StrCat("message of ", bytes.size(), " bytes; the limit is ", kMaxMessageBytes));
  }
  const auto sent = os::SendWithFds(socket, std::as_bytes(std::span(bytes)), {});
  if (!sent.ok()) {
    return absl::UnavailableError(ErrnoStatus(sent.error(), "send to peer").message());
  }
  return absl::OkStatus();
}

template <typename Message>
absl::StatusOr<std::optional<Message>> ReceiveMessage(int socket) {
  // Not zeroed: a message is short, and the rest of its pages would be the process's for good.
  const auto buffer = std::make_unique_for_overwrite<std::byte[]>(kMaxMessageBytes);
  auto received = os::ReceiveWithFds(socket, std::span(buffer.get(), kMaxMessageBytes), 0);
  if (!received.ok()) {
    if (received.error() == Errno(EAGAIN)) return std::optional<Message>();
    return absl::UnavailableError(ErrnoStatus(received.error(), "receive from peer").message());
  }
  // An empty datagram looks the same; no message of ours is empty.
  if (received->bytes == 0) return absl::UnavailableError("the peer has closed the channel");
  Message message;
  if (received->truncated ||
      !message.ParseFromArray(buffer.get(), static_cast<int>(received->bytes))) {
    return absl::InvalidArgumentError("the peer sent what is not a message");
  }
  return std::optional<Message>(std::move(message));
}

}  // namespace

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

}  // namespace fsd::ipc
