// What the hot path takes inside the process: no memory for a request, and no lock that another
// queue's thread takes too. From the kick to the used ring, through queue threads, FUSE session and
// passthrough file system.
#include <dlfcn.h>
#include <fcntl.h>
#include <linux/fuse.h>
#include <pthread.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <map>
#include <memory>
#include <set>
#include <span>
#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "tests/harness/front_end.h"
#include "tests/harness/fuse_client.h"
#include "tests/harness/worker_in_process.h"

namespace {

// What one thread has taken while counting. The test's own thread is not counted.
struct ThreadUse {
  std::atomic<int> allocations{0};
  std::atomic<size_t> locks{0};  // of `mutexes`, those that are filled
  std::array<std::atomic<void*>, 4096> mutexes{};
};
std::array<ThreadUse, 64> uses;
std::atomic<size_t> threads{0};
std::atomic<bool> counting{false};
thread_local bool is_the_tests = false;
thread_local ThreadUse* use_of_this_thread = nullptr;

ThreadUse* Use() {
  if (is_the_tests || !counting.load()) return nullptr;
  if (use_of_this_thread == nullptr) use_of_this_thread = &uses.at(threads.fetch_add(1));
  return use_of_this_thread;
}

void CountAllocation() {
  if (ThreadUse* const use = Use()) ++use->allocations;
}

}  // namespace

// glibc's own, by the names under which it keeps them for those who replace malloc(3).
extern "C" {
void* __libc_malloc(size_t size);
void* __libc_calloc(size_t count, size_t size);
void* __libc_realloc(void* memory, size_t size);

void* malloc(size_t size) {
  CountAllocation();
  return __libc_malloc(size);
}
void* calloc(size_t count, size_t size) {
  CountAllocation();
  return __libc_calloc(count, size);
}
void* realloc(void* memory, size_t size) {
  CountAllocation();
  return __libc_realloc(memory, size);
}

int pthread_mutex_lock(pthread_mutex_t* mutex) {
  using Lock = int (*)(pthread_mutex_t*);
  static const auto lock = reinterpret_cast<Lock>(::dlsym(RTLD_NEXT, "pthread_mutex_lock"));
  if (ThreadUse* const use = Use()) {
    const size_t place = use->locks.fetch_add(1);
    if (place < use->mutexes.size()) use->mutexes.at(place) = mutex;
  }
  return lock(mutex);
}
}

namespace fsd {
namespace {

using harness::FrontEnd;
using harness::FuseClient;
using harness::FuseReply;

constexpr size_t kQueues = 2;  // request queues
constexpr int kBatch = 32;
constexpr uint32_t kTransferBytes = 4096;
// A thread that gets no processor for so long that its ring is given to another makes that other
// begin with the ring. What is waste is so in every round.
constexpr int kRounds = 5;

struct Request {
  uint32_t opcode = 0;
  uint64_t node = 0;
  std::vector<std::byte> arguments;
};

template <typename T>
std::span<const std::byte> Bytes(const T& value) {
  return std::as_bytes(std::span(&value, 1));
}

class HotPathTest : public ::testing::Test {
 protected:
  void SetUp() override {
    is_the_tests = true;
    internal::ExportSpec spec;
    spec.set_request_queues(kQueues);
    auto started = harness::WorkerInProcess::Start(std::move(spec));
    ASSERT_TRUE(started.ok()) << started.status();
    worker_ = *std::move(started);
    auto connected = FrontEnd::Connect(worker_->socket(), {.queues = 1 + kQueues});
    ASSERT_TRUE(connected.ok()) << connected.status();
    front_end_ = *std::move(connected);
    ASSERT_TRUE(front_end_->Start().ok());
    ASSERT_TRUE(fuse_.emplace_back(*front_end_, 1).Init().ok());
    fuse_.emplace_back(*front_end_, 2);
    for (const char* name : {"one", "two"}) {
      const FuseReply created = *fuse_[0].Create(FUSE_ROOT_ID, name, 0644, O_RDWR);
      ASSERT_EQ(created.error, 0);
      fuse_open_out open;
      std::memcpy(&open, created.body.data() + sizeof(fuse_entry_out), sizeof open);
      files_.push_back({created.As<fuse_entry_out>().nodeid, open.fh});
    }
  }
  void TearDown() override { front_end_.reset(); }

  struct File {
    uint64_t node;
    uint64_t handle;
  };

  Request Getattr(size_t file) const {
    return {FUSE_GETATTR, files_[file].node, harness::Arguments(Bytes(fuse_getattr_in{}))};
  }
  Request Read(size_t file) const {
    fuse_read_in in{};
    in.fh = files_[file].handle;
    in.size = kTransferBytes;
    return {FUSE_READ, files_[file].node, harness::Arguments(Bytes(in))};
  }
  Request Write(size_t file) const {
    fuse_write_in in{};
    in.fh = files_[file].handle;
    in.size = kTransferBytes;
    Request write{FUSE_WRITE, files_[file].node, harness::Arguments(Bytes(in))};
    write.arguments.resize(write.arguments.size() + kTransferBytes);
    return write;
  }

