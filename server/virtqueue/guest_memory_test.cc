#include "server/virtqueue/guest_memory.h"

#include <array>
#include <limits>
#include <utility>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "server/os/memory_file.h"

namespace fsd::virtqueue {
namespace {

constexpr uint64_t kPage = 4096;
constexpr uint64_t kMax = std::numeric_limits<uint64_t>::max();

os::UniqueFd File(size_t bytes) { return *os::CreateMemoryFile("guest", bytes); }

std::byte* ByteAt(const GuestMemory& memory, uint64_t guest_address) {
  return static_cast<std::byte*>(memory.At(guest_address, 1));
}

// Two regions of 16 KiB, neighbours in the guest's addresses, and one far above.
class ThreeRegions : public testing::Test {
 protected:
  static constexpr RegionDescription kFirst{
      .guest_address = 0x10000, .size = 0x4000, .user_address = 0x910000, .mmap_offset = 0x4000};
  static constexpr RegionDescription kSecond{
      .guest_address = 0x14000, .size = 0x4000, .user_address = 0x814000, .mmap_offset = 0};
  static constexpr RegionDescription kThird{
      .guest_address = 0x100000, .size = 0x4000, .user_address = 0x700000, .mmap_offset = 0x8000};

  // Not in the order of their addresses.
  std::shared_ptr<const GuestMemory> Memory() const {
    auto memory = GuestMemory().With(kThird, file_.get());
    memory = (*memory)->With(kFirst, file_.get());
    return *(*memory)->With(kSecond, file_.get());
  }

  bool Translate(uint64_t address, uint64_t length) {
    return memory_->Translate(address, length, iovecs_, count_, nearby_);
  }

