// Workloads: what a lane asks for, and the bare system calls that any server needs for it.
//
// A table; each row says how its script is built against a mounted session, and which system
// calls stand for it.
#ifndef FSD_TESTS_BENCH_WORKLOAD_H_
#define FSD_TESTS_BENCH_WORKLOAD_H_

#include <cstddef>
#include <span>
#include <string_view>

#include "absl/status/statusor.h"
#include "tests/bench/bare_context.h"
#include "tests/bench/load.h"
#include "tests/bench/session.h"

namespace fsd::bench {

// CPU per request of fsd in one session at a depth above 1, vring polled:
enum class Target {
  kNone,
  kHalfOfPeers,  // half of the better peer's, or 1.3 of the bare calls + 0.2 us if that is more
  kMostOfPeers,  // 0.7 of the better peer's, or the same
  kBare,         // 1.1 of the bare calls
};

struct Workload {
  std::string_view name;  // for the table and --only
  Target target;
  bool xattr;  // needs back-ends that serve extended attributes
  // Runs in a tmpfs. ext4 gives no inode out again for some seconds, and looks at all such at each
  // CREATE: there the fastest, and whoever comes next, would pay the most.
  bool in_memory;
  absl::StatusOr<Script> (*script)(Session& session, size_t lane, size_t lanes);
  // One turn of the system calls: the number of requests it stands for, 0 on failure. Null: none.
  size_t (*bare)(BareContext& context);
};

std::span<const Workload> Workloads();

}  // namespace fsd::bench

#endif  // FSD_TESTS_BENCH_WORKLOAD_H_
