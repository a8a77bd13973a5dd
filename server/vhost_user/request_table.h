// The request table: one row for each request of the front-end, one column for each rule about it.
//
// Every check that does not depend on a payload's meaning is a column, so that a handler can take
// for granted what its row promises. Columns read left to right in the order they are checked.
// Source: vhost-user specification, "Front-end message types".
#ifndef FSD_SERVER_VHOST_USER_REQUEST_TABLE_H_
#define FSD_SERVER_VHOST_USER_REQUEST_TABLE_H_

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "absl/status/status.h"
#include "server/vhost_user/connection_state.h"
#include "server/vhost_user/message.h"

namespace fsd::vhost_user {

// How long a request's body is.
struct BodySize {
  size_t min = 0;
  size_t max = 0;
};

// Whether it may come before SET_OWNER.
enum class Phase {
  kAnyTime,
  kBeforeOwner,  // SET_OWNER itself, once
  kAfterOwner,
};

// Where its body names a vring, if it does. A vring that the device does not have is refused.
enum class VringField {
  kNone,
  kIndexWord,  // the first 32 bits
  kIndexByte,  // bits 0-7 of a u64
};

// What that vring may be doing.
enum class VringMustBe {
  kAnything,
  kStoppedOrDisabled,
};

// The file descriptors that come with it. More or fewer are refused; all that come are closed.
enum class Fds {
  kNone,
  kOne,
  kNoneOrOne,
  kOneUnlessFlagged,  // none if the u64's bit 8 is set, else one
  kOnePerRegion,      // as many as the body's regions, which the body has room for
  kAny,               // of requests that are refused anyway
};

// How success is answered.
enum class Answer {
  kAckIfAsked,  // u64 0, if the front-end set need_reply under REPLY_ACK
  kAck,         // u64 0, always
  kOwn,         // the handler's reply
};

// How a refusal is answered when it is not acknowledged: kOwn requests, and the others if the
// front-end did not ask.
enum class OnRefusal {
  kIgnore,      // both sides can go on as if it had not been sent
  kEmptyReply,  // a reply without a body
  kErrorReply,  // a u64 that means failure and no descriptor (SET_DEVICE_STATE_FD)
  kClose,       // nothing the front-end would understand: the connection ends
};

struct RequestRow {
  FrontendRequest request;
  std::string_view name;
  BodySize body;
  uint64_t protocol_feature;  // must be negotiated; 0: none
  uint64_t virtio_feature;    // must be negotiated; 0: none
  Phase phase;
  VringField vring;
  VringMustBe vring_must_be;
  Fds fds;
  Handler handler;
  Answer answer;
  OnRefusal on_refusal;
};

// All rows, in the order of their numbers.
std::span<const RequestRow> RequestTable();
// Null for a number that no specification knows.
const RequestRow* FindRequest(uint32_t request);

// Whether `message` obeys all of `row`'s columns. What is wrong, if not.
absl::Status CheckRequest(const RequestRow& row, const ConnectionState& state,
                          const Message& message);

}  // namespace fsd::vhost_user

#endif  // FSD_SERVER_VHOST_USER_REQUEST_TABLE_H_
