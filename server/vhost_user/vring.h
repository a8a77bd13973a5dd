// Vring: what a front-end has said of one vring, and what it is doing.
//
// A plain slot without pointers or descriptors, so that a table of them can live in memory that
// survives the process. "Running" and "enabled" are independent (vhost-user, "Ring states"):
//
//   request         | stopped                       | running, disabled  | running, enabled
//   ----------------+-------------------------------+--------------------+-----------------
//   SET_VRING_NUM   | taken                         | stops it first     | refused
//   SET_VRING_BASE  | taken                         | stops it first     | refused
//   SET_VRING_ADDR  | taken; starts it if kicked    | restarts it        | restarts it
//   SET_VRING_KICK  | starts it, once it is complete| restarts it        | restarts it
//   GET_VRING_BASE  | answers                       | stops it, answers  | stops it, answers
//
// (User Mode Linux never stops a ring: when its driver is bound anew it sends NUM and BASE for
// rings that it has only disabled.)
#ifndef FSD_SERVER_VHOST_USER_VRING_H_
#define FSD_SERVER_VHOST_USER_VRING_H_

#include <cstdint>
#include <type_traits>

#include "absl/status/status.h"
#include "server/vhost_user/message.h"
#include "server/virtqueue/virtqueue.h"

namespace fsd::vhost_user {

struct Vring {
  uint16_t size = 0;  // 0: not told yet
  uint16_t base = 0;  // where it starts, or was stopped
  bool addressed = false;
  bool logged = false;  // VHOST_VRING_F_LOG
  bool kicked = false;  // SET_VRING_KICK has come since it was stopped
  bool running = false;
  bool enabled = false;
  uint64_t descriptor = 0;
  uint64_t used = 0;
  uint64_t available = 0;
  uint64_t log = 0;
};
static_assert(std::is_trivially_copyable_v<Vring> && std::is_standard_layout_v<Vring>);

// For a stopped vring. INVALID_ARGUMENT: no power of two from 1 to 32768.
absl::Status SetSize(Vring& vring, uint32_t size);
// For a stopped vring. INVALID_ARGUMENT: more than 16 bits, as only packed rings have.
absl::Status SetBase(Vring& vring, uint32_t base);
// True if it says anything new. (Whether the addresses are guest memory shows when it is started.)
bool SetAddresses(Vring& vring, const VringAddress& address);

// Everything that starting needs has been said.
bool Complete(const Vring& vring);
// How to run it, with these virtio features.
virtqueue::VirtqueueSetup SetupOf(const Vring& vring, uint64_t virtio_features);

// It has been stopped before chain `next_available`.
void MarkStopped(Vring& vring, uint16_t next_available);

}  // namespace fsd::vhost_user

#endif  // FSD_SERVER_VHOST_USER_VRING_H_
