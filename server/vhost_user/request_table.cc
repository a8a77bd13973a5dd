#include "server/vhost_user/request_table.h"

#include <iterator>

#include "absl/strings/str_format.h"
#include "server/errors/status_macros.h"
#include "server/vhost_user/device_requests.h"
#include "server/vhost_user/features.h"
#include "server/vhost_user/memory_requests.h"
#include "server/vhost_user/vring_requests.h"

namespace fsd::vhost_user {
namespace {

template <typename T>
constexpr BodySize kIs = {sizeof(T), sizeof(T)};
constexpr BodySize kEmpty = {0, 0};
constexpr BodySize kU64 = kIs<uint64_t>;
constexpr BodySize kState = kIs<VringState>;
// User Mode Linux sends room for two regions when it has one, so this is no exact size.
constexpr BodySize kTable = {kMemoryTableHeaderBytes, sizeof(MemoryTable)};
constexpr BodySize kConfigSpace = {sizeof(ConfigHeader), sizeof(ConfigHeader) + kMaxConfigBytes};
// Of requests that are refused anyway.
constexpr BodySize kAnySize = {0, kMaxBodyBytes};

// A request that belongs to a feature we never offer.
constexpr RequestRow Unoffered(FrontendRequest request, std::string_view name,
                               uint64_t protocol_feature, uint64_t virtio_feature, Answer answer,
                               OnRefusal on_refusal) {
  return {.request = request,
          .name = name,
          .body = kAnySize,
          .protocol_feature = protocol_feature,
          .virtio_feature = virtio_feature,
          .phase = Phase::kAnyTime,
          .vring = VringField::kNone,
          .vring_must_be = VringMustBe::kAnything,
          .fds = Fds::kAny,
          .handler = AtOnce<NotServed>,
          .answer = answer,
          .on_refusal = on_refusal};
}

using enum FrontendRequest;
using enum VringField;
using enum VringMustBe;
using enum Answer;
using enum OnRefusal;
using enum Phase;
constexpr Fds kNoFds = Fds::kNone;
constexpr Fds kOneFd = Fds::kOne;
constexpr VringField kNoVring = VringField::kNone;

// clang-format off
constexpr RequestRow kTableOfRequests[] = {
  {kGetFeatures, "GET_FEATURES", kEmpty, 0, 0, kAnyTime,
   kNoVring, kAnything, kNoFds, AtOnce<GetFeatures>, kOwn, kClose},
  {kSetFeatures, "SET_FEATURES", kU64, 0, 0, kAfterOwner,
   kNoVring, kAnything, kNoFds, AtOnce<SetFeatures>, kAckIfAsked, kClose},
  {kSetOwner, "SET_OWNER", kEmpty, 0, 0, kBeforeOwner,
   kNoVring, kAnything, kNoFds, AtOnce<SetOwner>, kAckIfAsked, kIgnore},
  {kResetOwner, "RESET_OWNER", kEmpty, 0, 0, kAnyTime,
   kNoVring, kAnything, kNoFds, AtOnce<ResetOwner>, kAckIfAsked, kIgnore},
  {kSetMemTable, "SET_MEM_TABLE", kTable, 0, 0, kAfterOwner,
   kNoVring, kAnything, Fds::kOnePerRegion, SetMemTable, kAckIfAsked, kClose},
  // QEMU waits for a reply of any size, rust-vmm's front-ends for an acknowledgement.
  {kSetLogBase, "SET_LOG_BASE", kIs<LogDescription>, kLogShmfd, 0, kAfterOwner,
   kNoVring, kAnything, kOneFd, AtOnce<SetLogBase>, kAck, kClose},
  {kSetLogFd, "SET_LOG_FD", {0, sizeof(uint64_t)}, 0, 0, kAfterOwner,
   kNoVring, kAnything, kOneFd, AtOnce<SetLogFd>, kAckIfAsked, kIgnore},
  {kSetVringNum, "SET_VRING_NUM", kState, 0, 0, kAfterOwner,
   kIndexWord, kStoppedOrDisabled, kNoFds, SetVringNum, kAckIfAsked, kClose},
  {kSetVringAddr, "SET_VRING_ADDR", kIs<VringAddress>, 0, 0, kAfterOwner,
   kIndexWord, kAnything, kNoFds, SetVringAddr, kAckIfAsked, kClose},
  {kSetVringBase, "SET_VRING_BASE", kState, 0, 0, kAfterOwner,
   kIndexWord, kStoppedOrDisabled, kNoFds, SetVringBase, kAckIfAsked, kClose},
  {kGetVringBase, "GET_VRING_BASE", kState, 0, 0, kAfterOwner,
   kIndexWord, kAnything, kNoFds, GetVringBase, kOwn, kClose},
  // A ring that a guest has put where it cannot be run stays stopped; the guest can start anew.
  {kSetVringKick, "SET_VRING_KICK", kU64, 0, 0, kAfterOwner,
   kIndexByte, kAnything, Fds::kOneUnlessFlagged, SetVringKick, kAckIfAsked, kIgnore},
  {kSetVringCall, "SET_VRING_CALL", kU64, 0, 0, kAfterOwner,
   kIndexByte, kAnything, Fds::kOneUnlessFlagged, AtOnce<SetVringCall>, kAckIfAsked, kIgnore},
  {kSetVringErr, "SET_VRING_ERR", kU64, 0, 0, kAfterOwner,
   kIndexByte, kAnything, Fds::kOneUnlessFlagged, AtOnce<SetVringErr>, kAckIfAsked, kIgnore},
  {kGetProtocolFeatures, "GET_PROTOCOL_FEATURES", kEmpty, 0, 0, kAnyTime,
   kNoVring, kAnything, kNoFds, AtOnce<GetProtocolFeatures>, kOwn, kClose},
  {kSetProtocolFeatures, "SET_PROTOCOL_FEATURES", kU64, 0, 0, kAnyTime,
   kNoVring, kAnything, kNoFds, AtOnce<SetProtocolFeatures>, kAckIfAsked, kClose},
  {kGetQueueNum, "GET_QUEUE_NUM", kEmpty, kMq, 0, kAnyTime,
   kNoVring, kAnything, kNoFds, AtOnce<GetQueueNum>, kOwn, kClose},
  {kSetVringEnable, "SET_VRING_ENABLE", kState, 0, kProtocolFeatures, kAfterOwner,
   kIndexWord, kAnything, kNoFds, AtOnce<SetVringEnable>, kAckIfAsked, kIgnore},
  Unoffered(kSendRarp, "SEND_RARP", kRarp, 0, kAckIfAsked, kClose),
  Unoffered(kNetSetMtu, "NET_SET_MTU", kMtu, 0, kAckIfAsked, kClose),
  {kSetBackendReqFd, "SET_BACKEND_REQ_FD", kEmpty, kBackendReq, 0, kAnyTime,
   kNoVring, kAnything, kOneFd, AtOnce<SetBackendRequestChannel>, kAckIfAsked, kIgnore},
  Unoffered(kIotlbMsg, "IOTLB_MSG", 0, kAccessPlatform, kOwn, kErrorReply),
  Unoffered(kSetVringEndian, "SET_VRING_ENDIAN", kCrossEndian, 0, kAckIfAsked, kClose),
  {kGetConfig, "GET_CONFIG", kConfigSpace, kConfig, 0, kAnyTime,
   kNoVring, kAnything, kNoFds, AtOnce<GetConfig>, kOwn, kEmptyReply},
  {kSetConfig, "SET_CONFIG", kConfigSpace, kConfig, 0, kAnyTime,
   kNoVring, kAnything, kNoFds, AtOnce<SetConfig>, kAckIfAsked, kIgnore},
  Unoffered(kCreateCryptoSession, "CREATE_CRYPTO_SESSION", kCryptoSession, 0, kOwn, kEmptyReply),
  Unoffered(kCloseCryptoSession, "CLOSE_CRYPTO_SESSION", kCryptoSession, 0, kAckIfAsked, kClose),
  Unoffered(kPostcopyAdvise, "POSTCOPY_ADVISE", kPagefault, 0, kOwn, kEmptyReply),
  Unoffered(kPostcopyListen, "POSTCOPY_LISTEN", kPagefault, 0, kAckIfAsked, kClose),
  Unoffered(kPostcopyEnd, "POSTCOPY_END", kPagefault, 0, kOwn, kErrorReply),
  Unoffered(kGetInflightFd, "GET_INFLIGHT_FD", kInflightShmfd, 0, kOwn, kEmptyReply),
  Unoffered(kSetInflightFd, "SET_INFLIGHT_FD", kInflightShmfd, 0, kAckIfAsked, kClose),
  Unoffered(kGpuSetSocket, "GPU_SET_SOCKET", 0, 0, kAckIfAsked, kClose),
  {FrontendRequest::kResetDevice, "RESET_DEVICE", kEmpty, ProtocolFeature::kResetDevice, 0,
   kAfterOwner,
   kNoVring, kAnything, kNoFds, ResetDevice, kAckIfAsked, kClose},
  Unoffered(kVringKick, "VRING_KICK", kInbandNotifications, 0, kAckIfAsked, kClose),
  {kGetMaxMemSlots, "GET_MAX_MEM_SLOTS", kEmpty, kConfigureMemSlots, 0, kAnyTime,
   kNoVring, kAnything, kNoFds, AtOnce<GetMaxMemSlots>, kOwn, kClose},
  {kAddMemReg, "ADD_MEM_REG", kIs<SingleMemoryRegion>, kConfigureMemSlots, 0, kAfterOwner,
   kNoVring, kAnything, kOneFd, AddMemReg, kAckIfAsked, kClose},
  // A region that is not there is as gone as if it had been removed. QEMU sends a useless fd.
  {kRemMemReg, "REM_MEM_REG", kIs<SingleMemoryRegion>, kConfigureMemSlots, 0, kAfterOwner,
   kNoVring, kAnything, Fds::kNoneOrOne, RemMemReg, kAckIfAsked, kIgnore},
  Unoffered(kSetStatus, "SET_STATUS", kStatus, 0, kAckIfAsked, kClose),
  Unoffered(kGetStatus, "GET_STATUS", kStatus, 0, kOwn, kEmptyReply),
  Unoffered(kGetSharedObject, "GET_SHARED_OBJECT", ProtocolFeature::kSharedObject, 0,
            kOwn, kEmptyReply),
  Unoffered(kSetDeviceStateFd, "SET_DEVICE_STATE_FD", kDeviceState, 0, kOwn, kErrorReply),
  Unoffered(kCheckDeviceState, "CHECK_DEVICE_STATE", kDeviceState, 0, kOwn, kErrorReply),
  Unoffered(kGetShmemConfig, "GET_SHMEM_CONFIG", kShmem, 0, kOwn, kEmptyReply),
};
// clang-format on

constexpr bool InOrder() {
  uint32_t number = 0;
  for (const RequestRow& row : kTableOfRequests) {
    if (static_cast<uint32_t>(row.request) != ++number) return false;
  }
  return true;
}
static_assert(InOrder(), "row n is request n + 1");

absl::Status CheckBody(const RequestRow& row, const Message& message) {
  const size_t size = message.body.size();
  if (size >= row.body.min && size <= row.body.max) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrFormat("a body of %u bytes instead of %u to %u", size, row.body.min, row.body.max));
}

absl::Status CheckNegotiated(const RequestRow& row, const ConnectionState& state) {
  if ((state.protocol_features & row.protocol_feature) != row.protocol_feature) {
    return absl::FailedPreconditionError(
        absl::StrFormat("protocol feature 0x%x is not negotiated", row.protocol_feature));
  }
  if ((state.virtio_features & row.virtio_feature) != row.virtio_feature) {
    return absl::FailedPreconditionError(
        absl::StrFormat("feature 0x%x is not negotiated", row.virtio_feature));
  }
  if (row.phase == kAfterOwner && !state.owned) {
    return absl::FailedPreconditionError("before SET_OWNER");
  }
  if (row.phase == kBeforeOwner && state.owned) {
    return absl::FailedPreconditionError("there is an owner already");
  }
  return absl::OkStatus();
}

absl::Status CheckVring(const RequestRow& row, const ConnectionState& state,
                        const Message& message) {
  if (row.vring == kNoVring) return absl::OkStatus();
  const uint64_t index =
      row.vring == kIndexWord ? message.As<uint32_t>() : message.As<uint64_t>() & kVringIndexMask;
  if (index >= state.vrings.size()) {
    return absl::InvalidArgumentError(
        absl::StrFormat("vring %u of %u", index, state.vrings.size()));
  }
  const Vring& vring = state.vrings[index];
  if (row.vring_must_be == kStoppedOrDisabled && vring.running && vring.enabled) {
    return absl::FailedPreconditionError(absl::StrFormat("vring %u is running", index));
  }
  return absl::OkStatus();
}

absl::Status CheckFds(const RequestRow& row, const Message& message) {
  size_t min = 0;
  size_t max = 0;
  switch (row.fds) {
    case Fds::kNone:
      break;
    case Fds::kOne:
      min = max = 1;
      break;
    case Fds::kNoneOrOne:
      max = 1;
      break;
    case Fds::kOneUnlessFlagged:
      min = max = (message.As<uint64_t>() & kVringNoFdFlag) == 0 ? 1 : 0;
      break;
    case Fds::kOnePerRegion: {
      const uint32_t count = message.As<uint32_t>();
      const size_t room = (message.body.size() - kMemoryTableHeaderBytes) / sizeof(MemoryRegion);
      if (count > room) {
        return absl::InvalidArgumentError(
            absl::StrFormat("%u regions in a body that has room for %u", count, room));
      }
      min = max = count;
      break;
    }
    case Fds::kAny:
      max = kMaxMessageFds;
      break;
  }
  const size_t count = message.fds.size();
  if (count >= min && count <= max) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrFormat("%u file descriptors instead of %u to %u", count, min, max));
}

}  // namespace

std::span<const RequestRow> RequestTable() { return kTableOfRequests; }

const RequestRow* FindRequest(uint32_t request) {
  if (request == 0 || request > std::size(kTableOfRequests)) return nullptr;
  return &kTableOfRequests[request - 1];
}

absl::Status CheckRequest(const RequestRow& row, const ConnectionState& state,
                          const Message& message) {
  FSD_RETURN_IF_ERROR(CheckBody(row, message));
  FSD_RETURN_IF_ERROR(CheckNegotiated(row, state));
  FSD_RETURN_IF_ERROR(CheckVring(row, state, message));
  return CheckFds(row, message);
}

}  // namespace fsd::vhost_user
