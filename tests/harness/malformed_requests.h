// MalformedRequests: FUSE requests as no driver sends them.
//
// Each starts as one that a guest might send, to nodes and handles that the server has given or has
// not, and has one or two things done to its lengths, numbers or names. The same seed makes the
// same requests, as far as the server gives the same answers. One thread.
#ifndef FSD_TESTS_HARNESS_MALFORMED_REQUESTS_H_
#define FSD_TESTS_HARNESS_MALFORMED_REQUESTS_H_

#include <cstddef>
#include <cstdint>
#include <random>
#include <span>
#include <vector>

namespace fsd::harness {

class MalformedRequests {
 public:
  static constexpr size_t kMaxBytes = 4096;
  static constexpr size_t kMaxReplyBytes = 2048;

  struct Request {
    std::vector<std::byte> bytes;
    size_t reply_bytes = 0;  // the room that it has for its reply
  };

  explicit MalformedRequests(uint64_t seed);

  // A request without a fault of its own: for a chain that has one.
  Request MakeSound();
  Request Make();
  // Keeps what a good reply to `opcode` has given, for later requests. `body` follows its header.
  void Remember(uint32_t opcode, std::span<const std::byte> body);
  // A session has begun anew, so that what was given is worth nothing.
  void Forget();

 private:
  uint64_t Random(uint64_t below) { return below == 0 ? 0 : random_() % below; }
  bool Chance(int percent) { return Random(100) < static_cast<uint64_t>(percent); }
  uint64_t AnyNode();
  uint64_t AnyNumber();
  void AppendName(std::vector<std::byte>& request);
  void Corrupt(Request& request);

  std::mt19937_64 random_;
  // Some that the server has given.
  std::vector<uint64_t> nodes_;
  std::vector<uint64_t> handles_;
};

}  // namespace fsd::harness

#endif  // FSD_TESTS_HARNESS_MALFORMED_REQUESTS_H_
