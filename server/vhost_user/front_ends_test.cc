// What real front-ends send, in the order in which they send it.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "server/vhost_user/test_front_end.h"

namespace fsd::vhost_user {
namespace {

using enum FrontendRequest;
using testing::ElementsAre;
using testing::Optional;

constexpr uint64_t kQemuFeatures =
    kVersion1 | kRingIndirectDesc | kRingEventIndex | kProtocolFeatures;

class FrontEndsTest : public testing::Test {
 protected:
  // QEMU's vhost_user_backend_init and vhost_virtqueue_init.
  void ConnectAsQemu() {
    EXPECT_THAT(vmm_.Ask(kGetFeatures), Optional(kOfferedVirtioFeatures));
    EXPECT_THAT(vmm_.Ask(kGetProtocolFeatures), Optional(kOfferedProtocolFeatures));
    vmm_.Tell(kSetProtocolFeatures, kOfferedProtocolFeatures);
    EXPECT_THAT(vmm_.Ask(kGetQueueNum), Optional(2u));
    EXPECT_THAT(vmm_.Ask(kGetMaxMemSlots), Optional(509u));
    EXPECT_THAT(vmm_.TellWithAck(kSetBackendReqFd, event_fds_), Optional(0u));
    vmm_.Tell(kSetOwner);
    EXPECT_THAT(vmm_.Ask(kGetFeatures), Optional(kOfferedVirtioFeatures));
    for (uint64_t vring : {0, 1}) {
      vmm_.Tell(kSetVringCall, vring, event_fds_);
      vmm_.Tell(kSetVringErr, vring, event_fds_);
    }
    EXPECT_THAT(device_.TakeCalls(),
                ElementsAre("call 0 fd", "error 0 fd", "call 1 fd", "error 1 fd"));
  }

  // vhost_dev_start.
  void StartAsQemu(uint32_t base, bool with_memory) {
    for (uint64_t vring : {0, 1}) vmm_.Tell(kSetVringCall, vring, event_fds_);
    vmm_.Tell(kSetFeatures, kQemuFeatures);
    if (with_memory) {
      EXPECT_THAT(vmm_.TellWithAck(kAddMemReg, SingleMemoryRegion{.region = TestFrontEnd::kRegion},
                                   memory_fds_),
                  Optional(0u));
    }
    for (uint32_t vring : {0, 1}) vmm_.StartVring(vring, base);
    for (uint32_t vring : {0, 1}) vmm_.Tell(kSetVringEnable, VringState{vring, 1});
    for (uint64_t vring : {0, 1}) vmm_.Tell(kSetVringCall, vring, event_fds_);
  }

  // vhost_dev_stop.
  void StopAsQemu() {
    for (uint32_t vring : {0, 1}) vmm_.Tell(kSetVringEnable, VringState{vring, 0});
    for (uint32_t vring : {0, 1}) {
      vmm_.Tell(kGetVringBase, VringState{vring, 0});
      const std::optional<Reply> reply = vmm_.TakeReply();
      ASSERT_TRUE(reply.has_value());
      ASSERT_EQ(reply->body.size(), sizeof(VringState));
    }
    for (uint64_t vring : {0, 1}) vmm_.Tell(kSetVringCall, vring, event_fds_);
  }

