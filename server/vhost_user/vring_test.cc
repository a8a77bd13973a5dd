#include "server/vhost_user/vring.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "server/vhost_user/features.h"

namespace fsd::vhost_user {
namespace {

constexpr VringAddress kAddress = {.index = 0,
                                   .flags = 0,
                                   .descriptor = 0x1000,
                                   .used = 0x3000,
                                   .available = 0x2000,
                                   .log = 0x9000};

TEST(VringTest, SizesArePowersOfTwoUpTo32768) {
  Vring vring;
  EXPECT_TRUE(SetSize(vring, 1).ok());
  EXPECT_TRUE(SetSize(vring, 32768).ok());
  EXPECT_EQ(vring.size, 32768);
  EXPECT_FALSE(SetSize(vring, 0).ok());
  EXPECT_FALSE(SetSize(vring, 96).ok());
  EXPECT_FALSE(SetSize(vring, 65536).ok());
  EXPECT_FALSE(SetSize(vring, 0x80000000).ok());
  EXPECT_EQ(vring.size, 32768);
}

TEST(VringTest, BasesHave16Bits) {
  Vring vring;
  EXPECT_TRUE(SetBase(vring, 65535).ok());
  EXPECT_FALSE(SetBase(vring, 65536).ok());
  EXPECT_EQ(vring.base, 65535);
}

TEST(VringTest, IsCompleteWithSizeAddressesAndKick) {
  Vring vring;
  EXPECT_FALSE(Complete(vring));
  ASSERT_TRUE(SetSize(vring, 128).ok());
  SetAddresses(vring, kAddress);
  EXPECT_FALSE(Complete(vring));
  vring.kicked = true;
  EXPECT_TRUE(Complete(vring));
  vring.size = 0;
  EXPECT_FALSE(Complete(vring));
}

TEST(VringTest, TheSameAddressesAreNothingNew) {
  Vring vring;
  EXPECT_TRUE(SetAddresses(vring, kAddress));
  EXPECT_FALSE(SetAddresses(vring, kAddress));
}

TEST(VringTest, TheLogAddressCountsOnlyWhileTheRingIsLogged) {
  Vring vring;
  VringAddress address = kAddress;
  SetAddresses(vring, address);
  address.log = 0xa000;
  EXPECT_FALSE(SetAddresses(vring, address));
  address.flags = kVringLogFlag;
  EXPECT_TRUE(SetAddresses(vring, address));
  EXPECT_EQ(SetupOf(vring, 0).used_log_address, 0xa000);
  address.flags = 0;
  EXPECT_TRUE(SetAddresses(vring, address));
  EXPECT_EQ(SetupOf(vring, 0).used_log_address, std::nullopt);
}

TEST(VringTest, RunsWithTheNegotiatedRingFeatures) {
  EXPECT_TRUE(SetupOf(Vring{}, kRingEventIndex).event_index);
  EXPECT_FALSE(SetupOf(Vring{}, kRingEventIndex).indirect);
  EXPECT_TRUE(SetupOf(Vring{}, kRingIndirectDesc).indirect);
  EXPECT_FALSE(SetupOf(Vring{}, kRingIndirectDesc).event_index);
}

TEST(VringTest, AStoppedVringKeepsAllButItsKickAndGoesOnWhereItWasStopped) {
  Vring vring;
  ASSERT_TRUE(SetSize(vring, 128).ok());
  SetAddresses(vring, kAddress);
  vring.kicked = vring.running = vring.enabled = true;
  MarkStopped(vring, 17);
  EXPECT_EQ(vring.base, 17);
  EXPECT_FALSE(vring.running);
  EXPECT_FALSE(Complete(vring));
  EXPECT_TRUE(vring.enabled);
  EXPECT_EQ(vring.size, 128);
  EXPECT_TRUE(vring.addressed);
}

}  // namespace
}  // namespace fsd::vhost_user
