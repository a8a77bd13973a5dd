// A guest that misuses its ring: never takes replies back, kicks without end, or makes chains as
// long as there may be.
#include <fcntl.h>
#include <linux/fuse.h>

#include <atomic>
#include <chrono>
#include <cstring>
#include <fstream>
#include <map>
#include <numeric>
#include <string>
#include <thread>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/harness/driver_queue.h"
#include "tests/harness/fuse_client.h"
#include "tests/harness/system_calls.h"
#include "tests/integration/resource_attack_fixture.h"

namespace fsd {
namespace {

using harness::Buffer;
using harness::DriverQueue;
using harness::FuseReply;
using ::testing::SizeIs;

// How often each thread of the processes has gone to sleep by itself.
std::map<pid_t, uint64_t> SleepsOf(const std::vector<pid_t>& processes) {
  std::map<pid_t, uint64_t> sleeps;
  for (const pid_t process : processes) {
    for (const pid_t thread : harness::ThreadsOf(process)) {
      std::ifstream status("/proc/" + std::to_string(process) + "/task/" + std::to_string(thread) +
                           "/status");
      for (std::string line; std::getline(status, line);) {
        if (line.starts_with("voluntary_ctxt_switches:")) {
          sleeps[thread] = std::stoull(line.substr(24));
        }
      }
    }
  }
  return sleeps;
}

class Ring : public ResourceAttackTest {
 protected:
  void SetUp() override {
    ResourceAttackTest::SetUp();
    Connect();
  }

  // A GETATTR of the root in one chain of descriptors, which can be offered again and again.
  harness::FuseClient::Submitted SubmitGetAttributes() {
    const fuse_getattr_in in{};
    auto submitted = fuse().Submit(FUSE_GETATTR, FUSE_ROOT_ID, std::as_bytes(std::span(&in, 1)),
                                   sizeof(fuse_attr_out));
    EXPECT_TRUE(submitted.ok()) << submitted.status();
    return *submitted;
  }
  // Waits until as many chains are used as are available; false if the worker stops before.
  bool AwaitAllUsed() {
    DriverQueue& queue = front_end().queue(1);
    for (int round = 0; round < 60'000; ++round) {
      if (std::atomic_ref(queue.used()->idx).load() == queue.available()->idx) return true;
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
    return false;
  }
  // One request more is answered.
  void ExpectServing() {
    Connect();
    EXPECT_EQ(Answer(fuse().GetAttributes(FUSE_ROOT_ID)).error, 0);
  }
};

TEST_F(Ring, WhoseRepliesNobodyReadsIsServedRoundAfterRound) {
  const uint16_t head = SubmitGetAttributes().head;
  front_end().SignalKick(1);
  ASSERT_TRUE(AwaitAllUsed());
  // The used ring goes around some hundred times.
  for (int i = 0; i < 20'000; ++i) {
    front_end().queue(1).Publish(head);
    front_end().SignalKick(1);
    ASSERT_TRUE(AwaitAllUsed());
  }
  ExpectServing();
}

TEST_F(Ring, WithOneHeadOfferedInEveryPlaceAtOnceIsServed) {
  const uint16_t head = SubmitGetAttributes().head;
  for (int i = 1; i < 128; ++i) front_end().queue(1).Publish(head);
  front_end().SignalKick(1);
  EXPECT_TRUE(AwaitAllUsed());
  ExpectServing();
}

TEST_F(Ring, ThatIsKickedWithoutEndWakesItsThreadAndNoOther) {
  constexpr uint64_t kKicks = 20'000;
  ASSERT_EQ(Answer(fuse().GetAttributes(FUSE_ROOT_ID)).error, 0);
  const std::vector<pid_t> processes = harness::ProcessTree(worker_pid());
  auto before = SleepsOf(processes);
  for (uint64_t i = 0; i < kKicks; ++i) front_end().SignalKick(1);
  // Answered after all the kicks: the thread has seen them.
  ASSERT_EQ(Answer(fuse().GetAttributes(FUSE_ROOT_ID)).error, 0);
  std::vector<uint64_t> woken;
  uint64_t all = 0;
  for (const auto& [thread, sleeps] : SleepsOf(processes)) {
    const uint64_t more = sleeps - before[thread];
    all += more;
    // Besides, the control thread looks after a ring that is awake a hundred times a second.
    if (more > kKicks / 10) woken.push_back(more);
  }
  EXPECT_LE(all, kKicks + kKicks / 10);
  EXPECT_THAT(woken, SizeIs(testing::Le(1u)));
}

TEST_F(Ring, ThatIsBrokenIsQuietHoweverOftenItIsKicked) {
  constexpr uint64_t kKicks = 20'000;
  front_end().queue(1).available()->idx += 1000;
  front_end().SignalKick(1);
  const std::vector<pid_t> processes = harness::ProcessTree(worker_pid());
  auto before = SleepsOf(processes);
  for (uint64_t i = 0; i < kKicks; ++i) front_end().SignalKick(1);
  uint64_t all = 0;
  for (const auto& [thread, sleeps] : SleepsOf(processes)) all += sleeps - before[thread];
  EXPECT_LE(all, kKicks + kKicks / 10);
  ExpectServing();
}

class LongChain : public Ring {
 protected:
  static constexpr size_t kPieces = 500;

