#include "server/supervisor/subordinate_ids.h"

#include <fstream>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "gmock/gmock.h"

namespace fsd::supervisor {
namespace {

using ::testing::HasSubstr;

// Nobody's.
constexpr uid_t kUser = 54321;

// "inside outside count" of each range, or the error.
std::string MapOf(const std::string& text, uid_t user = kUser) {
  const std::string file = ::testing::TempDir() + "/subuid";
  std::ofstream(file) << text;
  const auto map = SubordinateIdMap(file, user, 7);
  if (!map.ok()) return std::string(map.status().message());
  return absl::StrJoin(*map, ", ", [](std::string* out, const os::IdRange& range) {
    absl::StrAppend(out, range.inside_first, " ", range.outside_first, " ", range.count);
  });
}

TEST(SubordinateIdsTest, AUsersRangesFollowItsOwnIdOneAfterTheOther) {
  EXPECT_EQ(MapOf("other:1:10\n54321:100000:65536\n\n# a comment\n54321:300000:10\n"),
            "0 7 1, 1 100000 65536, 65537 300000 10");
}

TEST(SubordinateIdsTest, AUserIsFoundByName) {
  EXPECT_EQ(MapOf("root:100000:65536\n", 0), "0 7 1, 1 100000 65536");
}

TEST(SubordinateIdsTest, WhoHasNoneIsToldWhereToGetThem) {
  EXPECT_THAT(
      MapOf("other:1:10\n:5:5\n"),
      HasSubstr("subuid gives no ids to user 54321; add a line such as 54321:100000:65536"));
}

TEST(SubordinateIdsTest, LinesThatAreNoneAreErrors) {
  for (const char* bad : {"54321", "54321:a:1", "54321:1:-1", "54321:1:4294967295",
                          "54321:4294967296:1", "54321:1:1:1"}) {
    EXPECT_THAT(MapOf(bad), HasSubstr("is no line such as")) << bad;
  }
}

TEST(SubordinateIdsTest, MoreIdsThanThereAreIsAnError) {
  EXPECT_THAT(MapOf("54321:1:4294967290\n54321:1:4294967290\n"), HasSubstr("more ranges or ids"));
}

}  // namespace
}  // namespace fsd::supervisor
