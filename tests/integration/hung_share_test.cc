// A worker whose shared directory hangs: a FUSE file system of the test's own.
#include <fcntl.h>
#include <linux/fuse.h>

#include <algorithm>
#include <filesystem>
#include <memory>
#include <optional>
#include <ostream>
#include <span>
#include <string>
#include <thread>
#include <utility>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/harness/front_end.h"
#include "tests/harness/fuse_client.h"
#include "tests/harness/hanging_filesystem.h"
#include "tests/harness/running_supervisor.h"

namespace fsd {
namespace {

using harness::FrontEnd;
using harness::FuseClient;
using harness::FuseReply;
using harness::HangingFilesystem;

constexpr uint32_t kVhostSetVringEnable = 18;
constexpr size_t kDataBytes = 8192;
constexpr size_t kRequestQueue = 1;

// An operation that hangs, as the guest asks for it.
struct Hung {
  std::string name;
  uint32_t host_opcode;   // what hangs on the host
  uint32_t guest_opcode;  // by this request, of `file`
};

void PrintTo(const Hung& hung, std::ostream* out) { *out << hung.name; }

class HungShareTest : public ::testing::TestWithParam<Hung> {
 protected:
  void SetUp() override {
    auto started = harness::RunningSupervisor::Start(
        std::filesystem::canonical("server/exe/fsd-worker").string());
    ASSERT_TRUE(started.ok()) << started.status();
    supervisor_ = *std::move(started);
    std::filesystem::create_directories(supervisor_->share("web"));
    auto mounted = HangingFilesystem::Mount(
        supervisor_->share("web"), {{"file", std::string(kDataBytes, 'f')}, {"other", "o"}});
    ASSERT_TRUE(mounted.ok()) << mounted.status();
    host_ = *std::move(mounted);
    const auto made = supervisor_->Create("web");
    ASSERT_TRUE(made.ok()) << made.status();
    auto connected = FrontEnd::Connect(made->record.spec().socket_path(), {});
    ASSERT_TRUE(connected.ok()) << connected.status();
    front_end_ = *std::move(connected);
    ASSERT_TRUE(front_end_->Start().ok());
    fuse_ = std::make_unique<FuseClient>(*front_end_);
    ASSERT_TRUE(fuse_->Init().ok());
    file_ = Lookup("file");
    const auto opened = fuse_->Open(file_, O_RDWR);
    ASSERT_TRUE(opened.ok() && opened->error == 0);
    handle_ = opened->As<fuse_open_out>().fh;
  }
  void TearDown() override {
    host_->Fail();
    fuse_.reset();
    front_end_.reset();
    EXPECT_TRUE(supervisor_->Delete("web", true).ok());
    host_.reset();
  }

  uint64_t Lookup(const std::string& name) {
    const auto reply = fuse_->Lookup(FUSE_ROOT_ID, name);
    EXPECT_TRUE(reply.ok() && reply->error == 0) << name;
    return reply.ok() && reply->error == 0 ? reply->As<fuse_entry_out>().nodeid : 0;
  }

  // Sends the request that hangs, and waits until it does.
  FuseClient::Submitted HangOne() {
    host_->Hang(GetParam().host_opcode);
    auto submitted = Send();
    EXPECT_TRUE(submitted.ok()) << submitted.status();
    front_end_->Kick(kRequestQueue);
    EXPECT_TRUE(host_->AwaitHanging(1));
    return submitted.ok() ? *submitted : FuseClient::Submitted{};
  }
  absl::StatusOr<FuseClient::Submitted> Send() {
    const uint32_t opcode = GetParam().guest_opcode;
    switch (opcode) {
      case FUSE_LOOKUP:
        return fuse_->Submit(opcode, FUSE_ROOT_ID, harness::Arguments({}, {"other"}), 256);
      case FUSE_GETATTR:
        return SendBody(opcode, fuse_getattr_in{}, 256);
      case FUSE_OPEN:
        return SendBody(opcode, fuse_open_in{.flags = O_RDONLY, .open_flags = 0}, 256);
      case FUSE_READ: {
        fuse_read_in in{};
        in.fh = handle_;
        in.size = kDataBytes;
        return SendBody(opcode, in, kDataBytes);
      }
      case FUSE_WRITE: {
        fuse_write_in in{};
        in.fh = handle_;
        in.size = kDataBytes;
        return SendBody(opcode, in, 256, std::string(kDataBytes, 'w'));
      }
      default: {
        fuse_fsync_in in{};
        in.fh = handle_;
        return SendBody(opcode, in, 256);
      }
    }
  }
  template <typename Body>
  absl::StatusOr<FuseClient::Submitted> SendBody(uint32_t opcode, const Body& body, size_t room,
                                                 const std::string& tail = "") {
    auto bytes = harness::Arguments(std::as_bytes(std::span(&body, 1)));
    const auto more = std::as_bytes(std::span(tail));
    bytes.insert(bytes.end(), more.begin(), more.end());
    return fuse_->Submit(opcode, file_, bytes, room);
  }
  // What the guest gets for it once it does not hang any more.
  void ExpectDone(const FuseClient::Submitted& hung) {
    std::optional<harness::DriverQueue::Used> used;
    while (!(used = front_end_->queue(kRequestQueue).PopUsed()).has_value()) {
      ASSERT_TRUE(front_end_->WaitUsed(kRequestQueue).ok());
    }
    ASSERT_EQ(used->head, hung.head);
    const auto reply = fuse_->ReplyOf(hung, used->written);
    ASSERT_TRUE(reply.ok()) << reply.status();
    EXPECT_EQ(reply->error, 0);
    if (GetParam().guest_opcode == FUSE_READ) {
      EXPECT_EQ(reply->body.size(), kDataBytes);
      EXPECT_TRUE(std::ranges::all_of(reply->body, [](auto b) { return b == std::byte{'f'}; }));
    }
    if (GetParam().guest_opcode == FUSE_WRITE) {
      EXPECT_EQ(host_->contents("file"), std::string(kDataBytes, 'w'));
    }
  }

