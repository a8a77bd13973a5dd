// ExportCounters: what an export's worker counts, in a memory file that the supervisor made.
//
// The file outlives the worker; the next one goes on counting in it. Each ring has a place of its
// own, in cache lines of its own, that one thread at a time writes (whoever completes the ring's
// requests, under the ring's lock): a count costs a plain load and store.
//
// Layout, version kCounterVersion, all numbers native 64-bit words:
//   CounterHeader       one page
//   QueueTotals[256]    64 bytes each
//   QueueTables[256]    by opcode; pages that no request has touched take no memory
//
// The supervisor has only read(2) on it: a worker that was taken over can write anything there, and
// nothing of it is used as a size or an index before it is checked (counter_reader.h).
#ifndef FSD_SERVER_TELEMETRY_EXPORT_COUNTERS_H_
#define FSD_SERVER_TELEMETRY_EXPORT_COUNTERS_H_

#include <array>
#include <atomic>
#include <bit>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <utility>

#include "absl/status/statusor.h"
#include "server/errors/errno_or.h"
#include "server/os/mapped_memory.h"
#include "server/os/unique_fd.h"

namespace fsd::telemetry {

inline constexpr uint64_t kCounterMagic = 0x31736e756f637366;  // "fscouns1"
inline constexpr uint64_t kCounterVersion = 1;
// The high-priority queue and the most request queues that a device can have.
inline constexpr size_t kMaxCountedQueues = 256;
// FUSE's opcodes are below it; what is not, is counted as opcode 0, which FUSE does not have.
inline constexpr uint32_t kMaxCountedOpcodes = 64;
// Of one ring: pairs of an opcode and an errno. What finds no place is counted in errors_beyond.
inline constexpr size_t kErrorPlaces = 128;

// Latencies: the first bucket has what took at most 256 ns, each other twice that of the one before
// it, the last (over 17 s) all the rest.
inline constexpr int kFirstLatencyBits = 8;
inline constexpr size_t kLatencyBuckets = 28;
// Of every bucket but the last.
constexpr uint64_t LatencyBound(size_t bucket) {
  return uint64_t{1} << (static_cast<size_t>(kFirstLatencyBits) + bucket);
}
constexpr size_t LatencyBucketOf(uint64_t nanoseconds) {
  if (nanoseconds <= LatencyBound(0)) return 0;
  const auto bucket = static_cast<size_t>(std::bit_width(nanoseconds - 1) - kFirstLatencyBits);
  return bucket < kLatencyBuckets ? bucket : kLatencyBuckets - 1;
}

using CounterWord = std::atomic<uint64_t>;
static_assert(sizeof(CounterWord) == sizeof(uint64_t) && CounterWord::is_always_lock_free);

struct CounterHeader {
  CounterWord magic;
  CounterWord version;
  std::array<std::byte, 4096 - 2 * sizeof(CounterWord)> unused;
};

struct alignas(64) QueueTotals {
  CounterWord taken;     // requests that were popped
  CounterWord answered;  // of those
  CounterWord bytes_read;
  CounterWord bytes_written;
  CounterWord slow;
  CounterWord errors_beyond;
  CounterWord throttled_nanoseconds;
};
static_assert(sizeof(QueueTotals) == 64);

struct alignas(64) OpcodeCounters {
  CounterWord nanoseconds;
  std::array<CounterWord, kLatencyBuckets> latency;  // their sum is the number of requests
};

// One answer with an error: which, and how often. 0: a place that is free.
struct ErrorCounter {
  CounterWord opcode_and_errno;  // the opcode in the upper half
  CounterWord requests;
};

struct alignas(4096) QueueTables {
  std::array<OpcodeCounters, kMaxCountedOpcodes> opcodes;
  std::array<ErrorCounter, kErrorPlaces> errors;
};

struct CounterFile {
  CounterHeader header;
  std::array<QueueTotals, kMaxCountedQueues> totals;
  std::array<QueueTables, kMaxCountedQueues> tables;
};
static_assert(offsetof(CounterFile, totals) % 4096 == 0);
static_assert(offsetof(CounterFile, tables) % 4096 == 0);

// One answered request.
struct AnsweredRequest {
  uint32_t opcode = 0;
  int error = 0;  // a positive errno, 0 if it succeeded
  uint64_t nanoseconds = 0;
  bool slow = false;
  uint64_t bytes_read = 0;
  uint64_t bytes_written = 0;
};

// One ring's place. One thread at a time may call Take and Throttle, one at a time the others.
class QueueCounters {
 public:
  QueueCounters(QueueTotals& totals, QueueTables& tables) : totals_(&totals), tables_(&tables) {}

  void Take() { Add(totals_->taken, 1); }
  // Requests have waited in the ring for so long because of the export's limits.
  void Throttle(std::chrono::nanoseconds wait) {
    Add(totals_->throttled_nanoseconds, static_cast<uint64_t>(wait.count()));
  }
  [[gnu::always_inline]] void Answer(const AnsweredRequest& request) {
    OpcodeCounters& row =
        tables_->opcodes[request.opcode < kMaxCountedOpcodes ? request.opcode : 0];
    Add(row.latency[LatencyBucketOf(request.nanoseconds)], 1);
    Add(row.nanoseconds, request.nanoseconds);
    Add(totals_->answered, 1);
    if (request.bytes_read != 0) Add(totals_->bytes_read, request.bytes_read);
    if (request.bytes_written != 0) Add(totals_->bytes_written, request.bytes_written);
    if (request.error != 0) [[unlikely]]
      CountError(request.opcode, request.error);
    if (request.slow) [[unlikely]]
      Add(totals_->slow, 1);
  }
  // Nothing is in flight: whoever was to answer what was, is no more. Nobody else may call
  // anything.
  void ForgetTaken() {
    totals_->taken.store(totals_->answered.load(std::memory_order_relaxed),
                         std::memory_order_relaxed);
  }

 private:
  static void Add(CounterWord& counter, uint64_t count) {
    counter.store(counter.load(std::memory_order_relaxed) + count, std::memory_order_relaxed);
  }
  [[gnu::noinline]] void CountError(uint32_t opcode, int error);

  QueueTotals* totals_;
  QueueTables* tables_;
};

// Whether `fd` is a memory file that can neither grow nor shrink. Of any descriptor; waits for no
// file system.
bool HasFixedSize(int fd);
// Whether it is one of a counter file's size besides.
bool IsCounterFile(int fd);
// Whether its layout is ours; false for anything that is not IsCounterFile.
bool HasCounterLayout(int fd);

// A zeroed counter file with its header, which can neither grow nor shrink.
ErrnoOr<os::UniqueFd> CreateCounterFile();

// The worker's end.
class ExportCounters {
 public:
  // Takes up counting in a file of CreateCounterFile's: what its last worker left in flight in the
  // first `queues` rings is forgotten. FAILED_PRECONDITION: it is of another version or size, or
  // can shrink.
  static absl::StatusOr<ExportCounters> Map(int fd, size_t queues);
  // Counts for nobody, as where there is no supervisor.
  static ErrnoOr<ExportCounters> MakePrivate();

  // `index` is below kMaxCountedQueues. Valid as long as this object is.
  QueueCounters queue(size_t index) const {
    return {file()->totals.at(index), file()->tables.at(index)};
  }

 private:
  explicit ExportCounters(os::MappedMemory memory) : memory_(std::move(memory)) {}
  CounterFile* file() const { return reinterpret_cast<CounterFile*>(memory_.data()); }

  os::MappedMemory memory_;
};

}  // namespace fsd::telemetry

#endif  // FSD_SERVER_TELEMETRY_EXPORT_COUNTERS_H_
