// What serving costs beside the work itself: system calls per request, and wake-ups of an idle
// export. Of the processes as they ship, behind their jail.
#include <fcntl.h>
#include <linux/fuse.h>
#include <sys/syscall.h>

#include <chrono>
#include <cstring>
#include <filesystem>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/harness/front_end.h"
#include "tests/harness/fuse_client.h"
#include "tests/harness/running_supervisor.h"
#include "tests/harness/system_calls.h"

namespace fsd {
namespace {

using harness::FuseClient;
using harness::FuseReply;
using ::testing::ElementsAre;
using ::testing::Pair;

constexpr int kBatch = 32;
constexpr uint32_t kTransferBytes = 4096;
// One call of the guest, one wait and, for the watch over stuck rings, one timer set: whatever the
// number of requests.
constexpr int kCallsOfABatch = 4;

template <typename T>
std::span<const std::byte> Bytes(const T& value) {
  return std::as_bytes(std::span(&value, 1));
}

class WasteTest : public ::testing::Test {
 protected:
  void SetUp() override {
    auto started = harness::RunningSupervisor::Start(
        std::filesystem::canonical("server/exe/fsd-worker").string());
    ASSERT_TRUE(started.ok()) << started.status();
    supervisor_ = *std::move(started);
    std::filesystem::create_directories(supervisor_->share("web"));
    internal::ExportSpec spec;
    spec.set_id("web");
    spec.set_tag("web");
    spec.set_source_path(supervisor_->share("web"));
    SetOptions(spec);
    const auto made = supervisor_->Create(std::move(spec));
    ASSERT_TRUE(made.ok()) << made.status();
    auto connected = harness::FrontEnd::Connect(made->record.spec().socket_path(), {});
    ASSERT_TRUE(connected.ok()) << connected.status();
    front_end_ = *std::move(connected);
    ASSERT_TRUE(front_end_->Start().ok());
    fuse_ = std::make_unique<FuseClient>(*front_end_);
    ASSERT_TRUE(fuse_->Init().ok());
    ASSERT_TRUE(supervisor_->WaitFor("web", supervisor::ExportState::kMounted).ok());
    processes_ = harness::ProcessTree(made->worker_pid);
    ASSERT_EQ(processes_.size(), 3u) << "keeper, data plane and handle keeper";

    const FuseReply created = *fuse_->Create(FUSE_ROOT_ID, "file", 0644, O_RDWR);
    ASSERT_EQ(created.error, 0);
    node_ = created.As<fuse_entry_out>().nodeid;
    fuse_open_out open;
    std::memcpy(&open, created.body.data() + sizeof(fuse_entry_out), sizeof open);
    handle_ = open.fh;
    ASSERT_EQ(fuse_->Write(node_, handle_, 0, std::string(kTransferBytes, 'x'))->error, 0);
    FindRingThread();
  }

  virtual void SetOptions(internal::ExportSpec&) {}

  // The thread that has run longest for many requests: as many as it takes until it shows, as the
  // kernel counts the time of a thread that does not pause at its ticks only.
  void FindRingThread() {
    constexpr uint64_t kEnoughNanoseconds = 1'000'000;
    constexpr int kMostRounds = 100;
    const auto before = harness::RunTimes(processes_);
    uint64_t most = 0;
    for (int round = 0; round < kMostRounds && most < kEnoughNanoseconds; ++round) {
      for (int i = 0; i < 200; ++i) ASSERT_EQ(fuse_->GetAttributes(node_)->error, 0);
      for (const auto& [thread, time] : harness::RunTimes(processes_)) {
        const auto earlier = before.find(thread);
        const uint64_t grown = time - (earlier == before.end() ? 0 : earlier->second);
        if (grown <= most) continue;
        most = grown;
        ring_thread_ = thread;
      }
    }
    for (const pid_t process : processes_) {
      for (const pid_t thread : harness::ThreadsOf(process)) {
        if (thread == ring_thread_) data_plane_ = process;
      }
    }
    ASSERT_GT(data_plane_, 0);
  }

  struct Request {
    uint32_t opcode;
    uint64_t node;
    std::vector<std::byte> arguments;
  };

  // What the thread of the ring asks of the kernel to answer `requests`, all made available before
  // one kick. Each must succeed.
  std::map<int, int> SystemCallsFor(const std::vector<Request>& requests) {
    std::vector<FuseClient::Submitted> submitted;
    harness::DriverQueue& queue = front_end_->queue(1);
    auto counts = harness::SystemCallsOf(
        data_plane_, ring_thread_,
        [&] {
          queue.RequestCall();
          for (const Request& request : requests) {
            submitted.push_back(
                *fuse_->Submit(request.opcode, request.node, request.arguments, kTransferBytes));
          }
          front_end_->Kick(1);
        },
        [&] { return queue.used()->idx == queue.available()->idx; });
    queue.SuppressCalls();
    size_t answered = 0;
    while (const auto used = queue.PopUsed()) {
      for (const FuseClient::Submitted& one : submitted) {
        if (one.head != used->head) continue;
        const auto reply = fuse_->ReplyOf(one, used->written);
        EXPECT_TRUE(reply.ok() && reply->error == 0);
        ++answered;
      }
    }
    EXPECT_EQ(answered, requests.size());
    return counts;
  }

