// Session: a mounted guest, for building scripts.
#ifndef FSD_TESTS_BENCH_SESSION_H_
#define FSD_TESTS_BENCH_SESSION_H_

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "absl/status/statusor.h"
#include "tests/harness/front_end.h"
#include "tests/harness/fuse_client.h"

namespace fsd::bench {

class Session {
 public:
  // Says INIT as Linux does.
  static absl::StatusOr<Session> Mount(harness::FrontEnd& front_end);

  absl::StatusOr<uint64_t> Lookup(uint64_t parent, std::string_view name);
  // A handle of a file or directory.
  absl::StatusOr<uint64_t> Open(uint64_t node, uint32_t flags);
  absl::StatusOr<uint64_t> OpenDirectory(uint64_t node);
  harness::FuseClient& fuse() { return fuse_; }
  // The most that one READ or WRITE may carry.
  size_t max_transfer() const { return max_transfer_; }

 private:
  explicit Session(harness::FrontEnd& front_end) : fuse_(front_end) {}
  harness::FuseClient fuse_;
  size_t max_transfer_ = 0;
};

}  // namespace fsd::bench

#endif  // FSD_TESTS_BENCH_SESSION_H_
