#include "server/telemetry/export_counters.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "server/os/mapped_memory.h"
#include "server/os/memory_file.h"
#include "server/os/unique_fd.h"
#include "server/telemetry/counter_reader.h"

namespace fsd::telemetry {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::Pair;

constexpr uint32_t kGetattr = 3;
constexpr uint32_t kRead = 15;

class ExportCountersTest : public ::testing::Test {
 protected:
  ExportCounts Read(size_t queues = 2) const { return *ReadCounters(file_.get(), queues); }
  ExportCounters Map(size_t queues = 2) const { return *ExportCounters::Map(file_.get(), queues); }
  off_t AllocatedBytes() const {
    struct stat info;
    ::fstat(file_.get(), &info);
    return info.st_blocks * 512;
  }

  const os::UniqueFd file_ = *CreateCounterFile();
};

TEST(LatencyBucket, HasWhatIsAtMostItsBound) {
  EXPECT_EQ(LatencyBucketOf(0), 0U);
  for (size_t bucket = 0; bucket + 1 < kLatencyBuckets; ++bucket) {
    EXPECT_EQ(LatencyBucketOf(LatencyBound(bucket)), bucket);
    EXPECT_EQ(LatencyBucketOf(LatencyBound(bucket) + 1), bucket + 1);
  }
  EXPECT_EQ(LatencyBucketOf(UINT64_MAX), kLatencyBuckets - 1);
}

TEST_F(ExportCountersTest, SumsWhatTheRingsCount) {
  const ExportCounters counters = Map();
  for (size_t index = 0; index < 2; ++index) {
    QueueCounters queue = counters.queue(index);
    for (int i = 0; i < 3; ++i) queue.Take();
    queue.Answer({.opcode = kRead, .nanoseconds = 300, .bytes_read = 4096});
    queue.Answer({.opcode = kRead, .error = EIO, .nanoseconds = 5000, .slow = true});
  }
  const ExportCounts counts = Read();
  EXPECT_EQ(counts.inflight, 2U);
  EXPECT_EQ(counts.bytes_read, 8192U);
  EXPECT_EQ(counts.slow, 2U);
  ASSERT_EQ(counts.opcodes.size(), 1U);
  const OpcodeCounts& read = counts.opcodes.at(kRead);
  EXPECT_EQ(read.requests, 4U);
  EXPECT_EQ(read.nanoseconds, 2 * 5300U);
  EXPECT_EQ(read.latency[1], 2U);
  EXPECT_EQ(read.latency[LatencyBucketOf(5000)], 2U);
  EXPECT_THAT(read.errors, ElementsAre(Pair(EIO, 2U)));
}

TEST_F(ExportCountersTest, TheNextWorkerGoesOnAndForgetsWhatWasInFlight) {
  {
    const ExportCounters counters = Map();
    QueueCounters queue = counters.queue(1);
    queue.Take();
    queue.Take();
    queue.Answer({.opcode = kGetattr});
  }
  EXPECT_EQ(Read().inflight, 1U);
  const ExportCounters counters = Map();
  EXPECT_EQ(Read().inflight, 0U);
  QueueCounters queue = counters.queue(1);
  queue.Take();
  queue.Answer({.opcode = kGetattr});
  EXPECT_EQ(Read().opcodes.at(kGetattr).requests, 2U);
}

TEST_F(ExportCountersTest, AnOpcodeBeyondTheTableIsCountedAsUnknown) {
  const ExportCounters counters = Map();
  counters.queue(1).Take();
  counters.queue(1).Answer({.opcode = UINT32_MAX, .error = ENOSYS});
  EXPECT_THAT(Read().opcodes.at(0).errors, ElementsAre(Pair(ENOSYS, 1U)));
}

TEST_F(ExportCountersTest, ErrorsThatFindNoPlaceAreCountedTogether) {
  const ExportCounters counters = Map();
  QueueCounters queue = counters.queue(1);
  for (int error = 1; error <= static_cast<int>(kErrorPlaces) + 5; ++error) {
    queue.Take();
    queue.Answer({.opcode = kGetattr, .error = error});
  }
  const ExportCounts counts = Read();
  EXPECT_EQ(counts.opcodes.at(kGetattr).errors.size(), kErrorPlaces);
  EXPECT_EQ(counts.errors_beyond, 5U);
}

TEST_F(ExportCountersTest, RingsThatServeNothingTakeNoMemory) {
  const ExportCounters counters = Map(kMaxCountedQueues);
  const off_t idle = AllocatedBytes();
  EXPECT_LE(idle, static_cast<off_t>(sizeof(CounterHeader) + sizeof(CounterFile::totals)));
  (void)Read(kMaxCountedQueues);
  EXPECT_EQ(AllocatedBytes(), idle);
}

TEST_F(ExportCountersTest, TheFileCannotBeMadeSmaller) {
  EXPECT_EQ(::ftruncate(file_.get(), 0), -1);
  EXPECT_EQ(::ftruncate(file_.get(), sizeof(CounterFile) + 1), -1);
}

TEST_F(ExportCountersTest, AnotherFileOrVersionIsRefused) {
  const os::UniqueFd other = *os::CreateMemoryFile("other", sizeof(CounterFile) - 4096);
  EXPECT_FALSE(ExportCounters::Map(other.get(), 1).ok());
  const uint64_t version = kCounterVersion + 1;
  ASSERT_EQ(::pwrite(file_.get(), &version, sizeof version, sizeof(uint64_t)),
            static_cast<ssize_t>(sizeof version));
  const auto refused = ExportCounters::Map(file_.get(), 1);
  ASSERT_FALSE(refused.ok());
  EXPECT_THAT(std::string(refused.status().message()), ::testing::HasSubstr("version 2"));
}

// What a worker that was taken over may do.
TEST_F(ExportCountersTest, AnyBytesAreNothingButNumbers) {
  const os::MappedMemory memory = *os::MappedMemory::MapShared(file_.get(), 0, sizeof(CounterFile));
  std::memset(memory.data(), 0xff, memory.size());
  const ExportCounts counts = Read(kMaxCountedQueues);
  EXPECT_EQ(counts.opcodes.size(), kMaxCountedOpcodes);
  for (const auto& [opcode, row] : counts.opcodes) EXPECT_THAT(row.errors, IsEmpty());
  EXPECT_EQ(counts.inflight, 0U);
}

TEST_F(ExportCountersTest, AFileThatIsTooShortIsAnErrorNotACrash) {
  const os::UniqueFd small = *os::CreateMemoryFile("small", 100);
  EXPECT_FALSE(ReadCounters(small.get(), 1).ok());
}

}  // namespace
}  // namespace fsd::telemetry
