// MessageChannel: whole vhost-user messages over a non-blocking stream socket.
//
// Reads header, then body, in as many pieces as they come, and never past the end of a message: the
// file descriptors of the next one stay with it. Descriptors come with a message's first byte
// (vhost-user, "Communication"). Replies that the socket does not take are kept. For one thread.
#ifndef FSD_SERVER_VHOST_USER_MESSAGE_CHANNEL_H_
#define FSD_SERVER_VHOST_USER_MESSAGE_CHANNEL_H_

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <type_traits>
#include <vector>

#include "server/os/unique_fd.h"
#include "server/vhost_user/message.h"

namespace fsd::vhost_user {

// A request as it was received. Valid until the channel reads on.
struct Message {
  MessageHeader header;
  std::span<const std::byte> body;
  std::vector<os::UniqueFd> fds;

  // The body's first bytes as a T; what the body lacks is zero.
  template <typename T>
  T As() const {
    static_assert(std::is_trivially_copyable_v<T>);
    T payload{};
    if (!body.empty()) std::memcpy(&payload, body.data(), std::min(sizeof payload, body.size()));
    return payload;
  }
};

class MessageChannel {
 public:
  explicit MessageChannel(os::UniqueFd socket) : socket_(std::move(socket)) {}

  int fd() const { return socket_.get(); }

  enum class Reading {
    kMessage,    // message() is a whole one
    kNothing,    // no whole message yet; wait for EPOLLIN
    kClosed,     // the peer has closed, perhaps within a message
    kMalformed,  // not vhost-user: problem() says why; the stream cannot be followed any more
    kFailed,     // the socket failed; problem() says how
  };
  // Reads on. What it returned once for an end, it returns for ever.
  Reading Read();
  Message& message() { return message_; }
  const std::string& problem() const { return problem_; }

  // Sends a reply to `request` or keeps what the socket does not take. False: the peer is gone.
  bool Reply(uint32_t request, std::span<const std::byte> body);
  // Sends what was kept. False: the peer is gone.
  bool Flush();
  bool has_unsent() const { return !unsent_.empty(); }

 private:
  Reading ReadPiece(std::span<std::byte> piece);
  Reading CheckHeader();
  Reading End(Reading how, std::string problem);

  os::UniqueFd socket_;
  Reading end_ = Reading::kNothing;  // once it is another, the stream is over
  std::string problem_;
  size_t received_ = 0;  // bytes of the message being read, header included
  std::array<std::byte, sizeof(MessageHeader)> header_;
  std::array<std::byte, kMaxBodyBytes> body_;
  Message message_;
  std::vector<std::byte> unsent_;
};

}  // namespace fsd::vhost_user

#endif  // FSD_SERVER_VHOST_USER_MESSAGE_CHANNEL_H_
