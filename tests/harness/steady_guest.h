// SteadyGuest: a guest that goes on with its work, in a thread of its own, and looks closely at
// what it gets: each block that it writes has a pattern of its own and is read back.
#ifndef FSD_TESTS_HARNESS_STEADY_GUEST_H_
#define FSD_TESTS_HARNESS_STEADY_GUEST_H_

#include <atomic>
#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <thread>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "tests/harness/front_end.h"
#include "tests/harness/fuse_client.h"

namespace fsd::harness {

class SteadyGuest {
 public:
  struct Account {
    uint64_t requests = 0;
    std::chrono::milliseconds slowest{0};
    // The first request that failed, or whose answer was not what it had to be; it ends the work.
    absl::Status problem;
  };

  // Mounts the export behind the socket and begins.
  static absl::StatusOr<std::unique_ptr<SteadyGuest>> Start(const std::string& socket_path);
  ~SteadyGuest();

  uint64_t requests() const { return requests_.load(); }
  // Ends the work.
  Account Stop();

 private:
  explicit SteadyGuest(std::unique_ptr<FrontEnd> front_end);

  void Run();
  absl::Status Begin();
  absl::Status Round(uint64_t round);
  // `call`'s reply; an error if it fails or says one.
  template <typename Call>
  absl::StatusOr<FuseReply> Timed(const char* name, Call call);

  const std::unique_ptr<FrontEnd> front_end_;
  FuseClient fuse_;
  uint64_t node_ = 0;
  uint64_t handle_ = 0;
  std::atomic<bool> stopping_ = false;
  std::atomic<uint64_t> requests_ = 0;
  Account account_;  // the thread's, until it is joined
  std::thread thread_;
};

}  // namespace fsd::harness

#endif  // FSD_TESTS_HARNESS_STEADY_GUEST_H_