  // Serves a batch of requests[i] on request queue i, all queues at the same time; each request
  // must succeed.
  void Serve(const std::vector<Request>& requests) {
    const size_t mark = front_end_->arena().mark();
    std::vector<std::map<uint16_t, FuseClient::Submitted>> submitted(requests.size());
    for (size_t i = 0; i < requests.size(); ++i) {
      for (int n = 0; n < kBatch; ++n) {
        const auto one = fuse_[i].Submit(requests[i].opcode, requests[i].node,
                                         requests[i].arguments, kTransferBytes);
        ASSERT_TRUE(one.ok()) << one.status();
        submitted[i][one->head] = *one;
      }
    }
    counting = true;
    for (size_t i = 0; i < requests.size(); ++i) front_end_->Kick(1 + i);
    for (size_t i = 0; i < requests.size(); ++i) {
      while (!submitted[i].empty()) {
        ASSERT_TRUE(front_end_->WaitUsed(1 + i).ok());
        while (const auto used = front_end_->queue(1 + i).PopUsed()) {
          const auto reply = fuse_[i].ReplyOf(submitted[i].at(used->head), used->written);
          ASSERT_TRUE(reply.ok()) << reply.status();
          ASSERT_EQ(reply->error, 0);
          submitted[i].erase(used->head);
        }
      }
    }
    counting = false;
    front_end_->arena().ReleaseTo(mark);
  }

  // The allocations of all the worker's threads for a batch, in the best of several rounds.
  int AllocationsFor(const Request& request) {
    Serve({request});  // what is made once, for the first
    int least = INT32_MAX;
    for (int round = 0; round < kRounds; ++round) {
      for (ThreadUse& use : uses) use.allocations = 0;
      Serve({request});
      int all = 0;
      for (const ThreadUse& use : uses) all += use.allocations;
      least = std::min(least, all);
    }
    return least;
  }

  // How many mutexes more than one thread has locked, in the best of several rounds.
  size_t SharedMutexesOf(const std::vector<Request>& requests) {
    Serve(requests);
    size_t least = SIZE_MAX;
    for (int round = 0; round < kRounds; ++round) {
      for (ThreadUse& use : uses) use.locks = 0;
      Serve(requests);
      std::map<void*, int> lockers;
      for (const ThreadUse& use : uses) {
        std::set<void*> its;
        for (size_t i = 0; i < std::min(use.locks.load(), use.mutexes.size()); ++i) {
          its.insert(use.mutexes.at(i));
        }
        for (void* mutex : its) ++lockers[mutex];
      }
      EXPECT_FALSE(lockers.empty()) << "nothing was counted";
      least = std::min(least, static_cast<size_t>(std::ranges::count_if(
                                  lockers, [](const auto& one) { return one.second > 1; })));
    }
    return least;
  }

  std::unique_ptr<harness::WorkerInProcess> worker_;
  std::unique_ptr<FrontEnd> front_end_;
  std::vector<FuseClient> fuse_;  // by request queue
  std::vector<File> files_;
};

TEST_F(HotPathTest, TheAllocationsOfThreadsAreCounted) {
  // A file that the guest did not know takes memory.
  for (int i = 0; i < 4; ++i) std::ofstream(worker_->share() + "/new" + std::to_string(i));
  for (ThreadUse& use : uses) use.allocations = 0;
  counting = true;
  for (int i = 0; i < 4; ++i) {
    ASSERT_EQ(fuse_[0].Lookup(FUSE_ROOT_ID, "new" + std::to_string(i))->error, 0);
  }
  counting = false;
  EXPECT_TRUE(std::ranges::any_of(uses, [](const ThreadUse& use) { return use.allocations > 0; }));
}

TEST_F(HotPathTest, GetattrAllocatesNothing) { EXPECT_EQ(AllocationsFor(Getattr(0)), 0); }

TEST_F(HotPathTest, LookupOfAKnownNameAllocatesNothing) {
  EXPECT_EQ(AllocationsFor({FUSE_LOOKUP, FUSE_ROOT_ID, harness::Arguments({}, {"one"})}), 0);
}

TEST_F(HotPathTest, StatfsAllocatesNothing) {
  EXPECT_EQ(AllocationsFor({FUSE_STATFS, FUSE_ROOT_ID, {}}), 0);
}

TEST_F(HotPathTest, ReadAllocatesNothing) {
  Serve({Write(0)});
  EXPECT_EQ(AllocationsFor(Read(0)), 0);
}

TEST_F(HotPathTest, WriteAllocatesNothing) { EXPECT_EQ(AllocationsFor(Write(0)), 0); }

TEST_F(HotPathTest, OpenAllocatesNothing) {
  const fuse_open_in in{.flags = O_RDONLY, .open_flags = 0};
  EXPECT_EQ(AllocationsFor({FUSE_OPEN, files_[0].node, harness::Arguments(Bytes(in))}), 0);
}

TEST_F(HotPathTest, ReadsOnTwoQueuesShareNoLock) {
  Serve({Write(0), Write(1)});
  EXPECT_EQ(SharedMutexesOf({Read(0), Read(1)}), 0u);
}

TEST_F(HotPathTest, ReadsOfOneFileOnTwoQueuesShareNoLock) {
  Serve({Write(0)});
  EXPECT_EQ(SharedMutexesOf({Read(0), Read(0)}), 0u);
}

TEST_F(HotPathTest, GetattrsOnTwoQueuesShareNoLock) {
  EXPECT_EQ(SharedMutexesOf({Getattr(0), Getattr(1)}), 0u);
  EXPECT_EQ(SharedMutexesOf({Getattr(0), Getattr(0)}), 0u);
}

TEST_F(HotPathTest, WritesOnTwoQueuesShareNoLock) {
  EXPECT_EQ(SharedMutexesOf({Write(0), Write(1)}), 0u);
}

TEST_F(HotPathTest, LocksThatAreSharedAreSeen) {
  // Opened files have one table.
  const fuse_open_in in{.flags = O_RDONLY, .open_flags = 0};
  const Request open{FUSE_OPEN, files_[0].node, harness::Arguments(Bytes(in))};
  EXPECT_GT(SharedMutexesOf({open, open}), 0u);
}

}  // namespace
}  // namespace fsd
