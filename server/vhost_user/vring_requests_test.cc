// Requests about one vring, on a running connection.
#include "server/vhost_user/vring_requests.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>

#include "server/vhost_user/test_front_end.h"

namespace fsd::vhost_user {
namespace {

using enum FrontendRequest;
using testing::ElementsAre;
using testing::IsEmpty;
using testing::Optional;

class VringRequestsTest : public testing::Test {
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
  const int event_fds_[1] = {event_.get()};
};

TEST_F(VringRequestsTest, RingsAreEnabledFromTheStartWithoutProtocolFeatures) {
  vmm_.Negotiate(kVersion1, kOfferedProtocolFeatures);
  EXPECT_THAT(device_.TakeCalls(), ElementsAre("enable 0", "enable 1"));
}

TEST_F(VringRequestsTest, ARingIsEnabledWhenItStartsBeforeAnyFeaturesWereSet) {
  vmm_.Tell(kSetProtocolFeatures, kOfferedProtocolFeatures);
  vmm_.Tell(kSetOwner);
  vmm_.AddMemory();
  vmm_.StartVring(0);
  EXPECT_THAT(device_.TakeCalls(), ElementsAre("memory 1", "start 0 from 0", "enable 0"));
}

TEST_F(VringRequestsTest, SetFeaturesNeverDisablesARing) {
  StartBothVrings();
  vmm_.Tell(kSetFeatures, kOfferedVirtioFeatures);
  vmm_.Tell(kSetFeatures, kOfferedVirtioFeatures & ~kLogAll);
  EXPECT_THAT(device_.TakeCalls(), ElementsAre("log off", "log off"));
  EXPECT_EQ(vmm_.connection().started_vrings(), 2u);
}

TEST_F(VringRequestsTest, ARingStartsWhenTheLastPartOfItsSetUpComes) {
  vmm_.Negotiate();
  vmm_.Tell(kSetVringKick, uint64_t{1}, event_fds_);
  vmm_.Tell(kSetVringNum, VringState{1, 128});
  vmm_.Tell(kSetVringBase, VringState{1, 5});
  EXPECT_EQ(vmm_.connection().started_vrings(), 0u);
  vmm_.Tell(kSetVringAddr, TestFrontEnd::AddressOf(1));
  EXPECT_THAT(device_.TakeCalls(), ElementsAre("start 1 from 5"));
  EXPECT_TRUE(device_.starts.at(1).kick.valid());
}

TEST_F(VringRequestsTest, APollingRingStartsWithoutAKick) {
  vmm_.Negotiate();
  vmm_.Tell(kSetVringNum, VringState{1, 128});
  vmm_.Tell(kSetVringAddr, TestFrontEnd::AddressOf(1));
  vmm_.Tell(kSetVringKick, uint64_t{1} | kVringNoFdFlag);
  EXPECT_EQ(vmm_.connection().started_vrings(), 1u);
  EXPECT_FALSE(device_.starts.at(1).kick.valid());
}

TEST_F(VringRequestsTest, SizeAndBaseOfARunningRingAreRefused) {
  StartBothVrings();
  EXPECT_THAT(vmm_.TellWithAck(kSetVringNum, VringState{0, 64}), Optional(1u));
  EXPECT_THAT(vmm_.TellWithAck(kSetVringBase, VringState{0, 3}), Optional(1u));
  EXPECT_THAT(device_.TakeCalls(), IsEmpty());
  EXPECT_EQ(vmm_.stopped(), std::nullopt);
}

TEST_F(VringRequestsTest, AddressesThatSayNothingNewLeaveARunningRingAlone) {
  StartBothVrings();
  EXPECT_THAT(vmm_.TellWithAck(kSetVringAddr, TestFrontEnd::AddressOf(0)), Optional(0u));
  EXPECT_THAT(device_.TakeCalls(), IsEmpty());
}

TEST_F(VringRequestsTest, ANewKickRestartsARunningRingWhereItWas) {
  StartBothVrings();
  device_.next_available = 1234;
  EXPECT_THAT(vmm_.TellWithAck(kSetVringKick, uint64_t{0}, event_fds_), Optional(0u));
  EXPECT_THAT(device_.TakeCalls(), ElementsAre("stop 0", "start 0 from 1234"));
}

TEST_F(VringRequestsTest, ARingThatCannotBeStartedStaysStoppedAndTheConnectionLives) {
  vmm_.Negotiate();
  device_.start_result = absl::InvalidArgumentError("rings outside memory");
  vmm_.StartVring(0, 7);
  EXPECT_EQ(vmm_.connection().started_vrings(), 0u);
  vmm_.Tell(kGetVringBase, VringState{0, 0});
  EXPECT_EQ(TakeVringState()->num, 7u);
  EXPECT_EQ(vmm_.stopped(), std::nullopt);
  // The guest reboots and does better.
  device_.start_result = absl::OkStatus();
  vmm_.StartVring(0);
  EXPECT_EQ(vmm_.connection().started_vrings(), 1u);
}

TEST_F(VringRequestsTest, ARingThatCannotBeStartedIsReportedToWhoAsks) {
  vmm_.Negotiate();
  device_.start_result = absl::InvalidArgumentError("rings outside memory");
  vmm_.Tell(kSetVringNum, VringState{0, 128});
  vmm_.Tell(kSetVringAddr, TestFrontEnd::AddressOf(0));
  EXPECT_THAT(vmm_.TellWithAck(kSetVringKick, uint64_t{0}, event_fds_), Optional(1u));
}

TEST_F(VringRequestsTest, TheBaseOfARingThatNeverStartedIsWhatItWasSetTo) {
  vmm_.Negotiate();
  vmm_.Tell(kSetVringBase, VringState{1, 77});
  vmm_.Tell(kGetVringBase, VringState{1, 0});
  const std::optional<VringState> state = TakeVringState();
  EXPECT_EQ(state->index, 1u);
  EXPECT_EQ(state->num, 77u);
  EXPECT_THAT(device_.TakeCalls(), IsEmpty());
}

TEST_F(VringRequestsTest, TheBaseOfARunningRingIsWhereItStopped) {
  StartBothVrings();
  device_.next_available = 65535;
  vmm_.Tell(kGetVringBase, VringState{0, 0});
  EXPECT_EQ(TakeVringState()->num, 65535u);
  EXPECT_EQ(vmm_.connection().started_vrings(), 1u);
}

TEST_F(VringRequestsTest, AStoppedRingForgetsItsKick) {
  StartBothVrings();
  vmm_.Tell(kGetVringBase, VringState{0, 0});
  device_.TakeCalls();
  vmm_.Tell(kSetVringAddr, TestFrontEnd::AddressOf(0, true));
  vmm_.Tell(kSetVringNum, VringState{0, 256});
  EXPECT_THAT(device_.TakeCalls(), IsEmpty());
}

TEST_F(VringRequestsTest, ARingThatIsStoppedBeforeItWasCompleteForgetsItsKickToo) {
  vmm_.Negotiate();
  vmm_.Tell(kSetVringKick, uint64_t{0}, event_fds_);
  vmm_.Tell(kGetVringBase, VringState{0, 0});
  vmm_.Tell(kSetVringNum, VringState{0, 128});
  vmm_.Tell(kSetVringAddr, TestFrontEnd::AddressOf(0));
  EXPECT_THAT(device_.TakeCalls(), IsEmpty());
}

TEST_F(VringRequestsTest, EventfdsAreReplacedWhileRingsRun) {
  StartBothVrings();
  vmm_.Tell(kSetVringCall, uint64_t{1}, event_fds_);
  vmm_.Tell(kSetVringCall, uint64_t{1} | kVringNoFdFlag);
  vmm_.Tell(kSetVringErr, uint64_t{0}, event_fds_);
  EXPECT_THAT(device_.TakeCalls(), ElementsAre("call 1 fd", "call 1 none", "error 0 fd"));
}

TEST_F(VringRequestsTest, EnablingTwiceTellsTheDeviceOnce) {
  vmm_.Negotiate();
  vmm_.Tell(kSetVringEnable, VringState{1, 1});
  vmm_.Tell(kSetVringEnable, VringState{1, 1});
  EXPECT_THAT(device_.TakeCalls(), ElementsAre("enable 1"));
}

TEST_F(VringRequestsTest, EnablingWithAStrangeValueIsRefused) {
  vmm_.Negotiate();
  EXPECT_THAT(vmm_.TellWithAck(kSetVringEnable, VringState{1, 2}), Optional(1u));
}

}  // namespace
}  // namespace fsd::vhost_user