  FakeDevice device_;
  TestFrontEnd vmm_{device_};
  os::UniqueFd event_ = MakeEvent();
  os::UniqueFd memory_ = MakeMemory();
  const int event_fds_[1] = {event_.get()};
  const int memory_fds_[1] = {memory_.get()};
};

TEST_F(FrontEndsTest, Qemu72Starts) {
  ConnectAsQemu();
  StartAsQemu(0, true);
  EXPECT_THAT(device_.TakeCalls(),
              ElementsAre("call 0 fd", "call 1 fd", "memory 1", "start 0 from 0", "start 1 from 0",
                          "enable 0", "enable 1", "call 0 fd", "call 1 fd"));
  EXPECT_EQ(vmm_.connection().virtio_features(), kQemuFeatures);
  EXPECT_EQ(vmm_.connection().protocol_features(), kOfferedProtocolFeatures);
  EXPECT_EQ(vmm_.connection().started_vrings(), 2u);
  EXPECT_TRUE(vmm_.connection().backend_request_channel().valid());
  EXPECT_EQ(vmm_.stopped(), std::nullopt);
  EXPECT_EQ(vmm_.TakeReply().has_value(), false);
}

TEST_F(FrontEndsTest, ARingIsStartedAsItWasSetUp) {
  ConnectAsQemu();
  StartAsQemu(7, true);
  const VringStart& start = device_.starts.at(1);
  const VringAddress address = TestFrontEnd::AddressOf(1);
  EXPECT_EQ(start.setup.size, 128);
  EXPECT_EQ(start.setup.next_available, 7);
  EXPECT_EQ(start.setup.descriptor_address, address.descriptor);
  EXPECT_EQ(start.setup.available_address, address.available);
  EXPECT_EQ(start.setup.used_address, address.used);
  EXPECT_TRUE(start.setup.event_index);
  EXPECT_TRUE(start.setup.indirect);
  EXPECT_EQ(start.setup.used_log_address, std::nullopt);
  EXPECT_TRUE(start.kick.valid());
}

TEST_F(FrontEndsTest, Qemu72RebootsWithoutSendingMemoryAgain) {
  ConnectAsQemu();
  StartAsQemu(0, true);
  device_.TakeCalls();
  device_.next_available = 321;
  StopAsQemu();
  EXPECT_THAT(device_.TakeCalls(),
              ElementsAre("disable 0", "disable 1", "stop 0", "stop 1", "call 0 fd", "call 1 fd"));
  EXPECT_EQ(vmm_.connection().started_vrings(), 0u);
  StartAsQemu(0, false);
  EXPECT_THAT(device_.TakeCalls(),
              ElementsAre("call 0 fd", "call 1 fd", "start 0 from 0", "start 1 from 0", "enable 0",
                          "enable 1", "call 0 fd", "call 1 fd"));
  EXPECT_EQ(vmm_.stopped(), std::nullopt);
}

TEST_F(FrontEndsTest, Qemu10ResetsTheDeviceAndWaitsForEnabling) {
  ConnectAsQemu();
  vmm_.Tell(kResetDevice);
  EXPECT_THAT(device_.TakeCalls(), ElementsAre("reset"));
  vmm_.Tell(kSetFeatures, kQemuFeatures);
  EXPECT_THAT(vmm_.TellWithAck(kAddMemReg, SingleMemoryRegion{.region = TestFrontEnd::kRegion},
                               memory_fds_),
              Optional(0u));
  for (uint32_t vring : {0, 1}) vmm_.StartVring(vring, 0);
  for (uint32_t vring : {0, 1}) {
    EXPECT_THAT(vmm_.TellWithAck(kSetVringEnable, VringState{vring, 1}), Optional(0u));
  }
  EXPECT_THAT(device_.TakeCalls(),
              ElementsAre("memory 1", "start 0 from 0", "start 1 from 0", "enable 0", "enable 1"));
  // Reboot.
  StopAsQemu();
  vmm_.Tell(kResetDevice);
  device_.TakeCalls();
  StartAsQemu(0, false);
  EXPECT_EQ(vmm_.connection().started_vrings(), 2u);
  EXPECT_EQ(vmm_.stopped(), std::nullopt);
}

TEST_F(FrontEndsTest, Qemu11WaitsForCallKickAndErr) {
  ConnectAsQemu();
  vmm_.Tell(kSetFeatures, kQemuFeatures);
  vmm_.AddMemory();
  for (uint32_t vring : {0, 1}) {
    vmm_.Tell(kSetVringNum, VringState{vring, 1024});
    vmm_.Tell(kSetVringBase, VringState{vring, 0});
    vmm_.Tell(kSetVringAddr, TestFrontEnd::AddressOf(vring));
    EXPECT_THAT(vmm_.TellWithAck(kSetVringKick, uint64_t{vring}, event_fds_), Optional(0u));
    EXPECT_THAT(vmm_.TellWithAck(kSetVringCall, uint64_t{vring}, event_fds_), Optional(0u));
    EXPECT_THAT(vmm_.TellWithAck(kSetVringErr, uint64_t{vring}, event_fds_), Optional(0u));
  }
  EXPECT_EQ(vmm_.connection().started_vrings(), 2u);
}

TEST_F(FrontEndsTest, MigrationSourceTurnsLoggingOnWhileRingsRun) {
  ConnectAsQemu();
  StartAsQemu(0, true);
  device_.TakeCalls();
  device_.next_available = 55;
  vmm_.Tell(kSetLogBase, LogDescription{.size = 4096, .offset = 0}, memory_fds_);
  EXPECT_THAT(vmm_.TakeNumber(), Optional(0u));
  vmm_.Tell(kSetFeatures, kQemuFeatures | kLogAll);
  for (uint32_t vring : {0, 1}) vmm_.Tell(kSetVringAddr, TestFrontEnd::AddressOf(vring, true));
  EXPECT_THAT(device_.TakeCalls(),
              ElementsAre("log on", "stop 0", "start 0 from 55", "stop 1", "start 1 from 55"));
  EXPECT_THAT(device_.starts.at(1).setup.used_log_address,
              Optional(TestFrontEnd::AddressOf(1).log));
  EXPECT_TRUE(device_.starts.at(1).kick.valid());
  StopAsQemu();
  EXPECT_EQ(vmm_.connection().started_vrings(), 0u);
  EXPECT_EQ(vmm_.stopped(), std::nullopt);
}

TEST_F(FrontEndsTest, ACancelledMigrationTurnsLoggingOff) {
  ConnectAsQemu();
  StartAsQemu(0, true);
  vmm_.Tell(kSetLogBase, LogDescription{.size = 4096, .offset = 0}, memory_fds_);
  vmm_.Tell(kSetFeatures, kQemuFeatures | kLogAll);
  vmm_.Tell(kSetVringAddr, TestFrontEnd::AddressOf(0, true));
  device_.TakeCalls();
  vmm_.Tell(kSetFeatures, kQemuFeatures);
  vmm_.Tell(kSetVringAddr, TestFrontEnd::AddressOf(0, false));
  EXPECT_THAT(device_.TakeCalls(), ElementsAre("log off", "stop 0", "start 0 from 0"));
  EXPECT_EQ(device_.starts.at(0).setup.used_log_address, std::nullopt);
}

// QEMU resizes the log when guest memory is plugged in.
TEST_F(FrontEndsTest, ALogThatIsReplacedWhileInUseReachesTheDevice) {
  ConnectAsQemu();
  vmm_.Tell(kSetLogBase, LogDescription{.size = 4096, .offset = 0}, memory_fds_);
  vmm_.Tell(kSetFeatures, kQemuFeatures | kLogAll);
  const auto first = device_.log;
  vmm_.Tell(kSetLogBase, LogDescription{.size = 8192, .offset = 0}, memory_fds_);
  EXPECT_NE(device_.log, nullptr);
  EXPECT_NE(device_.log, first);
}

TEST_F(FrontEndsTest, MigrationDestinationLearnsInBandThatDeviceStateIsNotServed) {
  ConnectAsQemu();
  vmm_.Tell(kResetDevice);
  vmm_.Tell(kSetDeviceStateFd, VringState{1, 0}, event_fds_);
  EXPECT_THAT(vmm_.TakeNumber(), Optional(0x101u));
  EXPECT_EQ(vmm_.stopped(), std::nullopt);
}

TEST_F(FrontEndsTest, MemoryHotplugReachesTheDeviceWhileRingsRun) {
  ConnectAsQemu();
  StartAsQemu(0, true);
  device_.TakeCalls();
  const MemoryRegion dimm{.guest_address = 1ull << 32,
                          .size = TestFrontEnd::kMemoryBytes,
                          .user_address = TestFrontEnd::kUserAddress + (1ull << 32),
                          .mmap_offset = 0};
  EXPECT_THAT(vmm_.TellWithAck(kAddMemReg, SingleMemoryRegion{.region = dimm}, memory_fds_),
              Optional(0u));
  EXPECT_THAT(vmm_.TellWithAck(kRemMemReg, SingleMemoryRegion{.region = dimm}, memory_fds_),
              Optional(0u));
  EXPECT_THAT(device_.TakeCalls(), ElementsAre("memory 2", "memory 1"));
  EXPECT_EQ(vmm_.connection().started_vrings(), 2u);
}

// cloud-hypervisor, and QEMU where memory slots are not negotiated.
TEST_F(FrontEndsTest, AMemoryTableReplacesTheOneBefore) {
  ConnectAsQemu();
  vmm_.AddMemory();
  device_.TakeCalls();
  MemoryTable table;
  table.count = 2;
  table.regions[0] = TestFrontEnd::kRegion;
  table.regions[1] = {.guest_address = 1ull << 32,
                      .size = TestFrontEnd::kMemoryBytes,
                      .user_address = TestFrontEnd::kUserAddress + (1ull << 32),
                      .mmap_offset = 0};
  const int fds[] = {memory_.get(), memory_.get()};
  const auto body = std::as_bytes(std::span(&table, 1)).first(8 + 2 * sizeof(MemoryRegion));
  vmm_.Tell(kSetMemTable, body, fds, Ack::kAsked);
  EXPECT_THAT(vmm_.TakeNumber(), Optional(0u));
  EXPECT_THAT(device_.TakeCalls(), ElementsAre("memory 2"));
}

TEST(UserModeLinuxTest, ReadsTheTagAndAsksForAcknowledgementsOfEverything) {
  FakeDevice device;
  TestFrontEnd uml(device, /*offer_config=*/true);
  const os::UniqueFd event = MakeEvent();
  const os::UniqueFd memory = MakeMemory();
  const int event_fds[] = {event.get()};
  const int memory_fds[] = {memory.get()};
  constexpr uint64_t kProtocol = kBackendReq | kReplyAck | kConfig;
  uml.Tell(kSetOwner);
  EXPECT_THAT(uml.Ask(kGetFeatures), Optional(kOfferedVirtioFeatures));
  EXPECT_THAT(uml.Ask(kGetProtocolFeatures), Optional(kOfferedProtocolFeatures | kConfig));
  // It asks under the very feature that it brings.
  EXPECT_THAT(uml.TellWithAck(kSetProtocolFeatures, kProtocol), Optional(0u));
  EXPECT_THAT(uml.TellWithAck(kSetBackendReqFd, event_fds), Optional(0u));
  EXPECT_THAT(uml.TellWithAck(kSetFeatures, kQemuFeatures), Optional(0u));

  struct {
    ConfigHeader header{.offset = 0, .size = 36, .flags = 0};
    std::byte payload[36] = {};
  } config;
  uml.Tell(kGetConfig, config);
  const std::optional<Reply> reply = uml.TakeReply();
  ASSERT_TRUE(reply.has_value());
  ASSERT_EQ(reply->body.size(), sizeof config);
  EXPECT_EQ(reply->body.back(), std::byte{'t'});

  const auto find_vqs = [&] {
    // Room for two regions, with one in it.
    MemoryTable table;
    table.count = 1;
    table.regions[0] = TestFrontEnd::kRegion;
    const auto body = std::as_bytes(std::span(&table, 1)).first(8 + 2 * sizeof(MemoryRegion));
    uml.Tell(kSetMemTable, body, memory_fds, Ack::kAsked);
    EXPECT_THAT(uml.TakeNumber(), Optional(0u));
    for (uint32_t vring : {0, 1}) {
      EXPECT_THAT(uml.TellWithAck(kSetVringCall, uint64_t{vring}, event_fds), Optional(0u));
      EXPECT_THAT(uml.TellWithAck(kSetVringNum, VringState{vring, 256}), Optional(0u));
      EXPECT_THAT(uml.TellWithAck(kSetVringBase, VringState{vring, 0}), Optional(0u));
      EXPECT_THAT(uml.TellWithAck(kSetVringAddr, TestFrontEnd::AddressOf(vring)), Optional(0u));
    }
    for (uint32_t vring : {0, 1}) {
      EXPECT_THAT(uml.TellWithAck(kSetVringKick, uint64_t{vring}, event_fds), Optional(0u));
      EXPECT_THAT(uml.TellWithAck(kSetVringEnable, VringState{vring, 1}), Optional(0u));
    }
  };
  find_vqs();
  EXPECT_EQ(uml.connection().started_vrings(), 2u);

  // The driver is unbound and bound again: rings are disabled, never stopped, and set up anew.
  for (uint32_t vring : {1, 0}) {
    EXPECT_THAT(uml.TellWithAck(kSetVringEnable, VringState{vring, 0}), Optional(0u));
  }
  EXPECT_THAT(uml.Ask(kGetFeatures), Optional(kOfferedVirtioFeatures));
  EXPECT_THAT(uml.TellWithAck(kSetFeatures, kQemuFeatures), Optional(0u));
  device.TakeCalls();
  device.next_available = 99;
  find_vqs();
  EXPECT_THAT(device.TakeCalls(),
              ElementsAre("memory 1", "call 0 fd", "stop 0", "call 1 fd", "stop 1",
                          "start 0 from 0", "enable 0", "start 1 from 0", "enable 1"));
  EXPECT_EQ(uml.stopped(), std::nullopt);
}

}  // namespace
}  // namespace fsd::vhost_user