  // The same without the calls that each batch makes once.
  std::map<int, int> RequestsCallsFor(const std::vector<Request>& requests) {
    auto counts = SystemCallsFor(requests);
    int of_the_batch = 0;
    for (const int number : {SYS_epoll_wait, SYS_epoll_pwait, SYS_write, SYS_timerfd_settime}) {
      of_the_batch += counts[number];
      counts.erase(number);
    }
    EXPECT_LE(of_the_batch, kCallsOfABatch);
    return counts;
  }
  std::map<int, int> SystemCallsForMany(uint32_t opcode, uint64_t node,
                                        const std::vector<std::byte>& arguments) {
    return RequestsCallsFor(std::vector<Request>(kBatch, {opcode, node, arguments}));
  }

  // While the guest is connected and asks for nothing.
  void ExpectNoWakeUps() {
    // What is left to do of the requests is done when nobody has run for a while.
    constexpr std::chrono::milliseconds kSettling{200};
    constexpr std::chrono::seconds kObservation{2};
    auto before = harness::RunTimes(processes_);
    for (std::map<pid_t, uint64_t> last; last != before;) {
      last = before;
      std::this_thread::sleep_for(kSettling);
      before = harness::RunTimes(processes_);
    }

    std::this_thread::sleep_for(kObservation);

    EXPECT_EQ(harness::RunTimes(processes_), before);
  }

  std::unique_ptr<harness::RunningSupervisor> supervisor_;
  std::unique_ptr<harness::FrontEnd> front_end_;
  std::unique_ptr<FuseClient> fuse_;
  std::vector<pid_t> processes_;
  pid_t data_plane_ = -1;
  pid_t ring_thread_ = -1;
  uint64_t node_ = 0;
  uint64_t handle_ = 0;
};

TEST_F(WasteTest, GetattrTakesOneSystemCall) {
  const auto arguments = harness::Arguments(Bytes(fuse_getattr_in{}));

  EXPECT_THAT(SystemCallsForMany(FUSE_GETATTR, node_, arguments),
              ElementsAre(Pair(SYS_statx, kBatch)));
}

TEST_F(WasteTest, GetattrByHandleTakesOneSystemCall) {
  const auto arguments = harness::Arguments(
      Bytes(fuse_getattr_in{.getattr_flags = FUSE_GETATTR_FH, .dummy = 0, .fh = handle_}));

  EXPECT_THAT(SystemCallsForMany(FUSE_GETATTR, node_, arguments),
              ElementsAre(Pair(SYS_statx, kBatch)));
}

TEST_F(WasteTest, LookupOfAKnownNameTakesOneSystemCall) {
  const auto arguments = harness::Arguments({}, {"file"});

  EXPECT_THAT(SystemCallsForMany(FUSE_LOOKUP, FUSE_ROOT_ID, arguments),
              ElementsAre(Pair(SYS_statx, kBatch)));
}

TEST_F(WasteTest, StatfsTakesOneSystemCall) {
  EXPECT_THAT(SystemCallsForMany(FUSE_STATFS, FUSE_ROOT_ID, {}),
              ElementsAre(Pair(SYS_fstatfs, kBatch)));
}

TEST_F(WasteTest, ReadTakesOneSystemCall) {
  fuse_read_in in{};
  in.fh = handle_;
  in.size = kTransferBytes;

  EXPECT_THAT(SystemCallsForMany(FUSE_READ, node_, harness::Arguments(Bytes(in))),
              ElementsAre(Pair(SYS_preadv2, kBatch)));
}

TEST_F(WasteTest, WriteTakesOneSystemCall) {
  fuse_write_in in{};
  in.fh = handle_;
  in.size = kTransferBytes;
  std::vector<std::byte> arguments = harness::Arguments(Bytes(in));
  arguments.resize(arguments.size() + kTransferBytes);

  EXPECT_THAT(SystemCallsForMany(FUSE_WRITE, node_, arguments),
              ElementsAre(Pair(SYS_pwritev2, kBatch)));
}

TEST_F(WasteTest, OpenAndReleaseTakeOneSystemCallEach) {
  const auto arguments =
      harness::Arguments(Bytes(fuse_open_in{.flags = O_RDONLY, .open_flags = 0}));
  EXPECT_THAT(SystemCallsForMany(FUSE_OPEN, node_, arguments),
              ElementsAre(Pair(SYS_openat, kBatch)));

  std::vector<Request> releases;
  for (int i = 0; i < kBatch; ++i) {
    fuse_release_in in{};
    in.fh = fuse_->Open(node_, O_RDONLY)->As<fuse_open_out>().fh;
    releases.push_back({FUSE_RELEASE, node_, harness::Arguments(Bytes(in))});
  }
  EXPECT_THAT(RequestsCallsFor(releases), ElementsAre(Pair(SYS_close, kBatch)));
}

TEST_F(WasteTest, AnIdleConnectedExportMakesNoWakeUps) { ExpectNoWakeUps(); }

class PollingWasteTest : public WasteTest {
 protected:
  void SetOptions(internal::ExportSpec& spec) override { spec.set_poll_us(1000); }
};

TEST_F(PollingWasteTest, AnIdleExportThatMayPollNeitherSpinsNorWakesUp) { ExpectNoWakeUps(); }

TEST_F(PollingWasteTest, GetattrTakesOneSystemCall) {
  EXPECT_THAT(SystemCallsForMany(FUSE_GETATTR, node_, harness::Arguments(Bytes(fuse_getattr_in{}))),
              ElementsAre(Pair(SYS_statx, kBatch)));
}

}  // namespace
}  // namespace fsd
