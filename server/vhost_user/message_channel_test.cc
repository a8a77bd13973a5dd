#include "server/vhost_user/message_channel.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>
#include <utility>
#include <vector>

#include "server/os/event_fd.h"
#include "server/os/unix_socket.h"

namespace fsd::vhost_user {
namespace {

using Reading = MessageChannel::Reading;

class MessageChannelTest : public testing::Test {
 protected:
  static std::pair<os::UniqueFd, os::UniqueFd> Sockets() {
    return *os::UnixSocketPair(os::SocketType::kStream);
  }

  void Send(std::span<const std::byte> bytes, std::span<const int> fds = {}) {
    const ErrnoOr<size_t> sent = os::SendWithFds(peer_.get(), bytes, fds);
    ASSERT_TRUE(sent.ok());
    ASSERT_EQ(*sent, bytes.size());
  }

  static std::vector<std::byte> Encode(uint32_t request, uint32_t flags, uint32_t size,
                                       std::vector<std::byte> body = {}) {
    const MessageHeader header{request, flags, size};
    std::vector<std::byte> bytes(sizeof header);
    std::memcpy(bytes.data(), &header, sizeof header);
    bytes.insert(bytes.end(), body.begin(), body.end());
    return bytes;
  }

  std::pair<os::UniqueFd, os::UniqueFd> sockets_ = Sockets();
  os::UniqueFd peer_ = std::move(sockets_.first);
  MessageChannel channel_{std::move(sockets_.second)};
  os::EventFd event_ = *os::EventFd::Create();
  const int fds_[1] = {event_.fd()};
  const std::vector<std::byte> body_ = {std::byte{1}, std::byte{2}, std::byte{3}};
};

TEST_F(MessageChannelTest, AMessageArrivesByteByByteWithItsDescriptor) {
  const std::vector<std::byte> bytes = Encode(12, kVersion, 3, body_);
  Send(std::span(bytes).first(1), fds_);
  for (size_t i = 1; i < bytes.size(); ++i) {
    EXPECT_EQ(channel_.Read(), Reading::kNothing);
    Send(std::span(bytes).subspan(i, 1));
  }
  ASSERT_EQ(channel_.Read(), Reading::kMessage);
  EXPECT_EQ(channel_.message().header.request, 12u);
  EXPECT_THAT(channel_.message().body, testing::ElementsAreArray(body_));
  EXPECT_EQ(channel_.message().fds.size(), 1u);
}

TEST_F(MessageChannelTest, DescriptorsStayWithTheirMessages) {
  Send(Encode(1, kVersion, 3, body_));
  Send(Encode(2, kVersion, 0), fds_);
  Send(Encode(3, kVersion, 0));
  ASSERT_EQ(channel_.Read(), Reading::kMessage);
  EXPECT_EQ(channel_.message().fds.size(), 0u);
  ASSERT_EQ(channel_.Read(), Reading::kMessage);
  EXPECT_EQ(channel_.message().fds.size(), 1u);
  ASSERT_EQ(channel_.Read(), Reading::kMessage);
  EXPECT_EQ(channel_.message().header.request, 3u);
  EXPECT_EQ(channel_.message().fds.size(), 0u);
  EXPECT_EQ(channel_.Read(), Reading::kNothing);
}

TEST_F(MessageChannelTest, TheLargestBodyFits) {
  Send(Encode(5, kVersion, kMaxBodyBytes, std::vector<std::byte>(kMaxBodyBytes, std::byte{7})));
  ASSERT_EQ(channel_.Read(), Reading::kMessage);
  EXPECT_EQ(channel_.message().body.size(), kMaxBodyBytes);
  EXPECT_EQ(channel_.message().body.back(), std::byte{7});
}

TEST_F(MessageChannelTest, ALargerBodyIsMalformed) {
  Send(Encode(5, kVersion, kMaxBodyBytes + 1));
  EXPECT_EQ(channel_.Read(), Reading::kMalformed);
  EXPECT_EQ(channel_.Read(), Reading::kMalformed);
}

TEST_F(MessageChannelTest, AnotherVersionIsMalformed) {
  Send(Encode(1, 2, 0));
  EXPECT_EQ(channel_.Read(), Reading::kMalformed);
}

TEST_F(MessageChannelTest, AReplyIsMalformed) {
  Send(Encode(1, kVersion | kReplyFlag, 0));
  EXPECT_EQ(channel_.Read(), Reading::kMalformed);
}

TEST_F(MessageChannelTest, DescriptorsWithinAMessageAreMalformed) {
  const std::vector<std::byte> bytes = Encode(12, kVersion, 3, body_);
  Send(std::span(bytes).first(13));
  Send(std::span(bytes).subspan(13), fds_);
  EXPECT_EQ(channel_.Read(), Reading::kMalformed);
}

TEST_F(MessageChannelTest, TooManyDescriptorsAreMalformed) {
  Send(Encode(5, kVersion, 0), std::vector<int>(kMaxMessageFds + 1, event_.fd()));
  EXPECT_EQ(channel_.Read(), Reading::kMalformed);
}

TEST_F(MessageChannelTest, APeerThatClosesWithinAMessageHasClosed) {
  const std::vector<std::byte> bytes = Encode(1, kVersion, 3);
  Send(std::span(bytes).first(7));
  peer_.reset();
  EXPECT_EQ(channel_.Read(), Reading::kClosed);
}

TEST_F(MessageChannelTest, RepliesThatTheSocketDoesNotTakeAreKeptAndSentInOrder) {
  std::vector<std::byte> body(kMaxBodyBytes);
  uint32_t replies = 0;
  while (!channel_.has_unsent()) {
    ASSERT_TRUE(channel_.Reply(replies++, body));
  }
  std::vector<std::byte> received;
  std::vector<std::byte> buffer(1 << 16);
  while (channel_.has_unsent() || received.size() < replies * (12 + body.size())) {
    const ErrnoOr<os::Received> part = os::ReceiveWithFds(peer_.get(), buffer, 0);
    ASSERT_TRUE(part.ok());
    received.insert(received.end(), buffer.begin(), buffer.begin() + part->bytes);
    ASSERT_TRUE(channel_.Flush());
  }
  MessageHeader last;
  std::memcpy(&last, received.data() + (replies - 1) * (12 + body.size()), sizeof last);
  EXPECT_EQ(last.request, replies - 1);
  EXPECT_EQ(last.flags, kVersion | kReplyFlag);
}

TEST_F(MessageChannelTest, ReplyingToAPeerThatIsGoneFails) {
  peer_.reset();
  EXPECT_FALSE(channel_.Reply(1, body_));
}

}  // namespace
}  // namespace fsd::vhost_user
