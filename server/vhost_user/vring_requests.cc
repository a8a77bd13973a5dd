#include "server/vhost_user/vring_requests.h"

#include <fcntl.h>

#include <utility>

#include "absl/strings/str_format.h"
#include "server/errors/status_macros.h"
#include "server/vhost_user/features.h"

namespace fsd::vhost_user {
namespace {

size_t IndexOf(const Message& message) {
  return static_cast<size_t>(message.As<uint64_t>() & kVringIndexMask);
}

// The descriptor that SET_VRING_CALL, KICK or ERR brings; none if the front-end polls.
os::UniqueFd FdOf(Message& message) {
  return message.fds.empty() ? os::UniqueFd() : std::move(message.fds.front());
}

absl::Status Start(ConnectionState& state, size_t index) {
  Vring& vring = state.vrings[index];
  VringStart start{.setup = SetupOf(vring, state.virtio_features), .kick = {}};
  // The device gets a copy, so that the ring can be restarted.
  if (const int kick = state.kicks[index].get(); kick >= 0) {
    start.kick.reset(::fcntl(kick, F_DUPFD_CLOEXEC, 0));
    if (!start.kick.valid()) return ErrnoStatus(Errno::Last(), "duplicate the kick's descriptor");
  }
  FSD_RETURN_IF_ERROR(state.device.StartVring(index, std::move(start)));
  vring.running = true;
  if (!state.negotiated(kProtocolFeatures) && !std::exchange(vring.enabled, true)) {
    state.device.SetVringEnabled(index, true);
  }
  return absl::OkStatus();
}

absl::Status StartIfComplete(ConnectionState& state, size_t index) {
  Vring& vring = state.vrings[index];
  if (vring.running || !Complete(vring)) return absl::OkStatus();
  absl::Status status = Start(state, index);
  if (!status.ok()) {
    vring.kicked = false;
    state.kicks[index].reset();
  }
  return status;
}

// Stops the vring if it runs, then calls `then`.
void Stop(ConnectionState& state, size_t index, std::function<void()> then) {
  if (!state.vrings[index].running) {
    then();
    return;
  }
  state.device.StopVring(
      index, state.WhileAlive([&state, index, then = std::move(then)](uint16_t next_available) {
        MarkStopped(state.vrings[index], next_available);
        then();
      }));
}

// Lets what has been set take effect: starts the vring where that was all it lacked, or restarts
// it.
void Apply(ConnectionState& state, size_t index, Finish finish) {
  const bool was_running = state.vrings[index].running;
  Stop(state, index, [&state, index, was_running, finish = std::move(finish)] {
    if (was_running) state.vrings[index].kicked = true;
    finish(StartIfComplete(state, index));
  });
}

}  // namespace

void SetVringNum(ConnectionState& state, Message& message, Finish finish) {
  const auto wanted = message.As<VringState>();
  Stop(state, wanted.index, [&state, wanted, finish = std::move(finish)] {
    const absl::Status status = SetSize(state.vrings[wanted.index], wanted.num);
    finish(status.ok() ? StartIfComplete(state, wanted.index) : status);
  });
}

void SetVringBase(ConnectionState& state, Message& message, Finish finish) {
  const auto wanted = message.As<VringState>();
  Stop(state, wanted.index, [&state, wanted, finish = std::move(finish)] {
    finish(SetBase(state.vrings[wanted.index], wanted.num));
  });
}

void SetVringAddr(ConnectionState& state, Message& message, Finish finish) {
  const auto wanted = message.As<VringAddress>();
  if (!SetAddresses(state.vrings[wanted.index], wanted)) {
    finish(absl::OkStatus());
    return;
  }
  Apply(state, wanted.index, std::move(finish));
}

void SetVringKick(ConnectionState& state, Message& message, Finish finish) {
  const size_t index = IndexOf(message);
  state.kicks[index] = FdOf(message);
  state.vrings[index].kicked = true;
  Apply(state, index, std::move(finish));
}

void GetVringBase(ConnectionState& state, Message& message, Finish finish) {
  const size_t index = message.As<VringState>().index;
  Stop(state, index, [&state, index, finish = std::move(finish)] {
    Vring& vring = state.vrings[index];
    vring.kicked = false;
    state.kicks[index].reset();
    finish(Outcome::Reply(VringState{.index = static_cast<uint32_t>(index), .num = vring.base}));
  });
}

Outcome SetVringCall(ConnectionState& state, Message& message) {
  state.device.SetVringCall(IndexOf(message), FdOf(message));
  return absl::OkStatus();
}

Outcome SetVringErr(ConnectionState& state, Message& message) {
  state.device.SetVringError(IndexOf(message), FdOf(message));
  return absl::OkStatus();
}

Outcome SetVringEnable(ConnectionState& state, Message& message) {
  const auto wanted = message.As<VringState>();
  if (wanted.num > 1) return absl::InvalidArgumentError(absl::StrFormat("state %u", wanted.num));
  const bool enable = wanted.num == 1;
  if (std::exchange(state.vrings[wanted.index].enabled, enable) != enable) {
    state.device.SetVringEnabled(wanted.index, enable);
  }
  return absl::OkStatus();
}

}  // namespace fsd::vhost_user
