#include "server/vhost_user/connection.h"

#include <sys/epoll.h>

#include <algorithm>
#include <span>
#include <utility>

#include "server/errors/check.h"
#include "server/telemetry/log.h"

namespace fsd::vhost_user {
namespace {

// A front-end that never stops sending shall not keep the control thread from its other duties.
constexpr int kMaxMessagesPerAdvance = 64;

// A failure, and no descriptor (SET_DEVICE_STATE_FD); other requests read it as "not zero".
constexpr uint64_t kErrorReplyValue = 1 | kVringNoFdFlag;

// What stands for the row of a request that we have never heard of: nobody knows what its sender
// waits for.
constexpr RequestRow kUnknownRequest = {.request = FrontendRequest{0},
                                        .name = "an unknown request",
                                        .body = {0, kMaxBodyBytes},
                                        .protocol_feature = 0,
                                        .virtio_feature = 0,
                                        .phase = Phase::kAnyTime,
                                        .vring = VringField::kNone,
                                        .vring_must_be = VringMustBe::kAnything,
                                        .fds = Fds::kAny,
                                        .handler = nullptr,
                                        .answer = Answer::kAckIfAsked,
                                        .on_refusal = OnRefusal::kClose};

}  // namespace

std::string_view StopReasonName(StopReason reason) {
  switch (reason) {
    case StopReason::kPeerClosed:
      return "closed by the front-end";
    case StopReason::kProtocolError:
      return "protocol error";
    case StopReason::kIoError:
      return "I/O error";
  }
  return "unknown";
}

Connection::Connection(os::UniqueFd socket, Device& device, Options options)
    : channel_(std::move(socket)),
      resume_(std::move(options.resume)),
      state_(device, std::move(options.export_name), options.offer_config) {}

Connection::~Connection() = default;

size_t Connection::started_vrings() const {
  return static_cast<size_t>(std::count_if(state_.vrings.begin(), state_.vrings.end(),
                                           [](const Vring& vring) { return vring.running; }));
}

std::optional<StopReason> Connection::Advance(uint32_t epoll_events) {
  advancing_ = true;
  if (!channel_.Flush()) Stop(StopReason::kPeerClosed);
  ReadMessages();
  // Nobody waits for the Device's answer any more; what the front-end sent before it left is moot.
  if ((epoll_events & (EPOLLHUP | EPOLLERR)) != 0 && !wants_read()) Stop(StopReason::kPeerClosed);
  advancing_ = false;
  return stopped_;
}

void Connection::ReadMessages() {
  for (int i = 0; i < kMaxMessagesPerAdvance && wants_read() && !stopped_; ++i) {
    switch (channel_.Read()) {
      case MessageChannel::Reading::kMessage:
        Handle(channel_.message());
        // Closed now, not when the next message comes: they may hold a guest's memory.
        channel_.message().fds.clear();
        break;
      case MessageChannel::Reading::kNothing:
        return;
      case MessageChannel::Reading::kClosed:
        return Stop(StopReason::kPeerClosed);
      case MessageChannel::Reading::kMalformed:
        FSD_LOG(kWarning, state_.export_name, "vhost-user: not a message: %s", channel_.problem());
        return Stop(StopReason::kProtocolError);
      case MessageChannel::Reading::kFailed:
        FSD_LOG(kWarning, state_.export_name, "vhost-user: %s", channel_.problem());
        return Stop(StopReason::kIoError);
    }
  }
}

void Connection::Handle(Message& message) {
  const RequestRow* row = FindRequest(message.header.request);
  if (row == nullptr) {
    Refuse(kUnknownRequest, message.header, absl::UnimplementedError("not in the specification"));
    return;
  }
  FSD_LOG(kDebug, state_.export_name, "vhost-user: %s, %u bytes, %u file descriptors", row->name,
          message.body.size(), message.fds.size());
  if (absl::Status status = CheckRequest(*row, state_, message); !status.ok()) {
    Refuse(*row, message.header, status);
    return;
  }
  outstanding_ = true;
  // A Device's callback gets here only through WhileAlive, so `this` lives.
  row->handler(state_, message, [this, row, header = message.header](const Outcome& outcome) {
    FSD_CHECK(outstanding_);
    outstanding_ = false;
    Conclude(*row, header, outcome);
    if (advancing_ || resume_ == nullptr) return;
    // The hook may destroy us, and itself with us.
    const std::function<void()> resume = resume_;
    resume();
  });
}

void Connection::Conclude(const RequestRow& row, const MessageHeader& header,
                          const Outcome& outcome) {
  if (!outcome.status.ok()) return Refuse(row, header, outcome.status);
  switch (row.answer) {
    case Answer::kOwn:
      return ReplyWith(header.request, outcome.reply);
    case Answer::kAck:
      return ReplyWith(header.request, uint64_t{0});
    case Answer::kAckIfAsked:
      // Asked only now: SET_PROTOCOL_FEATURES may ask under the REPLY_ACK that it brings.
      if (AckAsked(header)) ReplyWith(header.request, uint64_t{0});
      return;
  }
}

void Connection::Refuse(const RequestRow& row, const MessageHeader& header,
                        const absl::Status& why) {
  FSD_LOG(kWarning, state_.export_name, "vhost-user: refused %s (%u): %s", row.name, header.request,
          why.message());
  if (row.answer != Answer::kOwn && AckAsked(header)) {
    return ReplyWith(header.request, uint64_t{1});
  }
  switch (row.on_refusal) {
    case OnRefusal::kIgnore:
      return;
    case OnRefusal::kEmptyReply:
      return ReplyWith(header.request, std::span<const std::byte>());
    case OnRefusal::kErrorReply:
      return ReplyWith(header.request, kErrorReplyValue);
    case OnRefusal::kClose:
      return Stop(StopReason::kProtocolError);
  }
}

bool Connection::AckAsked(const MessageHeader& header) const {
  return (header.flags & kNeedReplyFlag) != 0 && state_.negotiated(kReplyAck);
}

void Connection::ReplyWith(uint32_t request, std::span<const std::byte> body) {
  if (!channel_.Reply(request, body)) Stop(StopReason::kPeerClosed);
}

void Connection::ReplyWith(uint32_t request, uint64_t value) {
  ReplyWith(request, std::as_bytes(std::span(&value, 1)));
}

}  // namespace fsd::vhost_user
