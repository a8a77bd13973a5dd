#include "server/vhost_user/connection.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/epoll.h>

#include <cstring>
#include <functional>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "server/os/unix_socket.h"
#include "server/vhost_user/test_front_end.h"

namespace fsd::vhost_user {
namespace {

using enum FrontendRequest;
using testing::ElementsAre;
using testing::IsEmpty;
using testing::Optional;

class ConnectionTest : public testing::Test {
 protected:
  void StartBothVrings() {
    vmm_.Negotiate();
    vmm_.AddMemory();
    for (uint32_t vring : {0, 1}) {
      vmm_.StartVring(vring);
      vmm_.Tell(kSetVringEnable, VringState{vring, 1});
    }
    ASSERT_EQ(vmm_.connection().started_vrings(), 2u);
    device_.TakeCalls();
  }

  std::optional<VringState> TakeVringState() {
    const std::optional<Reply> reply = vmm_.TakeReply();
    if (!reply || reply->body.size() != sizeof(VringState)) return std::nullopt;
    VringState state;
    std::memcpy(&state, reply->body.data(), sizeof state);
    return state;
  }

  FakeDevice device_;
  TestFrontEnd vmm_{device_};
  os::UniqueFd event_ = MakeEvent();
  os::UniqueFd memory_ = MakeMemory();
  const int event_fds_[1] = {event_.get()};
  const int memory_fds_[1] = {memory_.get()};
};

// Features.

TEST_F(ConnectionTest, ConfigIsOfferedOnlyOnDemand) {
  TestFrontEnd with_config(device_, /*offer_config=*/true);
  EXPECT_THAT(vmm_.Ask(kGetProtocolFeatures), Optional(kOfferedProtocolFeatures));
  EXPECT_THAT(with_config.Ask(kGetProtocolFeatures), Optional(kOfferedProtocolFeatures | kConfig));
}

TEST_F(ConnectionTest, AFeatureThatWasNotOfferedIsRefused) {
  vmm_.Negotiate();
  EXPECT_THAT(vmm_.TellWithAck(kSetFeatures, kVersion1 | kAccessPlatform), Optional(1u));
  EXPECT_THAT(vmm_.TellWithAck(kSetProtocolFeatures, uint64_t{kInflightShmfd}), Optional(1u));
  EXPECT_EQ(vmm_.connection().virtio_features(), kOfferedVirtioFeatures & ~kLogAll);
  EXPECT_EQ(vmm_.connection().protocol_features(), kOfferedProtocolFeatures);
  EXPECT_EQ(vmm_.stopped(), std::nullopt);
}

TEST_F(ConnectionTest, AFeatureThatWasNotOfferedEndsAConnectionThatCannotBeTold) {
  vmm_.Negotiate();
  vmm_.Tell(kSetFeatures, kVersion1 | kAccessPlatform);
  EXPECT_EQ(vmm_.stopped(), StopReason::kProtocolError);
}

TEST_F(ConnectionTest, WithoutReplyAckNothingIsAcknowledged) {
  vmm_.Negotiate(kOfferedVirtioFeatures, kOfferedProtocolFeatures & ~kReplyAck);
  EXPECT_EQ(vmm_.TellWithAck(kSetVringCall, uint64_t{0}, event_fds_), std::nullopt);
  EXPECT_EQ(vmm_.TellWithAck(kSetVringCall, uint64_t{9}, event_fds_), std::nullopt);
  EXPECT_EQ(vmm_.stopped(), std::nullopt);
}

TEST_F(ConnectionTest, ARequestWithAReplyOfItsOwnIsAnsweredOnce) {
  vmm_.Negotiate();
  EXPECT_THAT(vmm_.TellWithAck(kGetFeatures), Optional(kOfferedVirtioFeatures));
  EXPECT_EQ(vmm_.TakeReply().has_value(), false);
}

// The device as a whole.

TEST_F(ConnectionTest, ResettingTheDeviceKeepsMemoryOwnerAndProtocolFeatures) {
  StartBothVrings();
  EXPECT_THAT(vmm_.TellWithAck(kResetDevice), Optional(0u));
  EXPECT_THAT(device_.TakeCalls(), ElementsAre("disable 0", "disable 1", "reset"));
  EXPECT_EQ(vmm_.connection().started_vrings(), 0u);
  EXPECT_EQ(vmm_.connection().protocol_features(), kOfferedProtocolFeatures);
  vmm_.Tell(kSetFeatures, kOfferedVirtioFeatures);
  vmm_.Tell(kRemMemReg, SingleMemoryRegion{.region = TestFrontEnd::kRegion});
  EXPECT_THAT(device_.TakeCalls(), ElementsAre("log off", "memory 0"));
  EXPECT_EQ(vmm_.stopped(), std::nullopt);
}

TEST_F(ConnectionTest, ResettingTheOwnerChangesNothing) {
  StartBothVrings();
  vmm_.Tell(kResetOwner);
  EXPECT_EQ(vmm_.connection().started_vrings(), 2u);
  EXPECT_THAT(device_.TakeCalls(), IsEmpty());
  EXPECT_EQ(vmm_.stopped(), std::nullopt);
}

// Memory.

TEST_F(ConnectionTest, ATableThatCannotBeMadeLeavesTheOldOne) {
  vmm_.Negotiate();
  vmm_.AddMemory();
  device_.TakeCalls();
  EXPECT_THAT(vmm_.TellWithAck(kAddMemReg, SingleMemoryRegion{.region = TestFrontEnd::kRegion},
                               memory_fds_),
              Optional(1u));
  MemoryTable table;
  table.count = 1;
  table.regions[0].size = 1ull << 40;
  EXPECT_THAT(vmm_.TellWithAck(kSetMemTable, table, memory_fds_), Optional(1u));
  EXPECT_THAT(device_.TakeCalls(), IsEmpty());
  EXPECT_THAT(vmm_.TellWithAck(kRemMemReg, SingleMemoryRegion{.region = TestFrontEnd::kRegion}),
              Optional(0u));
}

TEST_F(ConnectionTest, RemovingWhatIsNotThereIsNoReasonToClose) {
  vmm_.Negotiate();
  vmm_.Tell(kRemMemReg, SingleMemoryRegion{.region = TestFrontEnd::kRegion});
  EXPECT_EQ(vmm_.stopped(), std::nullopt);
  EXPECT_THAT(vmm_.TellWithAck(kRemMemReg, SingleMemoryRegion{.region = TestFrontEnd::kRegion}),
              Optional(1u));
}

// QEMU sends one along.
TEST_F(ConnectionTest, TheDescriptorOfARegionThatIsRemovedIsClosedAtOnce) {
  vmm_.Negotiate();
  vmm_.AddMemory();
  device_.defers = true;
  const size_t fds_before = CountOpenFds();
  vmm_.Tell(kRemMemReg, SingleMemoryRegion{.region = TestFrontEnd::kRegion}, memory_fds_);
  EXPECT_FALSE(vmm_.connection().wants_read());
  // The message's, and the one that the memory had kept.
  EXPECT_EQ(CountOpenFds(), fds_before - 1);
}

TEST_F(ConnectionTest, ALogThatCannotBeMappedIsNeverConfirmed) {
  vmm_.Negotiate();
  EXPECT_THAT(
      vmm_.TellWithAck(kSetLogBase, LogDescription{.size = 1ull << 40, .offset = 0}, memory_fds_),
      Optional(1u));
  vmm_.Tell(kSetLogBase, LogDescription{.size = 1ull << 40, .offset = 0}, memory_fds_);
  EXPECT_EQ(vmm_.TakeReply().has_value(), false);
  EXPECT_EQ(vmm_.stopped(), StopReason::kProtocolError);
}

// Configuration space.

TEST_F(ConnectionTest, ConfigurationBeyondTheEndIsAnsweredWithoutABody) {
  TestFrontEnd vmm(device_, /*offer_config=*/true);
  vmm.Negotiate(kOfferedVirtioFeatures, kReplyAck | kConfig);
  for (const ConfigHeader wanted :
       {ConfigHeader{.offset = 0, .size = 41}, ConfigHeader{.offset = 40, .size = 1},
        ConfigHeader{.offset = 1, .size = 0xffffffff},
        ConfigHeader{.offset = 0xffffffff, .size = 2}}) {
    vmm.Tell(kGetConfig, wanted);
    const std::optional<Reply> reply = vmm.TakeReply();
    ASSERT_TRUE(reply.has_value());
    EXPECT_EQ(reply->body.size(), 0u);
  }
  EXPECT_EQ(vmm.stopped(), std::nullopt);
}

TEST_F(ConnectionTest, ConfigurationIsReadFromAnyOffset) {
  device_.configuration[36] = std::byte{1};
  TestFrontEnd vmm(device_, /*offer_config=*/true);
  vmm.Negotiate(kOfferedVirtioFeatures, kConfig);
  vmm.Tell(kGetConfig, ConfigHeader{.offset = 36, .size = 4});
  const std::optional<Reply> reply = vmm.TakeReply();
  ASSERT_EQ(reply->body.size(), sizeof(ConfigHeader) + 4);
  EXPECT_EQ(reply->body[sizeof(ConfigHeader)], std::byte{1});
}

TEST_F(ConnectionTest, WritingTheConfigurationIsRefused) {
  TestFrontEnd vmm(device_, /*offer_config=*/true);
  vmm.Negotiate(kOfferedVirtioFeatures, kConfig | kReplyAck);
  EXPECT_THAT(vmm.TellWithAck(kSetConfig, ConfigHeader{}), Optional(1u));
  vmm.Tell(kSetConfig, ConfigHeader{});
  EXPECT_EQ(vmm.stopped(), std::nullopt);
}

// A device that takes its time.

TEST_F(ConnectionTest, TheReplyWaitsForTheDeviceAndSoDoTheMessagesAfterIt) {
  StartBothVrings();
  device_.defers = true;
  vmm_.Tell(kGetVringBase, VringState{0, 0});
  vmm_.Tell(kGetVringBase, VringState{1, 0});
  vmm_.Tell(kGetFeatures);
  EXPECT_EQ(vmm_.TakeReply().has_value(), false);
  EXPECT_FALSE(vmm_.connection().wants_read());
  EXPECT_THAT(device_.TakeCalls(), ElementsAre("stop 0"));

  ASSERT_TRUE(device_.AnswerNext());
  EXPECT_THAT(device_.TakeCalls(), ElementsAre("stop 1"));
  EXPECT_EQ(TakeVringState()->index, 0u);
  EXPECT_EQ(vmm_.TakeReply().has_value(), false);

  ASSERT_TRUE(device_.AnswerNext());
  EXPECT_EQ(TakeVringState()->index, 1u);
  EXPECT_THAT(vmm_.TakeNumber(), Optional(kOfferedVirtioFeatures));
  EXPECT_TRUE(vmm_.connection().wants_read());
}

TEST_F(ConnectionTest, RemovingMemoryIsAcknowledgedWhenNobodyUsesIt) {
  StartBothVrings();
  device_.defers = true;
  EXPECT_EQ(vmm_.TellWithAck(kRemMemReg, SingleMemoryRegion{.region = TestFrontEnd::kRegion}),
            std::nullopt);
  ASSERT_TRUE(device_.AnswerNext());
  EXPECT_THAT(vmm_.TakeNumber(), Optional(0u));
}

TEST_F(ConnectionTest, AnAnswerAfterTheConnectionIsGoneDoesNothing) {
  StartBothVrings();
  device_.defers = true;
  vmm_.Tell(kGetVringBase, VringState{0, 0});
  vmm_.DestroyConnection();
  EXPECT_TRUE(device_.AnswerNext());
  EXPECT_THAT(device_.TakeCalls(), ElementsAre("stop 0"));
}

TEST_F(ConnectionTest, EveryDeferredRequestSurvivesTheConnectionsEnd) {
  device_.defers = true;
  const std::vector<std::function<void(TestFrontEnd&)>> requests = {
      [](TestFrontEnd& vmm) { vmm.AddMemory(); },
      [](TestFrontEnd& vmm) { vmm.Tell(kResetDevice); },
  };
  for (const auto& request : requests) {
    TestFrontEnd vmm(device_);
    vmm.Negotiate();
    request(vmm);
    EXPECT_FALSE(vmm.connection().wants_read());
    vmm.DestroyConnection();
    EXPECT_TRUE(device_.AnswerNext());
  }
}

TEST_F(ConnectionTest, AFrontEndThatLeavesWhileTheDeviceIsBusyIsNoticedAtOnce) {
  StartBothVrings();
  device_.defers = true;
  vmm_.Tell(kGetVringBase, VringState{0, 0});
  vmm_.ClosePeer();
  EXPECT_EQ(vmm_.Advance(EPOLLHUP), StopReason::kPeerClosed);
}

TEST_F(ConnectionTest, TheConnectionMayBeDestroyedWithinItsResumeHook) {
  auto sockets = os::UnixSocketPair(os::SocketType::kStream);
  ASSERT_TRUE(sockets.ok());
  std::unique_ptr<Connection> connection;
  connection = std::make_unique<Connection>(
      std::move(sockets->second), device_,
      Connection::Options{.export_name = "test", .resume = [&] { connection.reset(); }});
  device_.defers = true;
  std::vector<std::byte> bytes = TestFrontEnd::Encode(
      kSetProtocolFeatures, std::as_bytes(std::span(&kOfferedProtocolFeatures, 1)));
  const auto owner = TestFrontEnd::Encode(kSetOwner, {});
  const auto reset = TestFrontEnd::Encode(kResetDevice, {});
  bytes.insert(bytes.end(), owner.begin(), owner.end());
  bytes.insert(bytes.end(), reset.begin(), reset.end());
  ASSERT_TRUE(os::SendWithFds(sockets->first.get(), bytes, {}).ok());
  connection->Advance(EPOLLIN);
  EXPECT_TRUE(device_.AnswerNext());
  EXPECT_EQ(connection, nullptr);
}

// The stream.

TEST_F(ConnectionTest, AConversationInSingleBytesIsUnderstood) {
  std::vector<std::byte> bytes = TestFrontEnd::Encode(kSetOwner, {});
  const auto question = TestFrontEnd::Encode(kGetFeatures, {});
  bytes.insert(bytes.end(), question.begin(), question.end());
  for (const std::byte byte : bytes) {
    EXPECT_EQ(vmm_.TakeReply().has_value(), false);
    vmm_.SendBytes(std::span(&byte, 1));
    EXPECT_EQ(vmm_.Advance(EPOLLIN), std::nullopt);
  }
  EXPECT_THAT(vmm_.TakeNumber(), Optional(kOfferedVirtioFeatures));
}

TEST_F(ConnectionTest, AFloodIsServedInPortions) {
  std::vector<std::byte> flood;
  for (int i = 0; i < 100; ++i) {
    const auto question = TestFrontEnd::Encode(kGetFeatures, {});
    flood.insert(flood.end(), question.begin(), question.end());
  }
  vmm_.SendBytes(flood);
  vmm_.Advance(EPOLLIN);
  int replies = 0;
  while (vmm_.TakeReply()) ++replies;
  EXPECT_EQ(replies, 64);
  vmm_.Advance(EPOLLIN);
  while (vmm_.TakeReply()) ++replies;
  EXPECT_EQ(replies, 100);
}

TEST_F(ConnectionTest, AFrontEndThatDoesNotTakeItsRepliesIsNotReadUntilItDoes) {
  const std::vector<std::byte> question = TestFrontEnd::Encode(kGetFeatures, {});
  int questions = 0;
  while (!vmm_.connection().wants_write()) {
    vmm_.SendBytes(question);
    vmm_.Advance(EPOLLIN);
    ++questions;
  }
  EXPECT_FALSE(vmm_.connection().wants_read());
  int replies = 0;
  while (vmm_.TakeReply()) {
    ++replies;
    vmm_.Advance(EPOLLOUT);
  }
  EXPECT_EQ(replies, questions);
  EXPECT_FALSE(vmm_.connection().wants_write());
}

TEST_F(ConnectionTest, ThePeersEndIsTheConnectionsEnd) {
  vmm_.Negotiate();
  vmm_.ClosePeer();
  EXPECT_EQ(vmm_.Advance(EPOLLIN | EPOLLHUP), StopReason::kPeerClosed);
  EXPECT_EQ(vmm_.Advance(0), StopReason::kPeerClosed);
}

TEST_F(ConnectionTest, WhatWasSentBeforeThePeersEndIsStillHandled) {
  vmm_.SendBytes(TestFrontEnd::Encode(kSetOwner, {}));
  vmm_.SendBytes(
      TestFrontEnd::Encode(kSetFeatures, std::as_bytes(std::span(&kOfferedVirtioFeatures, 1))));
  vmm_.ClosePeer();
  EXPECT_EQ(vmm_.Advance(EPOLLIN | EPOLLHUP), StopReason::kPeerClosed);
  EXPECT_EQ(vmm_.connection().virtio_features(), kOfferedVirtioFeatures);
}

TEST_F(ConnectionTest, AStreamThatIsNotVhostUserEndsTheConnection) {
  const std::string text = "GET / HTTP/1.1\r\n\r\n";
  vmm_.SendBytes(std::as_bytes(std::span(text)));
  EXPECT_EQ(vmm_.Advance(EPOLLIN), StopReason::kProtocolError);
}

// Bytes of a fixed seed that look enough like messages to get past the framing.
TEST_F(ConnectionTest, NoMessageCrashesOrLeaksADescriptor) {
  std::minstd_rand random(20240229);
  const size_t fds_before = CountOpenFds();
  for (int round = 0; round < 300; ++round) {
    FakeDevice device;
    TestFrontEnd vmm(device, round % 2 == 0);
    vmm.Negotiate(kOfferedVirtioFeatures,
                  kOfferedProtocolFeatures | (round % 2 == 0 ? uint64_t{kConfig} : 0));
    vmm.AddMemory();
    for (int i = 0; i < 40 && !vmm.stopped(); ++i) {
      std::vector<std::byte> body((random() % 7) * 8);
      for (std::byte& byte : body) byte = static_cast<std::byte>(random() % 3);
      const std::vector<int> fds(random() % 3, random() % 2 == 0 ? memory_.get() : event_.get());
      device.defers = random() % 8 == 0;
      vmm.Tell(FrontendRequest{static_cast<uint32_t>(random() % 46)}, body, fds,
               random() % 8 == 0 ? Ack::kNo : Ack::kAsked);
      while (device.AnswerNext()) {
      }
      while (vmm.TakeReply()) {
      }
    }
  }
  EXPECT_EQ(CountOpenFds(), fds_before);
}

}  // namespace
}  // namespace fsd::vhost_user
