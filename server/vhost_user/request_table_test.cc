// Every row of the request table, attacked in every way that its columns forbid.
#include "server/vhost_user/request_table.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cctype>
#include <cstring>
#include <string>
#include <vector>

#include "server/vhost_user/test_front_end.h"

namespace fsd::vhost_user {
namespace {

using testing::IsEmpty;

constexpr uint64_t kAllProtocolFeatures = kOfferedProtocolFeatures | kConfig;

// What a front-end can learn of a refusal.
enum class Learned { kAcknowledged, kEmptyReply, kErrorReply, kNothing, kClosed };

Learned Expected(const RequestRow& row, Ack ack) {
  if (row.answer != Answer::kOwn && ack == Ack::kAsked) return Learned::kAcknowledged;
  switch (row.on_refusal) {
    case OnRefusal::kIgnore:
      return Learned::kNothing;
    case OnRefusal::kEmptyReply:
      return Learned::kEmptyReply;
    case OnRefusal::kErrorReply:
      return Learned::kErrorReply;
    case OnRefusal::kClose:
      return Learned::kClosed;
  }
  return Learned::kNothing;
}

class RequestRowTest : public testing::TestWithParam<RequestRow> {
 protected:
  const RequestRow& row() const { return GetParam(); }
  bool offered() const {
    return (row().protocol_feature & ~kAllProtocolFeatures) == 0 &&
           (row().virtio_feature & ~kOfferedVirtioFeatures) == 0 &&
           row().request != FrontendRequest::kGpuSetSocket;
  }
  size_t fds_wanted() const {
    return row().fds == Fds::kOne || row().fds == Fds::kOneUnlessFlagged ||
                   row().fds == Fds::kOnePerRegion
               ? 1
               : 0;
  }
  // A body of the smallest legal size that the row's checks let pass, if the rest is right.
  std::vector<std::byte> Body() const {
    std::vector<std::byte> body(row().body.min);
    if (row().fds == Fds::kOnePerRegion) {
      MemoryTable table;
      table.count = 1;
      table.regions[0] = TestFrontEnd::kRegion;
      body.resize(kMemoryTableHeaderBytes + sizeof(MemoryRegion));
      std::memcpy(body.data(), &table, body.size());
    }
    return body;
  }
  std::vector<int> FdsOf(size_t count) const { return std::vector<int>(count, memory_.get()); }

  // A front-end that may send this row's request.
  std::unique_ptr<TestFrontEnd> Ready(uint64_t virtio_features = kOfferedVirtioFeatures,
                                      uint64_t protocol_features = kAllProtocolFeatures) {
    auto vmm = std::make_unique<TestFrontEnd>(device_, /*offer_config=*/true);
    vmm->Tell(FrontendRequest::kSetProtocolFeatures, protocol_features);
    if (row().phase != Phase::kBeforeOwner) {
      vmm->Tell(FrontendRequest::kSetOwner);
      vmm->Tell(FrontendRequest::kSetFeatures, virtio_features);
    }
    device_.TakeCalls();
    return vmm;
  }

  void ExpectRefused(TestFrontEnd& vmm, std::span<const std::byte> body, size_t fds, Ack ack) {
    vmm.Tell(row().request, body, FdsOf(fds), ack);
    const std::optional<Reply> reply = vmm.TakeReply();
    Learned learned = Learned::kNothing;
    if (vmm.stopped()) {
      EXPECT_EQ(vmm.stopped(), StopReason::kProtocolError);
      learned = Learned::kClosed;
    } else if (reply && reply->body.empty()) {
      learned = Learned::kEmptyReply;
    } else if (reply && reply->number() == 1u) {
      learned = Learned::kAcknowledged;
    } else if (reply && reply->number() == 0x101u) {
      learned = Learned::kErrorReply;
    }
    if (reply) {
      EXPECT_EQ(reply->header.request, static_cast<uint32_t>(row().request));
    }
    EXPECT_EQ(learned, Expected(row(), ack));
    EXPECT_EQ(vmm.TakeReply().has_value(), false);
    EXPECT_THAT(device_.TakeCalls(), IsEmpty());
  }

  // Refused on a fresh connection each, whether it is to be acknowledged or not.
  void ExpectRefused(std::span<const std::byte> body, size_t fds) {
    for (const Ack ack : {Ack::kAsked, Ack::kNo}) {
      const auto vmm = Ready();
      ExpectRefused(*vmm, body, fds, ack);
    }
  }

