#include "server/ipc/worker_channel.h"

#include <fcntl.h>

#include <filesystem>
#include <iterator>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "gtest/gtest.h"
#include "server/os/memory_file.h"
#include "server/os/unix_socket.h"

namespace fsd::ipc {
namespace {

size_t OpenFds() {
  return static_cast<size_t>(std::distance(std::filesystem::directory_iterator("/proc/self/fd"),
                                           std::filesystem::directory_iterator()));
}

class WorkerChannelTest : public ::testing::Test {
 protected:
  WorkerChannelTest() : WorkerChannelTest(*os::UnixSocketPair(os::SocketType::kSeqPacket)) {}

  void SendRaw(std::string_view text, std::span<const int> fds = {}) {
    ASSERT_TRUE(os::SendWithFds(supervisor_.fd(), std::as_bytes(std::span(text)), fds).ok());
  }

  void SendToSupervisor(std::string_view text, std::span<const int> fds) {
    ASSERT_TRUE(os::SendWithFds(worker_.fd(), std::as_bytes(std::span(text)), fds).ok());
  }

  WorkerChannel supervisor_;
  WorkerChannel worker_;

 private:
  explicit WorkerChannelTest(std::pair<os::UniqueFd, os::UniqueFd> pair)
      : supervisor_(std::move(pair.first)), worker_(std::move(pair.second)) {}
};

TEST_F(WorkerChannelTest, CarriesMessagesBothWays) {
  internal::ToWorker hello;
  hello.mutable_hello()->set_version(kProtocolVersion);
  ASSERT_TRUE(supervisor_.Send(hello).ok());
  auto received = worker_.ReceiveToWorker();
  ASSERT_TRUE(received.ok() && received->has_value());
  EXPECT_EQ((*received)->hello().version(), kProtocolVersion);

  internal::FromWorker status;
  status.mutable_status()->set_inodes(7);
  ASSERT_TRUE(worker_.Send(status).ok());
  auto answer = supervisor_.ReceiveFromWorker();
  ASSERT_TRUE(answer.ok() && answer->has_value());
  EXPECT_EQ((*answer)->status().inodes(), 7u);
}

TEST_F(WorkerChannelTest, NothingSentIsNoMessageAndNoError) {
  auto received = worker_.ReceiveToWorker();
  ASSERT_TRUE(received.ok());
  EXPECT_FALSE(received->has_value());
}

TEST_F(WorkerChannelTest, GarbageIsAnError) {
  SendRaw("\xff\xff\xff\xff");
  EXPECT_EQ(worker_.ReceiveToWorker().status().code(), absl::StatusCode::kInvalidArgument);
}

TEST_F(WorkerChannelTest, UnexpectedDescriptorsAreAnErrorAndNotKept) {
  internal::ToWorker stop;
  stop.mutable_stop();
  const auto file = os::CreateMemoryFile("test", 1);
  const int fds[] = {file->get()};
  SendRaw(stop.SerializeAsString(), fds);
  EXPECT_EQ(worker_.ReceiveToWorker().status().code(), absl::StatusCode::kInvalidArgument);
}

TEST_F(WorkerChannelTest, AHandoverBringsItsTwoDescriptorsCloseOnExec) {
  const auto file = os::CreateMemoryFile("test", 1);
  internal::FromWorker handover;
  handover.mutable_handover()->mutable_spec()->set_export_uid("uid");
  ASSERT_TRUE(worker_.SendHandover(handover, file->get(), file->get()).ok());
  const auto received = supervisor_.ReceiveFromWorkerWithFds();
  ASSERT_TRUE(received.ok() && received->has_value());
  EXPECT_EQ((*received)->message.handover().spec().export_uid(), "uid");
  ASSERT_EQ((*received)->fds.size(), kHandoverFds);
  for (const os::UniqueFd& fd : (*received)->fds) EXPECT_EQ(::fcntl(fd.get(), F_GETFD), FD_CLOEXEC);
}

TEST_F(WorkerChannelTest, AHandoverThatNobodyAwaitsIsAnError) {
  const auto file = os::CreateMemoryFile("test", 1);
  internal::FromWorker handover;
  handover.mutable_handover();
  ASSERT_TRUE(worker_.SendHandover(handover, file->get(), file->get()).ok());
  EXPECT_EQ(supervisor_.ReceiveFromWorker().status().code(), absl::StatusCode::kInvalidArgument);
}

TEST_F(WorkerChannelTest, AnotherNumberOfDescriptorsIsAnErrorAndNoneIsKept) {
  internal::FromWorker handover, status;
  handover.mutable_handover();
  status.mutable_status();
  const std::string handover_bytes = handover.SerializeAsString();
  const std::string status_bytes = status.SerializeAsString();
  const auto file = os::CreateMemoryFile("test", 1);
  const size_t before = OpenFds();
  for (const size_t count : {size_t{0}, size_t{1}, size_t{3}, os::kMaxFdsPerMessage}) {
    SendToSupervisor(handover_bytes, std::vector<int>(count, file->get()));
    EXPECT_EQ(supervisor_.ReceiveFromWorkerWithFds().status().code(),
              absl::StatusCode::kInvalidArgument)
        << count;
  }
  SendToSupervisor(status_bytes, std::vector<int>(kHandoverFds, file->get()));
  EXPECT_EQ(supervisor_.ReceiveFromWorkerWithFds().status().code(),
            absl::StatusCode::kInvalidArgument);
  while (OpenFds() > before) {  // closed on other threads
  }
}

TEST(Versions, AreSpokenIfThereIsOneThatBothKnow) {
  EXPECT_TRUE(IsSpoken(kProtocolVersion, 0));
  EXPECT_TRUE(IsSpoken(kProtocolVersion, kOldestProtocolVersion));
  EXPECT_TRUE(IsSpoken(kProtocolVersion + 5, kProtocolVersion));
  EXPECT_FALSE(IsSpoken(kProtocolVersion + 5, kProtocolVersion + 1));
  EXPECT_FALSE(IsSpoken(kProtocolVersion + 1, 0));
  EXPECT_FALSE(IsSpoken(kOldestProtocolVersion - 1, 0));
}

TEST_F(WorkerChannelTest, AMessageTooLargeIsRefusedBeforeItIsSent) {
  internal::FromWorker hello;
  hello.mutable_hello()->set_export_uid(std::string(kMaxMessageBytes, 'x'));
  EXPECT_EQ(worker_.Send(hello).code(), absl::StatusCode::kResourceExhausted);
}

TEST_F(WorkerChannelTest, AClosedPeerIsUnavailable) {
  { WorkerChannel closed = std::move(supervisor_); }
  EXPECT_EQ(worker_.ReceiveToWorker().status().code(), absl::StatusCode::kUnavailable);
  EXPECT_EQ(worker_.Send(internal::FromWorker()).code(), absl::StatusCode::kUnavailable);
}

}  // namespace
}  // namespace fsd::ipc
