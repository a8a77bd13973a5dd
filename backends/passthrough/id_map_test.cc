#include "backends/passthrough/id_map.h"

#include <utility>
#include <vector>

#include "backends/passthrough/passthrough_fixture.h"
#include "gtest/gtest.h"

namespace fsd::passthrough {
namespace {

using Kind = IdTranslation::Kind;

IdMap Make(std::vector<IdTranslation> translations) {
  auto map = IdMap::Create(translations);
  EXPECT_TRUE(map.ok()) << map.status();
  return *std::move(map);
}

bool Refused(std::vector<IdTranslation> translations) { return !IdMap::Create(translations).ok(); }

TEST(IdMapTest, AnEmptyMapIsTheIdentity) {
  const IdMap map;
  EXPECT_TRUE(map.identity());
  EXPECT_EQ(Must(map.ToHost(7)), 7u);
  EXPECT_EQ(map.ToGuest(7), 7u);
}

TEST(IdMapTest, MapGoesBothWaysAndNoFurtherThanItsRange) {
  const IdMap map = Make({{Kind::kMap, 0, 100'000, 10}});
  EXPECT_FALSE(map.identity());
  EXPECT_EQ(Must(map.ToHost(0)), 100'000u);
  EXPECT_EQ(Must(map.ToHost(9)), 100'009u);
  EXPECT_EQ(Must(map.ToHost(10)), 10u);
  EXPECT_EQ(map.ToGuest(99'999), 99'999u);
  EXPECT_EQ(map.ToGuest(100'000), 0u);
  EXPECT_EQ(map.ToGuest(100'009), 9u);
  EXPECT_EQ(map.ToGuest(100'010), 100'010u);
}

TEST(IdMapTest, GuestAndHostGoOneWayEach) {
  const IdMap map = Make({{Kind::kGuest, 5, 50, 2}, {Kind::kHost, 7, 70, 2}});
  EXPECT_EQ(Must(map.ToHost(6)), 51u);
  EXPECT_EQ(map.ToGuest(51), 51u);
  EXPECT_EQ(map.ToGuest(71), 8u);
  EXPECT_EQ(Must(map.ToHost(8)), 8u);
}

TEST(IdMapTest, SquashMakesARangeOneId) {
  const IdMap map =
      Make({{Kind::kSquashGuest, 0, 1000, 0xffff0000}, {Kind::kSquashHost, 65534, 0, 1000}});
  EXPECT_EQ(Must(map.ToHost(0)), 1000u);
  EXPECT_EQ(Must(map.ToHost(123'456)), 1000u);
  EXPECT_EQ(map.ToGuest(999), 65534u);
  EXPECT_EQ(map.ToGuest(1000), 1000u);
}

TEST(IdMapTest, AForbiddenIdIsEpermForTheGuestOnly) {
  const IdMap map = Make({{Kind::kForbidGuest, 10, 0, 5}});
  EXPECT_EQ(Must(map.ToHost(9)), 9u);
  EXPECT_ERRNO(map.ToHost(10), EPERM);
  EXPECT_ERRNO(map.ToHost(14), EPERM);
  EXPECT_EQ(Must(map.ToHost(15)), 15u);
  EXPECT_EQ(map.ToGuest(12), 12u);
}

TEST(IdMapTest, TheRangeIsFoundAmongMany) {
  const IdMap map =
      Make({{Kind::kMap, 30, 3000, 10}, {Kind::kMap, 10, 1000, 10}, {Kind::kMap, 20, 2000, 10}});
  EXPECT_EQ(Must(map.ToHost(10)), 1000u);
  EXPECT_EQ(Must(map.ToHost(29)), 2009u);
  EXPECT_EQ(Must(map.ToHost(35)), 3005u);
  EXPECT_EQ(Must(map.ToHost(40)), 40u);
}

TEST(IdMapTest, RangesThatOverlapOrLeaveTheIdsAreRefused) {
  EXPECT_TRUE(Refused({{Kind::kMap, 0, 0, 0}}));
  EXPECT_TRUE(Refused({{Kind::kMap, 1, 0, UINT32_MAX}}));
  EXPECT_FALSE(Refused({{Kind::kMap, 0, 0, UINT32_MAX}}));
  EXPECT_TRUE(Refused({{Kind::kMap, 0, 1, UINT32_MAX}}));
  EXPECT_TRUE(Refused({{Kind::kMap, 0, 0, uint64_t{1} << 63}}));
  EXPECT_TRUE(Refused({{Kind::kSquashGuest, 0, UINT32_MAX, 1}}));
  EXPECT_TRUE(Refused({{Kind::kMap, 0, 100, 10}, {Kind::kForbidGuest, 9, 0, 1}}));
  EXPECT_TRUE(Refused({{Kind::kGuest, 5, 100, 1}, {Kind::kGuest, 0, 200, 6}}));
  EXPECT_FALSE(Refused({{Kind::kGuest, 0, 100, 10}, {Kind::kHost, 0, 100, 10}}));
}

}  // namespace
}  // namespace fsd::passthrough
