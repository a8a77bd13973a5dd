#include "server/ipc/worker_channel.h"

#include <span>
#include <string>
#include <string_view>
#include <utility>

#include "gtest/gtest.h"
#include "server/os/memory_file.h"
#include "server/os/unix_socket.h"

namespace fsd::ipc {
namespace {

class WorkerChannelTest : public ::testing::Test {
 protected:
  WorkerChannelTest() : WorkerChannelTest(*os::UnixSocketPair(os::SocketType::kSeqPacket)) {}

  void SendRaw(std::string_view text, std::span<const int> fds = {}) {
    ASSERT_TRUE(os::SendWithFds(supervisor_.fd(), std::as_bytes(std::span(text)), fds).ok());
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
