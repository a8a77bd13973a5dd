// Feature bits of virtio and of the vhost-user protocol, and which of them we offer.
#ifndef FSD_SERVER_VHOST_USER_FEATURES_H_
#define FSD_SERVER_VHOST_USER_FEATURES_H_

#include <cstdint>

namespace fsd::vhost_user {

// GET_FEATURES and SET_FEATURES: bits of virtio 1.2 §6, and two of vhost's own in its reserved
// range (vhost-user, "Migration" and "Communication").
enum VirtioFeature : uint64_t {
  kLogAll = 1ull << 26,            // VHOST_F_LOG_ALL
  kRingIndirectDesc = 1ull << 28,  // VIRTIO_RING_F_INDIRECT_DESC
  kRingEventIndex = 1ull << 29,    // VIRTIO_RING_F_EVENT_IDX
  kProtocolFeatures = 1ull << 30,  // VHOST_USER_F_PROTOCOL_FEATURES
  kVersion1 = 1ull << 32,          // VIRTIO_F_VERSION_1
  kAccessPlatform = 1ull << 33,    // VIRTIO_F_ACCESS_PLATFORM
};

inline constexpr uint64_t kOfferedVirtioFeatures =
    kLogAll | kRingIndirectDesc | kRingEventIndex | kProtocolFeatures | kVersion1;

// GET_PROTOCOL_FEATURES and SET_PROTOCOL_FEATURES (vhost-user, "Protocol features"). SHMEM has the
// number that QEMU's own header gives it.
enum ProtocolFeature : uint64_t {
  kMq = 1ull << 0,
  kLogShmfd = 1ull << 1,
  kRarp = 1ull << 2,
  kReplyAck = 1ull << 3,
  kMtu = 1ull << 4,
  kBackendReq = 1ull << 5,
  kCrossEndian = 1ull << 6,
  kCryptoSession = 1ull << 7,
  kPagefault = 1ull << 8,
  kConfig = 1ull << 9,
  kBackendSendFd = 1ull << 10,
  kHostNotifier = 1ull << 11,
  kInflightShmfd = 1ull << 12,
  kResetDevice = 1ull << 13,
  kInbandNotifications = 1ull << 14,
  kConfigureMemSlots = 1ull << 15,
  kStatus = 1ull << 16,
  kXenMmap = 1ull << 17,
  kSharedObject = 1ull << 18,
  kDeviceState = 1ull << 19,
  kShmem = 1ull << 22,
};

// kConfig is not among them: some QEMU crash when a vhost-user-fs back-end offers it, so an export
// has to ask for it.
inline constexpr uint64_t kOfferedProtocolFeatures =
    kMq | kLogShmfd | kReplyAck | kBackendReq | kBackendSendFd | kResetDevice | kConfigureMemSlots;

}  // namespace fsd::vhost_user

#endif  // FSD_SERVER_VHOST_USER_FEATURES_H_
