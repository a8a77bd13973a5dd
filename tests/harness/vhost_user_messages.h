// The messages of a VMM, as the tests' front-ends write them (vhost-user, "Front-end message
// types"): written anew, so that a mistake in the server's own is not one here.
#ifndef FSD_TESTS_HARNESS_VHOST_USER_MESSAGES_H_
#define FSD_TESTS_HARNESS_VHOST_USER_MESSAGES_H_

#include <cstdint>

namespace fsd::harness {

enum Request : uint32_t {
  kGetFeatures = 1,
  kSetFeatures = 2,
  kSetOwner = 3,
  kSetMemTable = 5,
  kSetLogBase = 6,
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
  kResetDevice = 34,
  kAddMemReg = 37,
  kRemMemReg = 38,
  kLastRequest = 44,
};

// Of Header.flags.
inline constexpr uint32_t kVersion = 1;

struct Header {
  uint32_t request;
  uint32_t flags;
  uint32_t size;  // of the body, in bytes
};
struct VringState {
  uint32_t index;
  uint32_t value;
};
struct VringAddress {
  uint32_t index;
  uint32_t flags;
  uint64_t descriptors;
  uint64_t used;
  uint64_t available;
  uint64_t log;
};
static_assert(sizeof(Header) == 12 && sizeof(VringState) == 8 && sizeof(VringAddress) == 40);

}  // namespace fsd::harness

#endif  // FSD_TESTS_HARNESS_VHOST_USER_MESSAGES_H_
