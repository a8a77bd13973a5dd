#include "server/telemetry/counter_reader.h"

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <memory>
#include <vector>

#include "server/errors/status_macros.h"

namespace fsd::telemetry {
namespace {

// The most that a reply can carry.
constexpr uint64_t kMaxErrno = 511;

ErrnoOr<void> ReadAt(int fd, void* to, size_t bytes, size_t offset) {
  const ssize_t got = ::pread(fd, to, bytes, static_cast<off_t>(offset));
  if (got < 0) return Errno::Last();
  if (static_cast<size_t>(got) != bytes) return Errno(EIO);
  return {};
}

uint64_t Value(const CounterWord& word) { return word.load(std::memory_order_relaxed); }

void AddOpcodes(const QueueTables& tables, ExportCounts& sum) {
  for (uint32_t opcode = 0; opcode < kMaxCountedOpcodes; ++opcode) {
    const OpcodeCounters& row = tables.opcodes[opcode];
    uint64_t requests = 0;
    for (const CounterWord& bucket : row.latency) requests += Value(bucket);
    if (requests == 0) continue;
    OpcodeCounts& counts = sum.opcodes[opcode];
    counts.requests += requests;
    counts.nanoseconds += Value(row.nanoseconds);
    for (size_t i = 0; i < kLatencyBuckets; ++i) counts.latency[i] += Value(row.latency[i]);
  }
}

void AddErrors(const QueueTables& tables, ExportCounts& sum) {
  for (const ErrorCounter& place : tables.errors) {
    const uint64_t key = Value(place.opcode_and_errno);
    const uint64_t opcode = key >> 32;
    const uint64_t error = key & UINT32_MAX;
    if (opcode >= kMaxCountedOpcodes || error == 0 || error > kMaxErrno) continue;
    const auto counts = sum.opcodes.find(static_cast<uint32_t>(opcode));
    if (counts == sum.opcodes.end()) continue;
    counts->second.errors[static_cast<int>(error)] += Value(place.requests);
  }
}

}  // namespace

ErrnoOr<ExportCounts> ReadCounters(int fd, size_t queues) {
  queues = std::min(queues, kMaxCountedQueues);
  std::vector<QueueTotals> totals(queues);
  FSD_RETURN_IF_ERRNO(
      ReadAt(fd, totals.data(), queues * sizeof(QueueTotals), offsetof(CounterFile, totals)));
  ExportCounts sum;
  const auto tables = std::make_unique<QueueTables>();
  for (size_t queue = 0; queue < queues; ++queue) {
    const uint64_t answered = Value(totals[queue].answered);
    const uint64_t taken = Value(totals[queue].taken);
    sum.inflight += taken > answered ? taken - answered : 0;
    sum.bytes_read += Value(totals[queue].bytes_read);
    sum.bytes_written += Value(totals[queue].bytes_written);
    sum.slow += Value(totals[queue].slow);
    sum.errors_beyond += Value(totals[queue].errors_beyond);
    sum.throttled_nanoseconds += Value(totals[queue].throttled_nanoseconds);
    if (taken == 0) continue;
    FSD_RETURN_IF_ERRNO(ReadAt(fd, tables.get(), sizeof(QueueTables),
                               offsetof(CounterFile, tables) + queue * sizeof(QueueTables)));
    AddOpcodes(*tables, sum);
    AddErrors(*tables, sum);
  }
  return sum;
}

}  // namespace fsd::telemetry
