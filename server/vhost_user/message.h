// The vhost-user protocol on the wire: headers, payloads and request numbers. No logic.
//
// Numbers are in the host's byte order. Source: vhost-user specification (QEMU,
// docs/interop/vhost-user.rst), "Message Specification", "Front-end message types" and "Back-end
// message types".
#ifndef FSD_SERVER_VHOST_USER_MESSAGE_H_
#define FSD_SERVER_VHOST_USER_MESSAGE_H_

#include <cstddef>
#include <cstdint>

namespace fsd::vhost_user {

// "Header".
struct MessageHeader {
  uint32_t request = 0;
  uint32_t flags = 0;
  uint32_t size = 0;  // bytes of the body that follows
};
static_assert(sizeof(MessageHeader) == 12);

inline constexpr uint32_t kVersionMask = 0x3;
inline constexpr uint32_t kVersion = 0x1;
inline constexpr uint32_t kReplyFlag = 1u << 2;
inline constexpr uint32_t kNeedReplyFlag = 1u << 3;

// Requests of the front-end.
enum class FrontendRequest : uint32_t {
  kGetFeatures = 1,
  kSetFeatures = 2,
  kSetOwner = 3,
  kResetOwner = 4,
  kSetMemTable = 5,
  kSetLogBase = 6,
  kSetLogFd = 7,
  kSetVringNum = 8,
  kSetVringAddr = 9,
  kSetVringBase = 10,
  kGetVringBase = 11,
  kSetVringKick = 12,
  kSetVringCall = 13,
  kSetVringErr = 14,
  kGetProtocolFeatures = 15,
  kSetProtocolFeatures = 16,
  kGetQueueNum = 17,
  kSetVringEnable = 18,
  kSendRarp = 19,
  kNetSetMtu = 20,
  kSetBackendReqFd = 21,
  kIotlbMsg = 22,
  kSetVringEndian = 23,
  kGetConfig = 24,
  kSetConfig = 25,
  kCreateCryptoSession = 26,
  kCloseCryptoSession = 27,
  kPostcopyAdvise = 28,
  kPostcopyListen = 29,
  kPostcopyEnd = 30,
  kGetInflightFd = 31,
  kSetInflightFd = 32,
  kGpuSetSocket = 33,
  kResetDevice = 34,
  kVringKick = 35,
  kGetMaxMemSlots = 36,
  kAddMemReg = 37,
  kRemMemReg = 38,
  kSetStatus = 39,
  kGetStatus = 40,
  kGetSharedObject = 41,
  kSetDeviceStateFd = 42,
  kCheckDeviceState = 43,
  kGetShmemConfig = 44,
};

// Requests of the back-end, on the channel of SET_BACKEND_REQ_FD.
enum class BackendRequest : uint32_t {
  kIotlbMsg = 1,
  kConfigChangeMsg = 2,
  kVringHostNotifierMsg = 3,
  kVringCall = 4,
  kVringErr = 5,
  kSharedObjectAdd = 6,
  kSharedObjectRemove = 7,
  kSharedObjectLookup = 8,
  kShmemMap = 9,
  kShmemUnmap = 10,
};

// "A single 64-bit integer". SET_VRING_KICK, CALL and ERR: the vring's index and a flag.
inline constexpr uint64_t kVringIndexMask = 0xff;
inline constexpr uint64_t kVringNoFdFlag = 1u << 8;

// "A vring state description".
struct VringState {
  uint32_t index = 0;
  uint32_t num = 0;
};
static_assert(sizeof(VringState) == 8);

// "A vring address description". Addresses are the front-end's own; log is the guest's.
struct VringAddress {
  uint32_t index = 0;
  uint32_t flags = 0;
  uint64_t descriptor = 0;
  uint64_t used = 0;
  uint64_t available = 0;
  uint64_t log = 0;
};
static_assert(sizeof(VringAddress) == 40);
inline constexpr uint32_t kVringLogFlag = 1u << 0;  // VHOST_VRING_F_LOG

// "Memory region description".
struct MemoryRegion {
  uint64_t guest_address = 0;
  uint64_t size = 0;
  uint64_t user_address = 0;
  uint64_t mmap_offset = 0;
};
static_assert(sizeof(MemoryRegion) == 32);

// "Single memory region description".
struct SingleMemoryRegion {
  uint64_t padding = 0;
  MemoryRegion region;
};
static_assert(sizeof(SingleMemoryRegion) == 40);

// "Multiple memory regions description". The specification speaks of 8 regions; cloud-hypervisor
// and crosvm send up to 32.
inline constexpr size_t kMaxTableRegions = 32;
struct MemoryTable {
  uint32_t count = 0;
  uint32_t padding = 0;
  MemoryRegion regions[kMaxTableRegions];
};
inline constexpr size_t kMemoryTableHeaderBytes = 8;
static_assert(sizeof(MemoryTable) ==
              kMemoryTableHeaderBytes + kMaxTableRegions * sizeof(MemoryRegion));

// "Log description".
struct LogDescription {
  uint64_t size = 0;
  uint64_t offset = 0;
};
static_assert(sizeof(LogDescription) == 16);

// "Virtio device config space"; `size` bytes follow. QEMU asks for 256 at most.
struct ConfigHeader {
  uint32_t offset = 0;
  uint32_t size = 0;
  uint32_t flags = 0;
};
static_assert(sizeof(ConfigHeader) == 12);
inline constexpr size_t kMaxConfigBytes = 256;

// The largest body and the most descriptors that a legal request can have.
inline constexpr size_t kMaxBodyBytes = sizeof(MemoryTable);
inline constexpr size_t kMaxMessageFds = kMaxTableRegions;

}  // namespace fsd::vhost_user

#endif  // FSD_SERVER_VHOST_USER_MESSAGE_H_