  std::unique_ptr<harness::RunningSupervisor> supervisor_;
  std::unique_ptr<HangingFilesystem> host_;
  std::unique_ptr<FrontEnd> front_end_;
  std::unique_ptr<FuseClient> fuse_;
  uint64_t file_ = 0;
  uint64_t handle_ = 0;
};

TEST_P(HungShareTest, OtherRequestsOfTheSameVringGoOn) {
  const FuseClient::Submitted hung = HangOne();

  const auto answer = fuse_->Lookup(FUSE_ROOT_ID, std::string(300, 'x'));
  ASSERT_TRUE(answer.ok()) << answer.status();
  EXPECT_EQ(answer->error, ENAMETOOLONG);

  host_->GoOn();
  ExpectDone(hung);
}

TEST_P(HungShareTest, TheVmmIsAnsweredAndTheRequestIsCompletedOnceTheRingRunsAgain) {
  const FuseClient::Submitted hung = HangOne();
  ASSERT_TRUE(front_end_->StopQueues().ok());
  host_->GoOn();

  ASSERT_TRUE(front_end_->StartQueues().ok());

  ExpectDone(hung);
  EXPECT_NE(Lookup("other"), 0u);
}

TEST_P(HungShareTest, ARingThatRunsAgainBeforeTheHangEndsGetsTheReplyWhenItDoes) {
  const FuseClient::Submitted hung = HangOne();
  ASSERT_TRUE(front_end_->StopQueues().ok());
  ASSERT_TRUE(front_end_->StartQueues().ok());

  host_->GoOn();

  ExpectDone(hung);
  EXPECT_NE(Lookup("other"), 0u);
}

TEST_P(HungShareTest, WithEveryThreadStuckTheVmmIsAnswered) {
  host_->Hang(GetParam().host_opcode);
  for (int i = 0; i < 12; ++i) ASSERT_TRUE(Send().ok());
  front_end_->Kick(kRequestQueue);
  ASSERT_TRUE(host_->AwaitHanging(1));

  struct {
    uint32_t index;
    uint32_t state;
  } const enable{.index = kRequestQueue, .state = 1};
  const auto enabled =
      front_end_->SendAcknowledged(kVhostSetVringEnable, std::as_bytes(std::span(&enable, 1)));
  ASSERT_TRUE(enabled.ok()) << enabled.status();
  EXPECT_EQ(*enabled, 0u);
  EXPECT_TRUE(front_end_->StopQueues().ok());
}

// Once is enough: it takes some seconds.
class HungShareDeletionTest : public HungShareTest {};

TEST_P(HungShareDeletionTest, IsAnsweredAndDoneWhenTheHangEnds) {
  HangOne();

  const absl::Status deleted = supervisor_->Delete("web", true);

  // The host's kernel does not let a thread go whose request FUSE has begun.
  EXPECT_EQ(deleted.code(), absl::StatusCode::kUnavailable) << deleted;
  EXPECT_THAT(deleted.message(), ::testing::HasSubstr("blocked in the kernel"));
  const auto left = supervisor_->Get("web");
  ASSERT_TRUE(left.ok()) << left.status();
  EXPECT_EQ(left->state, supervisor::ExportState::kDeleting);
  EXPECT_FALSE(std::filesystem::exists(left->record.spec().socket_path()));
  EXPECT_EQ(supervisor_->Delete("web", true), deleted) << "and at once";
  ASSERT_TRUE(supervisor_->Create("another").ok());
  EXPECT_TRUE(supervisor_->Delete("another", true).ok());
  host_->Fail();
  while (supervisor_->Get("web").ok()) std::this_thread::yield();
  ASSERT_TRUE(supervisor_->Create("web").ok());
}

INSTANTIATE_TEST_SUITE_P(OfAThread, HungShareDeletionTest,
                         ::testing::Values(Hung{"GetAttributes", FUSE_GETATTR, FUSE_GETATTR}),
                         [](const auto& instance) { return instance.param.name; });

INSTANTIATE_TEST_SUITE_P(Each, HungShareTest,
                         ::testing::Values(Hung{"Lookup", FUSE_LOOKUP, FUSE_LOOKUP},
                                           Hung{"GetAttributes", FUSE_GETATTR, FUSE_GETATTR},
                                           Hung{"Open", FUSE_OPEN, FUSE_OPEN},
                                           Hung{"Read", FUSE_READ, FUSE_READ},
                                           Hung{"Write", FUSE_WRITE, FUSE_WRITE},
                                           Hung{"Fsync", FUSE_FSYNC, FUSE_FSYNC}),
                         [](const auto& instance) { return instance.param.name; });

}  // namespace
}  // namespace fsd