  // READ of the file's first kPieces bytes, each into a buffer of its own.
  std::string ReadInPieces(const File& file) {
    auto& arena = front_end().arena();
    const uint64_t request = arena.Allocate(sizeof(fuse_in_header) + sizeof(fuse_read_in));
    fuse_in_header header{};
    header.len = sizeof header + sizeof(fuse_read_in);
    header.opcode = FUSE_READ;
    header.unique = 1'000'000;
    header.nodeid = file.node;
    fuse_read_in in{};
    in.fh = file.handle;
    in.size = kPieces;
    std::memcpy(arena.At(request), &header, sizeof header);
    std::memcpy(arena.At(request + sizeof header), &in, sizeof in);
    const std::vector<Buffer> readable{{request, header.len}};
    std::vector<Buffer> writable{
        {arena.Allocate(sizeof(fuse_out_header)), sizeof(fuse_out_header)}};
    // Not beside each other, so that nobody can join them.
    for (size_t i = 0; i < kPieces; ++i) writable.push_back({arena.Allocate(2), 1});
    EXPECT_TRUE(front_end().queue(1).Submit(readable, writable).has_value());
    front_end().Kick(1);
    EXPECT_TRUE(front_end().WaitUsed(1).ok());
    EXPECT_EQ(front_end().queue(1).PopUsed()->written, sizeof(fuse_out_header) + kPieces);
    std::string text;
    for (size_t i = 1; i <= kPieces; ++i) {
      text += static_cast<char>(*arena.At(writable[i].guest_address));
    }
    return text;
  }
};

TEST_F(LongChain, OfSingleBytesIsFilledByteByByte) {
  const File file = Create("file");
  std::string text(kPieces, '\0');
  std::iota(text.begin(), text.end(), '\0');
  ASSERT_EQ(Answer(fuse().Write(file.node, file.handle, 0, text)).error, 0);
  EXPECT_EQ(ReadInPieces(file), text);
}

TEST_F(LongChain, BeyondTheLimitIsGivenBackAndTheRingGoesOn) {
  constexpr uint32_t kDescriptors = 65'536;
  DriverQueue& queue = front_end().queue(1);
  const uint64_t table = front_end().arena().Allocate(kDescriptors * sizeof(vring_desc));
  for (uint32_t i = 0; i < kDescriptors; ++i) {
    *front_end().arena().At<vring_desc>(table + i * sizeof(vring_desc)) = {
        .addr = table, .len = 1, .flags = VRING_DESC_F_NEXT, .next = static_cast<__u16>(i + 1)};
  }
  queue.descriptors()[0] = {.addr = table,
                            .len = kDescriptors * sizeof(vring_desc),
                            .flags = VRING_DESC_F_INDIRECT,
                            .next = 0};
  const uint16_t before = queue.used()->idx;
  for (int i = 0; i < 1000; ++i) {
    queue.Publish(0);
    front_end().SignalKick(1);
    ASSERT_TRUE(AwaitAllUsed());
  }
  EXPECT_EQ(static_cast<uint16_t>(queue.used()->idx - before), 1000);
  EXPECT_EQ(queue.used()->ring[before % queue.size()].len, 0u);
  ExpectServing();
}

}  // namespace
}  // namespace fsd
