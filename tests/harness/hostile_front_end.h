// HostileFrontEnd: a VMM that connects and says what no VMM says.
//
// Each connection begins well enough to be taken, then goes wrong in a way of its own: messages in
// any order, of any size, with any descriptors; memory tables that lie, overlap, are empty, odd or
// larger than their files; rings at absurd addresses; kicks that are no eventfds; and an end at any
// byte. The same seed makes the same connections. No file shrinks once it has been sent, so a
// worker has no reason to die. One thread.
#ifndef FSD_TESTS_HARNESS_HOSTILE_FRONT_END_H_
#define FSD_TESTS_HARNESS_HOSTILE_FRONT_END_H_

#include <cstddef>
#include <cstdint>
#include <random>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "server/os/unique_fd.h"

namespace fsd::harness {

class HostileFrontEnd {
 public:
  static absl::StatusOr<HostileFrontEnd> Create(std::string socket_path, uint64_t seed);

  // One connection, from its beginning to its end. False: the worker still had another front-end,
  // so this one came to nothing. A Status: it does not answer any more.
  absl::StatusOr<bool> Attack();

 private:
  struct Message {
    std::vector<std::byte> bytes;
    std::vector<int> fds;  // borrowed from fds_
  };

  HostileFrontEnd(std::string socket_path, uint64_t seed)
      : socket_path_(std::move(socket_path)), random_(seed) {}

  uint64_t Random(uint64_t below) { return below == 0 ? 0 : random_() % below; }
  bool Chance(int percent) { return Random(100) < static_cast<uint64_t>(percent); }
  uint64_t AnyNumber();
  int AnyFd();
  void Say(uint32_t request, std::vector<std::byte> body, std::vector<int> fds = {});
  template <typename T>
  void SayOf(uint32_t request, const T& body, std::vector<int> fds = {});
  void SayAnything();
  void Negotiate();
  void SayMemory(bool sane);
  void SayRing(uint32_t index, bool sane);
  void Plan();
  void Damage();
  // False: the other side is gone.
  bool Send(int socket, const Message& message, size_t bytes);

  std::string socket_path_;
  std::mt19937_64 random_;
  os::UniqueFd memory_;
  os::UniqueFd event_;
  std::vector<os::UniqueFd> fds_;  // of every kind
  std::vector<Message> messages_;
};

}  // namespace fsd::harness

#endif  // FSD_TESTS_HARNESS_HOSTILE_FRONT_END_H_
