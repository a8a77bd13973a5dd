#include "server/supervisor/paths.h"

#include <sys/stat.h>

#include "gmock/gmock.h"

namespace fsd::supervisor {
namespace {

using ::testing::Eq;
using ::testing::Optional;

TEST(PathsTest, NormalPathsLoseSuperfluousSlashes) {
  EXPECT_THAT(NormalPath("/"), Optional(Eq("/")));
  EXPECT_THAT(NormalPath("///"), Optional(Eq("/")));
  EXPECT_THAT(NormalPath("/a//b/"), Optional(Eq("/a/b")));
  EXPECT_THAT(NormalPath("/a/.b/..c"), Optional(Eq("/a/.b/..c")));
}

TEST(PathsTest, PathsThatAreNotPlainHaveNoNormalForm) {
  for (const std::string& path :
       {std::string(), std::string("a"), std::string("/a/./b"), std::string("/a/.."),
        std::string("/.."), std::string("/a\0b", 4), "/" + std::string(4096, 'a')}) {
    EXPECT_EQ(NormalPath(path), std::nullopt) << path;
  }
}

TEST(PathsTest, BelowIsByComponents) {
  EXPECT_TRUE(IsSameOrBelow("/srv", "/srv"));
  EXPECT_TRUE(IsSameOrBelow("/srv/a", "/srv"));
  EXPECT_TRUE(IsSameOrBelow("/srv", "/"));
  EXPECT_FALSE(IsSameOrBelow("/srvx", "/srv"));
  EXPECT_FALSE(IsSameOrBelow("/sr", "/srv"));
}

TEST(PathsTest, JoiningTakesOneSlash) {
  EXPECT_EQ(JoinPath("/run", "x"), "/run/x");
  EXPECT_EQ(JoinPath("/run/", "x"), "/run/x");
  EXPECT_EQ(JoinPath("/", "x"), "/x");
}

TEST(PathsTest, DirectoriesAreMadeWithTheirModeWhateverTheUmask) {
  const std::string root = ::testing::TempDir() + "/made";
  const mode_t before = ::umask(077);
  ASSERT_TRUE(EnsureDirectory(root + "/a/b", 0755, /*exact=*/false).ok());
  ::umask(before);
  struct stat info;
  ASSERT_EQ(::stat((root + "/a/b").c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 07777, 0755u);
}

TEST(PathsTest, OnlyExactChangesTheModeOfADirectoryThatWasThere) {
  const std::string path = ::testing::TempDir() + "/was-there";
  ASSERT_EQ(::mkdir(path.c_str(), 0711), 0);
  struct stat info;
  ASSERT_TRUE(EnsureDirectory(path, 0700, /*exact=*/false).ok());
  ASSERT_EQ(::stat(path.c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 07777, 0711u);
  ASSERT_TRUE(EnsureDirectory(path, 0700, /*exact=*/true).ok());
  ASSERT_EQ(::stat(path.c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 07777, 0700u);
}

}  // namespace
}  // namespace fsd::supervisor