  const os::UniqueFd file_ = File(0xc000);
  std::shared_ptr<const GuestMemory> memory_ = Memory();
  std::array<iovec, 4> iovecs_{};
  size_t count_ = 0;
  GuestMemory::Nearby nearby_{*memory_};
};

TEST_F(ThreeRegions, IncludesTheTableItCameFromAndNotTheOtherWayRound) {
  const auto fewer = *memory_->Without(kSecond);
  EXPECT_TRUE(memory_->Includes(*fewer));
  EXPECT_TRUE(memory_->Includes(*memory_));
  EXPECT_FALSE(fewer->Includes(*memory_));
}

TEST_F(ThreeRegions, DoesNotIncludeTheSameRegionMappedAnew) {
  const auto anew = *GuestMemory().With(kFirst, file_.get());
  EXPECT_FALSE(memory_->Includes(*anew));
}

TEST_F(ThreeRegions, TranslatesWithinARegion) {
  ASSERT_TRUE(Translate(0x10010, 0x20));
  ASSERT_EQ(count_, 1u);
  EXPECT_EQ(iovecs_[0].iov_base, ByteAt(*memory_, 0x10010));
  EXPECT_EQ(iovecs_[0].iov_len, 0x20u);
}

TEST_F(ThreeRegions, SplitsABufferThatStraddlesRegions) {
  ASSERT_TRUE(Translate(0x13ff0, 0x30));
  ASSERT_EQ(count_, 2u);
  EXPECT_EQ(iovecs_[0].iov_base, ByteAt(*memory_, 0x13ff0));
  EXPECT_EQ(iovecs_[0].iov_len, 0x10u);
  EXPECT_EQ(iovecs_[1].iov_base, ByteAt(*memory_, 0x14000));
  EXPECT_EQ(iovecs_[1].iov_len, 0x20u);
}

// A buffer may begin in the region of the one before and end elsewhere.
TEST_F(ThreeRegions, RefusesWhatIsNotSharedAfterWhatWas) {
  for (const uint64_t last : {0x13fffu, 0x17fffu, 0x103fffu}) {
    ASSERT_TRUE(Translate(last - 0x100, 1));
    EXPECT_EQ(Translate(last, 2), last == 0x13fff) << last;
    count_ = 0;
  }
  ASSERT_TRUE(Translate(0x10000, 1));
  EXPECT_FALSE(Translate(0x10001, kMax));
  EXPECT_FALSE(Translate(0xffff, 1));
}

TEST_F(ThreeRegions, TakesNothingOfAnEmptyBuffer) {
  ASSERT_TRUE(Translate(0x10000, 0));
  EXPECT_EQ(count_, 0u);
}

TEST_F(ThreeRegions, RefusesWhatIsNotShared) {
  EXPECT_FALSE(Translate(0xffff, 2));
  EXPECT_FALSE(Translate(0x17fff, 2));
  EXPECT_FALSE(Translate(0x20000, 1));
  EXPECT_FALSE(Translate(0x103fff, 2));
  EXPECT_FALSE(Translate(0x10000, kMax));
  EXPECT_FALSE(Translate(kMax, 2));
  const GuestMemory empty;
  GuestMemory::Nearby nothing(empty);
  EXPECT_FALSE(empty.Translate(0, 1, iovecs_, count_, nothing));
}

TEST_F(ThreeRegions, RefusesMoreThanFits) {
  count_ = 3;
  EXPECT_FALSE(Translate(0x13ff0, 0x30));
}

TEST_F(ThreeRegions, NothingIsTranslatedToNothing) {
  EXPECT_TRUE(Translate(0xdead'0000, 0));
  EXPECT_EQ(count_, 0u);
}

TEST_F(ThreeRegions, FindsOnePieceByEitherAddress) {
  EXPECT_EQ(memory_->At(0x14000, 0x4000), memory_->AtUserAddress(0x814000, 0x4000));
  EXPECT_NE(memory_->At(0x14000, 0x4000), nullptr);
  EXPECT_EQ(memory_->At(0x14000, 0x4001), nullptr);
  EXPECT_EQ(memory_->At(0x13fff, 2), nullptr);
  EXPECT_EQ(memory_->At(0x18000, 0), nullptr);
  EXPECT_EQ(memory_->AtUserAddress(0x814001, 0x4000), nullptr);
  EXPECT_EQ(memory_->AtUserAddress(0x14000, 1), nullptr);
  EXPECT_EQ(memory_->AtUserAddress(0x814000, kMax), nullptr);
}

TEST_F(ThreeRegions, TellsGuestAddresses) {
  uint64_t address = 0;
  EXPECT_TRUE(memory_->GuestAddressOf(uint64_t{0x817fff}, address));
  EXPECT_EQ(address, 0x17fffu);
  EXPECT_FALSE(memory_->GuestAddressOf(uint64_t{0x818000}, address));

  EXPECT_TRUE(memory_->GuestAddressOf(ByteAt(*memory_, 0x103fff), address));
  EXPECT_EQ(address, 0x103fffu);
  EXPECT_FALSE(memory_->GuestAddressOf(&address, address));
}

TEST_F(ThreeRegions, RefusesAnOverlapInEitherAddress) {
  const RegionDescription guest{.guest_address = 0x17fff, .size = kPage, .user_address = 0x1000000};
  const RegionDescription user{.guest_address = 0x1000000, .size = kPage, .user_address = 0x80f000};
  RegionDescription user_last_byte = user;
  user_last_byte.user_address = 0x813001;
  EXPECT_TRUE(absl::IsInvalidArgument(memory_->With(guest, file_.get()).status()));
  EXPECT_TRUE(memory_->With(user, file_.get()).ok());
  EXPECT_TRUE(absl::IsInvalidArgument(memory_->With(user_last_byte, file_.get()).status()));
  EXPECT_TRUE(absl::IsInvalidArgument(memory_->With(kFirst, file_.get()).status()));
}

TEST_F(ThreeRegions, RemovesExactlyTheRegionNamed) {
  RegionDescription other_size = kSecond;
  other_size.size = kPage;
  RegionDescription other_user = kSecond;
  other_user.user_address += kPage;
  EXPECT_TRUE(absl::IsNotFound(memory_->Without(other_size).status()));
  EXPECT_TRUE(absl::IsNotFound(memory_->Without(other_user).status()));

  const auto without = *memory_->Without(kSecond);
  EXPECT_EQ(without->region_count(), 2u);
  EXPECT_EQ(without->At(0x14000, 1), nullptr);
  EXPECT_NE(without->At(0x100000, 1), nullptr);
  EXPECT_NE(memory_->At(0x14000, 1), nullptr) << "the old table is as it was";
}

TEST_F(ThreeRegions, MappingsLiveInEveryTableThatHoldsThem) {
  std::byte* const byte = ByteAt(*memory_, 0x100000);
  const auto without = *memory_->Without(kFirst);
  memory_.reset();
  *byte = std::byte{7};
  EXPECT_EQ(*ByteAt(*without, 0x100000), std::byte{7});
}

TEST(GuestMemory, MapsFromAnUnalignedOffset) {
  const os::UniqueFd file = File(4 * kPage);
  const auto whole = *GuestMemory().With({.guest_address = 0, .size = 4 * kPage}, file.get());
  const auto part = *GuestMemory().With(
      {.guest_address = 0x5000, .size = 2 * kPage, .user_address = 0, .mmap_offset = 0x1234},
      file.get());
  *ByteAt(*part, 0x5000) = std::byte{1};
  *ByteAt(*part, 0x5000 + 2 * kPage - 1) = std::byte{2};
  EXPECT_EQ(*ByteAt(*whole, 0x1234), std::byte{1});
  EXPECT_EQ(*ByteAt(*whole, 0x1234 + 2 * kPage - 1), std::byte{2});
  EXPECT_EQ(part->At(0x5000, 2 * kPage + 1), nullptr);
}

TEST(GuestMemory, RefusesAFileThatIsTooShort) {
  const os::UniqueFd file = File(4 * kPage);
  const GuestMemory memory;
  EXPECT_TRUE(memory.With({.size = 4 * kPage}, file.get()).ok());
  EXPECT_TRUE(absl::IsInvalidArgument(memory.With({.size = 4 * kPage + 1}, file.get()).status()));
  EXPECT_TRUE(absl::IsInvalidArgument(
      memory.With({.size = 4 * kPage, .mmap_offset = 1}, file.get()).status()));
  EXPECT_TRUE(absl::IsInvalidArgument(
      memory.With({.size = kPage, .mmap_offset = kMax - kPage + 1}, file.get()).status()));
}

TEST(GuestMemory, RefusesRegionsThatAreEmptyOrWrap) {
  const os::UniqueFd file = File(kPage);
  const GuestMemory memory;
  EXPECT_TRUE(absl::IsInvalidArgument(memory.With({.size = 0}, file.get()).status()));
  EXPECT_TRUE(absl::IsInvalidArgument(
      memory.With({.guest_address = kMax - 1, .size = kPage}, file.get()).status()));
  EXPECT_TRUE(absl::IsInvalidArgument(
      memory.With({.size = kPage, .user_address = kMax - 1}, file.get()).status()));
}

TEST(GuestMemory, RefusesWhatCannotBeMapped) {
  std::array<int, 2> pipe;
  ASSERT_EQ(::pipe(pipe.data()), 0);
  const os::UniqueFd reader(pipe[0]);
  const os::UniqueFd writer(pipe[1]);
  EXPECT_FALSE(GuestMemory().With({.size = kPage}, reader.get()).ok());
  EXPECT_FALSE(GuestMemory().With({.size = kPage}, -1).ok());
}

TEST(GuestMemory, HoldsSoManyRegionsAndNoMore) {
  const os::UniqueFd file = File(kPage);
  auto memory = std::make_shared<const GuestMemory>();
  for (uint64_t i = 0; i < GuestMemory::kMaxRegions; ++i) {
    memory = *memory->With({.guest_address = i * kPage, .size = kPage, .user_address = i * kPage},
                           file.get());
  }
  EXPECT_TRUE(absl::IsResourceExhausted(
      memory->With({.guest_address = 1 << 30, .size = kPage, .user_address = 1 << 30}, file.get())
          .status()));
}

}  // namespace
}  // namespace fsd::virtqueue
