// ProcessUsage: what processes cost the machine while they do nothing.
//
// One thread. A process that ends meanwhile counts with what was read of it.
#ifndef FSD_TESTS_BENCH_PROCESS_USAGE_H_
#define FSD_TESTS_BENCH_PROCESS_USAGE_H_

#include <sys/types.h>

#include <cstdint>
#include <vector>

namespace fsd::bench {

struct ProcessUsage {
  int64_t processes = 0;
  int64_t threads = 0;
  // Each table of descriptors once, if a process shares it with its parent.
  int64_t fds = 0;
  // Proportional: a page that n processes map counts 1/n for each (smaps_rollup).
  int64_t pss_kib = 0;
  int64_t pss_anonymous_kib = 0;
  int64_t pss_file_kib = 0;
  int64_t pss_shared_memory_kib = 0;
  int64_t page_tables_kib = 0;

  friend bool operator==(const ProcessUsage&, const ProcessUsage&) = default;
};

// The children of `root`, their children and so on, as they are now.
std::vector<pid_t> ProcessesBelow(pid_t root);

enum class Memory { kLeftOut, kIncluded };  // reading it takes a millisecond a process
ProcessUsage UsageOf(const std::vector<pid_t>& processes, Memory memory);

// What the kernel could still give to processes (MemAvailable).
int64_t AvailableMemoryKib();

}  // namespace fsd::bench

#endif  // FSD_TESTS_BENCH_PROCESS_USAGE_H_
