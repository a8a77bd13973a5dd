// Connection: one front-end's vhost-user connection, from accept to close.
//
// Reads messages one after another, holds each against its row of the request table, lets the row's
// handler drive the Device, and answers. While the Device owes the answer to one message the next
// is not read (vhost-user is sequential). QEMU never reconnects, so a request that is refused is
// answered in-band wherever the protocol has a form for it; the connection ends only where the
// front-end would go on with a wrong idea of our state, or the stream cannot be followed.
//
// For one thread: the worker's control thread. Watch fd() level-triggered.
#ifndef FSD_SERVER_VHOST_USER_CONNECTION_H_
#define FSD_SERVER_VHOST_USER_CONNECTION_H_

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "server/os/unique_fd.h"
#include "server/vhost_user/connection_state.h"
#include "server/vhost_user/device.h"
#include "server/vhost_user/message_channel.h"
#include "server/vhost_user/request_table.h"

namespace fsd::vhost_user {

// Why a connection is over.
enum class StopReason {
  kPeerClosed,     // the front-end went away
  kProtocolError,  // it sent what cannot be answered
  kIoError,        // the socket failed
};
std::string_view StopReasonName(StopReason reason);

class Connection {
 public:
  struct Options {
    std::string export_name;    // for the log
    bool offer_config = false;  // VHOST_USER_PROTOCOL_F_CONFIG
    // Called when the Device has given an answer after its call returned: Advance has work again.
    // It comes from within the Device's callback, on the same thread. It may call Advance and may
    // destroy the Connection.
    std::function<void()> resume;
  };

  // `socket` is a connected, non-blocking stream socket. `device` outlives the Connection.
  Connection(os::UniqueFd socket, Device& device, Options options);
  // A Device's callback that comes afterwards does nothing. The Device itself is the owner's to
  // reset.
  ~Connection();
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  int fd() const { return channel_.fd(); }
  // Watch fd() for EPOLLIN and EPOLLOUT while these are true, and for neither otherwise (EPOLLHUP
  // comes anyway). Not reading is how a front-end that does not take its answers, or that waits for
  // the Device, is held back.
  bool wants_read() const { return !outstanding_ && !channel_.has_unsent(); }
  bool wants_write() const { return channel_.has_unsent(); }

  // Handles what has arrived. Never blocks. `epoll_events` are the EPOLL* bits that came, 0 for a
  // resume. When the connection is over, says why; nothing while it lives.
  std::optional<StopReason> Advance(uint32_t epoll_events);

  uint64_t virtio_features() const { return state_.virtio_features; }
  uint64_t protocol_features() const { return state_.protocol_features; }
  size_t started_vrings() const;
  // The channel for requests of our own (SET_BACKEND_REQ_FD); invalid if the front-end gave none.
  const os::UniqueFd& backend_request_channel() const { return state_.backend_request_channel; }

 private:
  void ReadMessages();
  void Handle(Message& message);
  void Conclude(const RequestRow& row, const MessageHeader& header, const Outcome& outcome);
  void Refuse(const RequestRow& row, const MessageHeader& header, const absl::Status& why);
  bool AckAsked(const MessageHeader& header) const;
  void ReplyWith(uint32_t request, std::span<const std::byte> body);
  void ReplyWith(uint32_t request, uint64_t value);
  void Stop(StopReason reason) {
    if (!stopped_) stopped_ = reason;
  }

  MessageChannel channel_;
  const std::function<void()> resume_;
  ConnectionState state_;
  std::optional<StopReason> stopped_;
  bool advancing_ = false;
  bool outstanding_ = false;  // the Device owes an answer
};

}  // namespace fsd::vhost_user

#endif  // FSD_SERVER_VHOST_USER_CONNECTION_H_
