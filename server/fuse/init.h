// FUSE_INIT: what we and a guest agree on. Pure; the session's state is mount.h's matter.
#ifndef FSD_SERVER_FUSE_INIT_H_
#define FSD_SERVER_FUSE_INIT_H_

#include <cstddef>
#include <cstdint>
#include <optional>

#include "server/errors/errno_or.h"
#include "server/fuse/abi.h"
#include "server/fuse/session_options.h"

namespace fsd::fuse {

// What was agreed with the guest at INIT.
struct NegotiatedInit {
  uint32_t major = 0;
  uint32_t minor = 0;
  uint64_t flags = 0;  // FUSE_* INIT flags, INIT_EXT's upper half included
  uint32_t max_write_bytes = 0;
};

struct InitReply {
  fuse_init_out out{};
  // Absent if the guest speaks a newer major version: it is told ours and sends another INIT.
  // Absent too if it is to be refused for what it lacks.
  std::optional<NegotiatedInit> agreed;
  // The name of the flag that the options demand and the guest does not offer.
  const char* lacks = nullptr;
};

// The most that one WRITE or READ carries, and the same in the guest's pages.
inline constexpr uint32_t kMaxWriteBytes = 1 << 20;
inline constexpr uint16_t kMaxPages = 256;

// Answers the first `in_bytes` bytes of `in`, the rest being zero. EINVAL: INIT_EXT is set in a
// body too short for it. EPROTO: a version older than 7.kOldestMinor.
ErrnoOr<InitReply> NegotiateInit(const fuse_init_in& in, size_t in_bytes,
                                 const SessionOptions& options);

}  // namespace fsd::fuse

#endif  // FSD_SERVER_FUSE_INIT_H_