  FakeDevice device_;
  os::UniqueFd memory_ = MakeMemory();
};

TEST_P(RequestRowTest, IsFoundByItsNumber) {
  const RequestRow* found = FindRequest(static_cast<uint32_t>(row().request));
  ASSERT_NE(found, nullptr);
  EXPECT_EQ(found->name, row().name);
}

TEST_P(RequestRowTest, ItsSmallestFormPassesTheChecksExactlyIfItIsOffered) {
  ConnectionState state(device_, "test", /*offer_config=*/true);
  state.protocol_features = kAllProtocolFeatures;
  state.virtio_features = kOfferedVirtioFeatures;
  state.owned = row().phase != Phase::kBeforeOwner;
  const std::vector<std::byte> body = Body();
  Message message{.header = {}, .body = body, .fds = {}};
  for (size_t i = 0; i < fds_wanted(); ++i) message.fds.push_back(MakeEvent());
  const absl::Status status = CheckRequest(row(), state, message);
  if (row().request == FrontendRequest::kGpuSetSocket) return;  // its handler refuses
  EXPECT_EQ(status.ok(), offered()) << status;
}

TEST_P(RequestRowTest, ABodyThatIsTooShortIsRefused) {
  if (row().body.min == 0) return;
  const std::vector<std::byte> body(row().body.min - 1);
  ExpectRefused(body, fds_wanted());
}

TEST_P(RequestRowTest, ABodyThatIsTooLongIsRefused) {
  if (row().body.max == kMaxBodyBytes) return;
  const std::vector<std::byte> body(row().body.max + 1);
  ExpectRefused(body, fds_wanted());
}

TEST_P(RequestRowTest, WithoutItsFeatureItIsRefused) {
  if (row().protocol_feature == 0 && row().virtio_feature == 0) return;
  const uint64_t virtio = kOfferedVirtioFeatures & ~row().virtio_feature;
  const uint64_t protocol = kAllProtocolFeatures & ~row().protocol_feature;
  for (const Ack ack : {Ack::kAsked, Ack::kNo}) {
    const auto vmm = Ready(virtio, protocol);
    ExpectRefused(*vmm, Body(), fds_wanted(), ack);
  }
}

TEST_P(RequestRowTest, BeforeTheOwnerItIsRefusedIfItNeedsOne) {
  if (row().phase != Phase::kAfterOwner) return;
  for (const Ack ack : {Ack::kAsked, Ack::kNo}) {
    TestFrontEnd vmm(device_, /*offer_config=*/true);
    vmm.Tell(FrontendRequest::kSetProtocolFeatures, kAllProtocolFeatures);
    ExpectRefused(vmm, Body(), fds_wanted(), ack);
  }
}

TEST_P(RequestRowTest, MissingDescriptorsAreRefused) {
  if (fds_wanted() == 0) return;
  ExpectRefused(Body(), 0);
}

TEST_P(RequestRowTest, SuperfluousDescriptorsAreRefusedAndClosed) {
  if (row().fds == Fds::kAny) return;
  const size_t fds_before = CountOpenFds();
  ExpectRefused(Body(), fds_wanted() + 2);
  EXPECT_EQ(CountOpenFds(), fds_before);
}

TEST_P(RequestRowTest, AVringThatDoesNotExistIsRefused) {
  if (row().vring == VringField::kNone) return;
  for (const uint32_t index : {2u, 255u, 0x80000000u}) {
    std::vector<std::byte> body = Body();
    std::memcpy(body.data(), &index, sizeof index);
    if (row().vring == VringField::kIndexByte && index > kVringIndexMask) continue;
    ExpectRefused(body, fds_wanted());
  }
}

TEST_P(RequestRowTest, OfAFeatureThatIsNotOfferedItIsRefusedInAnyForm) {
  if (offered()) return;
  ExpectRefused({}, 0);
  const std::vector<std::byte> body(256, std::byte{0xff});
  ExpectRefused(body, 1);
}

TEST_P(RequestRowTest, ADescriptorBesideTheFlagThatThereIsNoneIsRefused) {
  if (row().fds != Fds::kOneUnlessFlagged) return;
  const uint64_t flagged = kVringNoFdFlag;
  ExpectRefused(std::as_bytes(std::span(&flagged, 1)), 1);
}

TEST_P(RequestRowTest, MoreRegionsThanTheBodyHoldsAreRefused) {
  if (row().fds != Fds::kOnePerRegion) return;
  for (const uint32_t count : {2u, 33u, 0xffffffffu}) {
    std::vector<std::byte> body = Body();
    std::memcpy(body.data(), &count, sizeof count);
    ExpectRefused(body, std::min<size_t>(count, kMaxMessageFds));
  }
  // With as many descriptors as regions, it is the table that refuses, not the handler.
  ConnectionState state(device_, "test", /*offer_config=*/true);
  state.owned = true;
  std::vector<std::byte> body = Body();
  body[0] = std::byte{2};
  Message message{.header = {}, .body = body, .fds = {}};
  for (int i = 0; i < 2; ++i) message.fds.push_back(MakeEvent());
  EXPECT_FALSE(CheckRequest(row(), state, message).ok());
}

INSTANTIATE_TEST_SUITE_P(All, RequestRowTest,
                         testing::ValuesIn(RequestTable().begin(), RequestTable().end()),
                         [](const testing::TestParamInfo<RequestRow>& info) {
                           std::string name(info.param.name);
                           std::erase(name, '_');
                           return name;
                         });

TEST(RequestTableTest, UnknownNumbersHaveNoRow) {
  EXPECT_EQ(FindRequest(0), nullptr);
  EXPECT_EQ(FindRequest(45), nullptr);
  EXPECT_EQ(FindRequest(0xffffffff), nullptr);
}

TEST(RequestTableTest, AnUnknownRequestIsRefusedInBandIfItAsksToBe) {
  FakeDevice device;
  TestFrontEnd vmm(device);
  vmm.Negotiate();
  EXPECT_THAT(vmm.TellWithAck(FrontendRequest{1000}), testing::Optional(1u));
  vmm.Tell(FrontendRequest{1000});
  EXPECT_EQ(vmm.stopped(), StopReason::kProtocolError);
}

TEST(RequestTableTest, ASecondOwnerIsRefusedWithoutHarm) {
  FakeDevice device;
  TestFrontEnd vmm(device);
  vmm.Negotiate();
  EXPECT_THAT(vmm.TellWithAck(FrontendRequest::kSetOwner), testing::Optional(1u));
  vmm.Tell(FrontendRequest::kSetOwner);
  EXPECT_EQ(vmm.stopped(), std::nullopt);
}

}  // namespace
}  // namespace fsd::vhost_user
