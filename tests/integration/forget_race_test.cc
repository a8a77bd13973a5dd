// FORGET on the high-priority queue while the request queues look up, open, read and stat the very
// inodes that are forgotten. For ThreadSanitizer as well: everything runs in this process.
#include <fcntl.h>
#include <linux/fuse.h>

#include <cstdint>
#include <fstream>
#include <map>
#include <memory>
#include <set>
#include <span>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/harness/front_end.h"
#include "tests/harness/fuse_client.h"
#include "tests/harness/worker_in_process.h"

namespace fsd {
namespace {

using harness::FrontEnd;
using harness::FuseClient;
using ::testing::AnyOf;

constexpr size_t kRequestQueues = 3;
constexpr size_t kFiles = 4;
constexpr int kRounds = 150;
constexpr int kRequestsOfARound = 24;  // on each queue

template <typename T>
std::span<const std::byte> Bytes(const T& value) {
  return std::as_bytes(std::span(&value, 1));
}

class ForgetRaceTest : public ::testing::Test {
 protected:
  void SetUp() override {
    internal::ExportSpec spec;
    spec.set_request_queues(kRequestQueues);
    auto started = harness::WorkerInProcess::Start(std::move(spec));
    ASSERT_TRUE(started.ok()) << started.status();
    worker_ = *std::move(started);
    for (size_t i = 0; i < kFiles; ++i) std::ofstream(worker_->share() + "/" + Name(i)) << "text";
    auto connected = FrontEnd::Connect(worker_->socket(),
                                       {.queues = 1 + kRequestQueues, .queue = {.size = 256}});
    ASSERT_TRUE(connected.ok()) << connected.status();
    front_end_ = *std::move(connected);
    ASSERT_TRUE(front_end_->Start().ok());
    for (size_t queue = 0; queue <= kRequestQueues; ++queue) fuse_.emplace_back(*front_end_, queue);
    ASSERT_TRUE(fuse_[1].Init().ok());
  }
  void TearDown() override { front_end_.reset(); }

  static std::string Name(size_t file) { return "file" + std::to_string(file); }

  struct OpenFile {
    uint64_t node;
    uint64_t handle;
  };
  struct InFlight {
    uint32_t opcode;
    uint64_t node;
    FuseClient::Submitted submitted;
  };

  void Submit(size_t queue, uint32_t opcode, uint64_t node, const std::vector<std::byte>& arguments,
              size_t room = 256) {
    const auto submitted = fuse_[queue].Submit(opcode, node, arguments, room);
    ASSERT_TRUE(submitted.ok()) << submitted.status();
    in_flight_[queue][submitted->head] = {opcode, node, *submitted};
  }

  // Collects a queue's replies: what a lookup has found is known, what an open has opened is open.
  void Collect(size_t queue) {
    while (!in_flight_[queue].empty()) {
      ASSERT_TRUE(front_end_->WaitUsed(queue).ok());
      while (const auto used = front_end_->queue(queue).PopUsed()) {
        const InFlight one = in_flight_[queue].at(used->head);
        in_flight_[queue].erase(used->head);
        if (one.opcode == FUSE_FORGET) continue;
        const auto reply = fuse_[queue].ReplyOf(one.submitted, used->written);
        ASSERT_TRUE(reply.ok()) << reply.status();
        if (one.opcode == FUSE_LOOKUP) {
          ASSERT_EQ(reply->error, 0);
          ++lookups_[reply->As<fuse_entry_out>().nodeid];
        } else {
          ASSERT_THAT(reply->error, AnyOf(0, ESTALE)) << "opcode " << one.opcode;
        }
        if (one.opcode == FUSE_OPEN && reply->error == 0) {
          open_.push_back({one.node, reply->As<fuse_open_out>().fh});
        }
      }
    }
  }

  // Their inodes may be forgotten already.
  void ReleaseAll(size_t queue) {
    for (const OpenFile& file : open_) {
      fuse_release_in release{};
      release.fh = file.handle;
      Submit(queue, FUSE_RELEASE, file.node, harness::Arguments(Bytes(release)));
    }
    open_.clear();
  }
  // All that the guest knows, in two messages for each inode.
  void ForgetAll() {
    for (const auto& [node, count] : lookups_) {
      for (const uint64_t part : {count / 2, count - count / 2}) {
        Submit(0, FUSE_FORGET, node, harness::Arguments(Bytes(fuse_forget_in{.nlookup = part})), 0);
      }
    }
    lookups_.clear();
  }
  void KickAndCollect() {
    for (size_t queue = 0; queue <= kRequestQueues; ++queue) front_end_->Kick(queue);
    for (size_t queue = 0; queue <= kRequestQueues; ++queue) Collect(queue);
  }

  std::unique_ptr<harness::WorkerInProcess> worker_;
  std::unique_ptr<FrontEnd> front_end_;
  std::vector<FuseClient> fuse_;  // by queue
  std::map<size_t, std::map<uint16_t, InFlight>> in_flight_;
  std::map<uint64_t, uint64_t> lookups_;  // of each node that the guest knows
  std::vector<OpenFile> open_;
};

TEST_F(ForgetRaceTest, EveryReplyIsTrueAndNothingIsLeft) {
  const auto getattr = harness::Arguments(Bytes(fuse_getattr_in{}));
  const auto open = harness::Arguments(Bytes(fuse_open_in{.flags = O_RDONLY, .open_flags = 0}));
  const uint64_t inodes_of_a_fresh_session = worker_->Usage().inodes;
  std::set<uint64_t> known;
  for (int round = 0; round < kRounds; ++round) {
    known.clear();
    for (const auto& [node, count] : lookups_) known.insert(node);
    // While it is used and looked up anew.
    ForgetAll();
    for (int i = 0; i < kRequestsOfARound; ++i) {
      Submit(1, FUSE_LOOKUP, FUSE_ROOT_ID,
             harness::Arguments({}, {Name(static_cast<size_t>(i) % kFiles)}));
      Submit(2, FUSE_LOOKUP, FUSE_ROOT_ID, harness::Arguments({}, {Name(0)}));
    }
    for (const uint64_t node : known) {
      Submit(3, FUSE_GETATTR, node, getattr);
      Submit(3, FUSE_OPEN, node, open);
      Submit(2, FUSE_GETATTR, node, getattr);
    }
    ReleaseAll(3);
    // The arena has room for all rounds: a buffer that came back on another queue would be a race to
    // ThreadSanitizer, which does not see through the two mappings of the rings what orders them.
    ASSERT_NO_FATAL_FAILURE(KickAndCollect());
  }

  ReleaseAll(1);
  ForgetAll();
  ASSERT_NO_FATAL_FAILURE(KickAndCollect());
  EXPECT_EQ(worker_->Usage().inodes, inodes_of_a_fresh_session);
  EXPECT_EQ(worker_->Usage().open_files, 0u);
}

}  // namespace
}  // namespace fsd
