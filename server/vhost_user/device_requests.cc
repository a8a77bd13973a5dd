#include "server/vhost_user/device_requests.h"

#include <cstring>
#include <utility>

#include "absl/strings/str_format.h"
#include "server/telemetry/log.h"
#include "server/vhost_user/features.h"

namespace fsd::vhost_user {
namespace {

absl::Status RefuseUnoffered(uint64_t wanted, uint64_t offered) {
  if ((wanted & ~offered) == 0) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrFormat("features 0x%x, of which 0x%x were not offered", wanted, wanted & ~offered));
}

}  // namespace

Outcome SetOwner(ConnectionState& state, Message&) {
  state.owned = true;
  return absl::OkStatus();
}

Outcome ResetOwner(ConnectionState& state, Message&) {
  FSD_LOG(kInfo, state.export_name, "front-end sent RESET_OWNER, which is deprecated: ignored");
  return absl::OkStatus();
}

Outcome GetFeatures(ConnectionState&, Message&) { return Outcome::Reply(kOfferedVirtioFeatures); }

Outcome SetFeatures(ConnectionState& state, Message& message) {
  const auto wanted = message.As<uint64_t>();
  if (absl::Status status = RefuseUnoffered(wanted, kOfferedVirtioFeatures); !status.ok()) {
    return status;
  }
  const uint64_t changed = wanted ^ state.virtio_features;
  state.virtio_features = wanted;
  if ((changed & kLogAll) != 0) {
    state.device.SetDirtyLog(state.negotiated(kLogAll) ? state.log : nullptr);
  }
  if (state.negotiated(kProtocolFeatures)) return absl::OkStatus();
  // "Ring states": without that bit there is no SET_VRING_ENABLE.
  for (size_t i = 0; i < state.vrings.size(); ++i) {
    if (std::exchange(state.vrings[i].enabled, true)) continue;
    state.device.SetVringEnabled(i, true);
  }
  return absl::OkStatus();
}

Outcome GetProtocolFeatures(ConnectionState& state, Message&) {
  return Outcome::Reply(state.offered_protocol_features);
}

Outcome SetProtocolFeatures(ConnectionState& state, Message& message) {
  const auto wanted = message.As<uint64_t>();
  if (absl::Status status = RefuseUnoffered(wanted, state.offered_protocol_features);
      !status.ok()) {
    return status;
  }
  state.protocol_features = wanted;
  return absl::OkStatus();
}

Outcome GetQueueNum(ConnectionState& state, Message&) {
  return Outcome::Reply(uint64_t{state.vrings.size()});
}

Outcome GetConfig(ConnectionState& state, Message& message) {
  const auto wanted = message.As<ConfigHeader>();
  const std::span<const std::byte> config = state.device.config();
  if (wanted.offset > config.size() || wanted.size > config.size() - wanted.offset) {
    return absl::OutOfRangeError(
        absl::StrFormat("bytes %u to %u of a configuration of %u bytes", wanted.offset,
                        uint64_t{wanted.offset} + wanted.size, config.size()));
  }
  std::vector<std::byte> reply(sizeof wanted + wanted.size);
  std::memcpy(reply.data(), &wanted, sizeof wanted);
  if (wanted.size != 0) {
    std::memcpy(reply.data() + sizeof wanted, config.data() + wanted.offset, wanted.size);
  }
  return Outcome::Reply(std::move(reply));
}

Outcome SetConfig(ConnectionState&, Message&) {
  return absl::PermissionDeniedError("the device's configuration is read-only");
}

Outcome SetBackendRequestChannel(ConnectionState& state, Message& message) {
  state.backend_request_channel = std::move(message.fds.front());
  return absl::OkStatus();
}

void ResetDevice(ConnectionState& state, Message&, Finish finish) {
  for (size_t i = 0; i < state.vrings.size(); ++i) {
    if (!std::exchange(state.vrings[i].enabled, false)) continue;
    state.device.SetVringEnabled(i, false);
  }
  state.device.Reset(state.WhileAlive([&state, finish = std::move(finish)] {
    for (Vring& vring : state.vrings) vring = Vring{};
    for (os::UniqueFd& kick : state.kicks) kick.reset();
    if (state.negotiated(kLogAll)) state.device.SetDirtyLog(nullptr);
    state.virtio_features &= kProtocolFeatures;  // a matter of the connection, not of the device
    finish(absl::OkStatus());
  }));
}

Outcome NotServed(ConnectionState&, Message&) {
  return absl::UnimplementedError("not a request for a virtio-fs device");
}

}  // namespace fsd::vhost_user
