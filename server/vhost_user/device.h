// Device: what a vhost-user connection drives.
//
// The connection speaks the protocol, checks every message and keeps the vrings' set-up; the device
// runs the rings. All calls come on the connection's thread (the worker's control thread) and none
// may block: what has to wait for requests in flight answers through its callback, later, on the
// same thread. Until then the connection reads no further message, as the protocol is sequential.
#ifndef FSD_SERVER_VHOST_USER_DEVICE_H_
#define FSD_SERVER_VHOST_USER_DEVICE_H_

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>

#include "absl/status/status.h"
#include "server/os/unique_fd.h"
#include "server/virtqueue/dirty_log.h"
#include "server/virtqueue/guest_memory.h"
#include "server/virtqueue/virtqueue.h"

namespace fsd::vhost_user {

// A vring that is ready to run: its kick has come, so the set-up is complete.
struct VringStart {
  virtqueue::VirtqueueSetup setup;
  // Null if the front-end asked for polling (VHOST_USER_VRING_NOFD_MASK).
  os::UniqueFd kick;
};

class Device {
 public:
  virtual ~Device() = default;

  // Queues the device has, the high-priority one included (GET_QUEUE_NUM).
  virtual size_t queue_count() const = 0;
  // The virtio device's configuration space, little-endian (struct virtio_fs_config).
  virtual std::span<const std::byte> config() const = 0;

  // The memory table changed. Rings that run go on with the new table; requests in flight keep the
  // old one. `done` is called once no request uses a region that the new table lacks.
  virtual void SetMemory(std::shared_ptr<const virtqueue::GuestMemory> memory,
                         std::function<void()> done) = 0;
  // Where writes to guest memory are logged from now on; null for nowhere.
  virtual void SetDirtyLog(std::shared_ptr<const virtqueue::DirtyLog> log) = 0;

  // Starts a stopped vring; it serves only while enabled. An error leaves it stopped.
  virtual absl::Status StartVring(size_t index, VringStart start) = 0;
  // Takes no more from the ring and waits for its requests in flight. `done` gets the index of the
  // next chain that has not been popped.
  virtual void StopVring(size_t index, std::function<void(uint16_t next_available)> done) = 0;
  virtual void SetVringEnabled(size_t index, bool enabled) = 0;
  // The eventfds may be replaced at any time, also while the ring runs; an invalid one means none.
  virtual void SetVringCall(size_t index, os::UniqueFd call) = 0;
  virtual void SetVringError(size_t index, os::UniqueFd error) = 0;

  // RESET_DEVICE, or the end of the connection: stops and disables every ring (waiting for what is
  // in flight) and ends the guest's session. `done` is called when both are done. Call and error
  // eventfds stay: QEMU sends SET_VRING_ERR once, before its first RESET_DEVICE.
  virtual void Reset(std::function<void()> done) = 0;
};

}  // namespace fsd::vhost_user

#endif  // FSD_SERVER_VHOST_USER_DEVICE_H_
