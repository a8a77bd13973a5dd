// ConnectionState: what one connection has negotiated and set up; what request handlers work on.
//
// Also what a handler makes of a request (Outcome) and how it says so (Finish): at once or, when
// the Device has to wait for requests in flight, later. For the connection's thread.
#ifndef FSD_SERVER_VHOST_USER_CONNECTION_STATE_H_
#define FSD_SERVER_VHOST_USER_CONNECTION_STATE_H_

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "server/os/unique_fd.h"
#include "server/vhost_user/device.h"
#include "server/vhost_user/features.h"
#include "server/vhost_user/message_channel.h"
#include "server/vhost_user/vring.h"
#include "server/virtqueue/dirty_log.h"
#include "server/virtqueue/guest_memory.h"

namespace fsd::vhost_user {

struct ConnectionState {
  ConnectionState(Device& device, std::string export_name, bool offer_config)
      : device(device),
        export_name(std::move(export_name)),
        offered_protocol_features(kOfferedProtocolFeatures |
                                  (offer_config ? uint64_t{kConfig} : 0)),
        vrings(device.queue_count()),
        kicks(vrings.size()) {}

  bool negotiated(ProtocolFeature feature) const { return (protocol_features & feature) != 0; }
  bool negotiated(VirtioFeature feature) const { return (virtio_features & feature) != 0; }

  // `function`, made to do nothing once the connection is gone. For the Device's callbacks.
  template <typename Function>
  auto WhileAlive(Function function) const {
    return [alive = std::weak_ptr<const bool>(alive),
            function = std::move(function)](auto... arguments) {
      if (!alive.expired()) function(arguments...);
    };
  }

  Device& device;
  const std::string export_name;
  const uint64_t offered_protocol_features;

  bool owned = false;  // SET_OWNER has come
  uint64_t virtio_features = 0;
  uint64_t protocol_features = 0;
  std::shared_ptr<const virtqueue::GuestMemory> memory =
      std::make_shared<const virtqueue::GuestMemory>();
  std::shared_ptr<const virtqueue::DirtyLog> log;  // in use while kLogAll is negotiated
  std::vector<Vring> vrings;
  std::vector<os::UniqueFd> kicks;  // by vring; invalid: none, or polling
  os::UniqueFd backend_request_channel;

  std::shared_ptr<const bool> alive = std::make_shared<const bool>(true);
};

// What was made of a request: done, refused, or (for a request with a reply of its own) the reply.
struct Outcome {
  Outcome(absl::Status status) : status(std::move(status)) {}  // NOLINT: implicit by intent

  template <typename T>
  static Outcome Reply(const T& payload) {
    const auto bytes = std::as_bytes(std::span(&payload, 1));
    return Outcome(std::vector<std::byte>(bytes.begin(), bytes.end()));
  }
  static Outcome Reply(std::vector<std::byte> body) { return Outcome(std::move(body)); }

  absl::Status status;
  std::vector<std::byte> reply;

 private:
  explicit Outcome(std::vector<std::byte> body) : reply(std::move(body)) {}
};

// To be called exactly once for each request, on the connection's thread; by a Device's callback
// only through WhileAlive.
using Finish = std::function<void(const Outcome&)>;
// Acts on a request that has passed its row's checks.
using Handler = void (*)(ConnectionState& state, Message& message, Finish finish);

// A Handler from a function that never has to wait.
template <Outcome (*kHandle)(ConnectionState& state, Message& message)>
void AtOnce(ConnectionState& state, Message& message, Finish finish) {
  finish(kHandle(state, message));
}

}  // namespace fsd::vhost_user

#endif  // FSD_SERVER_VHOST_USER_CONNECTION_STATE_H_
