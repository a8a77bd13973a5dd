#include "server/vhost_user/message_channel.h"

#include <cerrno>
#include <utility>

#include "absl/strings/str_format.h"
#include "server/errors/errno_or.h"
#include "server/os/unix_socket.h"

namespace fsd::vhost_user {

MessageChannel::Reading MessageChannel::Read() {
  if (end_ != Reading::kNothing) return end_;
  const auto header = std::span(header_);
  if (received_ >= header.size() + message_.header.size) {  // the last one has been handled
    received_ = 0;
    message_ = Message{};
  }
  while (received_ < header.size()) {
    const Reading reading = ReadPiece(header.subspan(received_));
    if (reading != Reading::kMessage) return reading;
    if (received_ == header.size() && CheckHeader() != Reading::kMessage) return end_;
  }
  const size_t whole = header.size() + message_.header.size;
  while (received_ < whole) {
    const Reading reading =
        ReadPiece(std::span(body_).subspan(received_ - header.size()).first(whole - received_));
    if (reading != Reading::kMessage) return reading;
  }
  message_.body = std::span(body_).first(message_.header.size);
  return Reading::kMessage;
}

MessageChannel::Reading MessageChannel::ReadPiece(std::span<std::byte> piece) {
  ErrnoOr<os::Received> received = os::ReceiveWithFds(socket_.get(), piece, kMaxMessageFds);
  if (!received.ok()) {
    const int error = received.error().value();
    if (error == EAGAIN) return Reading::kNothing;
    if (error == ECONNRESET) return End(Reading::kClosed, "connection reset");
    return End(Reading::kFailed, absl::StrFormat("recvmsg: %s", std::strerror(error)));
  }
  if (received->truncated) {
    return End(Reading::kMalformed,
               "more file descriptors than a message can have, or than we can");
  }
  if (received->bytes == 0) return End(Reading::kClosed, "closed by the peer");
  if (!received->fds.empty()) {
    if (received_ != 0) {
      return End(Reading::kMalformed, "file descriptors in the middle of a message");
    }
    message_.fds = std::move(received->fds);
  }
  received_ += received->bytes;
  return Reading::kMessage;
}

MessageChannel::Reading MessageChannel::CheckHeader() {
  MessageHeader header;
  std::memcpy(&header, header_.data(), sizeof header);
  if ((header.flags & kVersionMask) != kVersion) {
    return End(Reading::kMalformed,
               absl::StrFormat("protocol version %u", header.flags & kVersionMask));
  }
  if ((header.flags & kReplyFlag) != 0) {
    return End(Reading::kMalformed,
               absl::StrFormat("a reply (to request %u) where a request belongs", header.request));
  }
  if (header.size > kMaxBodyBytes) {
    return End(Reading::kMalformed,
               absl::StrFormat("a body of %u bytes in request %u", header.size, header.request));
  }
  message_.header = header;
  return Reading::kMessage;
}

MessageChannel::Reading MessageChannel::End(Reading how, std::string problem) {
  end_ = how;
  problem_ = std::move(problem);
  message_ = Message{};
  return end_;
}

bool MessageChannel::Reply(uint32_t request, std::span<const std::byte> body) {
  const MessageHeader header{.request = request,
                             .flags = kVersion | kReplyFlag,
                             .size = static_cast<uint32_t>(body.size())};
  const auto head = std::as_bytes(std::span(&header, 1));
  unsent_.insert(unsent_.end(), head.begin(), head.end());
  unsent_.insert(unsent_.end(), body.begin(), body.end());
  return Flush();
}

bool MessageChannel::Flush() {
  while (!unsent_.empty()) {
    const ErrnoOr<size_t> sent = os::SendWithFds(socket_.get(), unsent_, {});
    if (!sent.ok()) return sent.error() == Errno(EAGAIN);
    unsent_.erase(unsent_.begin(), unsent_.begin() + static_cast<ptrdiff_t>(*sent));
  }
  return true;
}

}  // namespace fsd::vhost_user
