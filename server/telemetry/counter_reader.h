// The supervisor's end of an export's counter file (export_counters.h).
//
// It reads, and maps nothing: looking at pages that no request has touched would give them memory.
#ifndef FSD_SERVER_TELEMETRY_COUNTER_READER_H_
#define FSD_SERVER_TELEMETRY_COUNTER_READER_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <map>

#include "server/errors/errno_or.h"
#include "server/telemetry/export_counters.h"

namespace fsd::telemetry {

struct OpcodeCounts {
  uint64_t requests = 0;
  uint64_t nanoseconds = 0;
  std::array<uint64_t, kLatencyBuckets> latency{};  // LatencyBound
  std::map<int, uint64_t> errors;                   // by errno, 1 … 511
};

// Of all rings together.
struct ExportCounts {
  std::map<uint32_t, OpcodeCounts> opcodes;  // below kMaxCountedOpcodes; those that were used
  uint64_t bytes_read = 0;
  uint64_t bytes_written = 0;
  uint64_t inflight = 0;
  uint64_t slow = 0;
  uint64_t errors_beyond = 0;  // that found no place among the opcodes'
  uint64_t throttled_nanoseconds = 0;
};

// Sums what the first `queues` rings (at most kMaxCountedQueues) have counted. Any numbers may be
// in the file; each is taken as a count and nothing else. Any thread; does not wait for the worker.
ErrnoOr<ExportCounts> ReadCounters(int fd, size_t queues);

}  // namespace fsd::telemetry

#endif  // FSD_SERVER_TELEMETRY_COUNTER_READER_H_
