// SipHash-2-4 (Aumasson, Bernstein: "SipHash: a fast short-input PRF", 2012): a keyed hash that
// nobody without the key can compute, of 64 bits.
#ifndef FSD_SERVER_WORKER_SIP_HASH_H_
#define FSD_SERVER_WORKER_SIP_HASH_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

namespace fsd::worker {

// The 128-bit key, as the paper's k0 and k1.
using SipHashKey = std::array<uint64_t, 2>;

uint64_t SipHash(const SipHashKey& key, std::span<const std::byte> data);

}  // namespace fsd::worker

#endif  // FSD_SERVER_WORKER_SIP_HASH_H_
