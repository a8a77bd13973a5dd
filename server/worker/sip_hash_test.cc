#include "server/worker/sip_hash.h"

#include <cstddef>
#include <vector>

#include "gtest/gtest.h"

namespace fsd::worker {
namespace {

constexpr SipHashKey kKey = {0x0706050403020100, 0x0f0e0d0c0b0a0908};

// 00 01 02 …
std::vector<std::byte> Counting(size_t length) {
  std::vector<std::byte> bytes;
  for (size_t i = 0; i < length; ++i) bytes.push_back(static_cast<std::byte>(i));
  return bytes;
}

TEST(SipHash, GivesTheReferenceValues) {
  EXPECT_EQ(SipHash(kKey, Counting(0)), 0x726fdb47dd0e0e31u);
  EXPECT_EQ(SipHash(kKey, Counting(1)), 0x74f839c593dc67fdu);
  EXPECT_EQ(SipHash(kKey, Counting(7)), 0xab0200f58b01d137u);
  EXPECT_EQ(SipHash(kKey, Counting(8)), 0x93f5f5799a932462u);
  EXPECT_EQ(SipHash(kKey, Counting(15)), 0xa129ca6149be45e5u);  // the paper's appendix
  EXPECT_EQ(SipHash(kKey, Counting(63)), 0x958a324ceb064572u);
}

TEST(SipHash, DependsOnEveryBitOfTheKey) {
  const std::vector<std::byte> data = Counting(56);
  for (int bit = 0; bit < 128; ++bit) {
    SipHashKey key = kKey;
    key[static_cast<size_t>(bit / 64)] ^= uint64_t{1} << (bit % 64);
    EXPECT_NE(SipHash(key, data), SipHash(kKey, data));
  }
}

}  // namespace
}  // namespace fsd::worker
