// BackEnd: a vhost-user-fs back-end under measurement, its own processes and what they cost.
//
// Serves one directory. fsd's is a worker of a real supervisor behind its jail; a peer's is the
// daemon with its default sandbox and seccomp. A peer ends with its front-end's connection, so
// each measurement starts one (Start) and ends it (Stop). One thread.
#ifndef FSD_TESTS_BENCH_BACK_END_H_
#define FSD_TESTS_BENCH_BACK_END_H_

#include <sys/types.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "tests/harness/running_supervisor.h"

namespace fsd::bench {

struct BackEndOptions {
  std::string directory;  // to serve
  bool xattr = false;     // extended attributes are served; off by default in all of them
  size_t vrings = 1;
};

class BackEnd {
 public:
  virtual ~BackEnd() = default;
  virtual std::string_view name() const = 0;
  // The socket to connect to. Stop must come before the next Start.
  virtual absl::StatusOr<std::string> Start(const BackEndOptions& options) = 0;
  virtual void Stop() = 0;
  // The process whose descendants, itself included, are the back-end.
  virtual pid_t pid() const = 0;
};

// `supervisor` must outlive it. `poll_us`: how long its threads spin before they sleep, 0 by
// default.
std::unique_ptr<BackEnd> MakeFsd(harness::RunningSupervisor& supervisor, uint32_t poll_us);
// QEMU 7.2's C virtiofsd, and the Rust one.
std::unique_ptr<BackEnd> MakeCVirtiofsd(std::string binary);
std::unique_ptr<BackEnd> MakeRustVirtiofsd(std::string binary);

// CPU time used so far by a process and its descendants.
struct CpuTime {
  int64_t clock_ns = 0;      // the processes' CPU clocks, threads that ended included
  int64_t schedstat_ns = 0;  // the living threads' schedstat
};
class ProcessTree {
 public:
  explicit ProcessTree(pid_t root);
  CpuTime Used() const;
  const std::vector<pid_t>& pids() const { return pids_; }

 private:
  std::vector<pid_t> pids_;
};

}  // namespace fsd::bench

#endif  // FSD_TESTS_BENCH_BACK_END_H_
