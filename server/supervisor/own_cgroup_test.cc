#include "server/supervisor/own_cgroup.h"

#include "gmock/gmock.h"

namespace fsd::supervisor {
namespace {

using ::testing::HasSubstr;

constexpr char kUnifiedOnly[] =
    "22 1 0:21 / /proc rw,nosuid - proc proc rw\n"
    "30 23 0:26 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate\n";

TEST(OwnCgroupDirectoryTest, IsBelowTheMount) {
  EXPECT_EQ(*OwnCgroupDirectory("0::/system.slice/fsd.service\n", kUnifiedOnly),
            "/sys/fs/cgroup/system.slice/fsd.service");
  EXPECT_EQ(*OwnCgroupDirectory("0::/\n", kUnifiedOnly), "/sys/fs/cgroup");
}

TEST(OwnCgroupDirectoryTest, IsThatAboveTheSupervisorsOwnLeaf) {
  EXPECT_EQ(*OwnCgroupDirectory("0::/system.slice/fsd.service/supervisor\n", kUnifiedOnly),
            "/sys/fs/cgroup/system.slice/fsd.service");
  EXPECT_EQ(*OwnCgroupDirectory("0::/my-supervisor\n", kUnifiedOnly),
            "/sys/fs/cgroup/my-supervisor");
}

TEST(OwnCgroupDirectoryTest, IsFoundBesideTheOldHierarchies) {
  EXPECT_EQ(*OwnCgroupDirectory("9:name=systemd:/old\n4:memory:/process\n0::/new\n",
                                "40 30 0:30 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n"
                                "41 30 0:31 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n"),
            "/sys/fs/cgroup/unified/new");
}

TEST(OwnCgroupDirectoryTest, TheMountMayShowAPartOnlyAndHaveAnOddName) {
  constexpr char kTwo[] =
      "30 23 0:26 /other /sys/other rw - cgroup2 cgroup2 rw\n"
      "31 23 0:26 /box\\040one /sys/fs/my\\040cgroup rw - cgroup2 cgroup2 rw\n";
  EXPECT_EQ(*OwnCgroupDirectory("0::/box one/fsd\n", kTwo), "/sys/fs/my cgroup/fsd");
  EXPECT_EQ(*OwnCgroupDirectory("0::/box one\n", kTwo), "/sys/fs/my cgroup");
  EXPECT_THAT(std::string(OwnCgroupDirectory("0::/box\n", kTwo).status().message()),
              HasSubstr("no mount of cgroups (v2)"));
}

TEST(OwnCgroupDirectoryTest, WithoutOneTheMessageSaysWhy) {
  EXPECT_THAT(
      std::string(OwnCgroupDirectory("4:memory:/process\n", kUnifiedOnly).status().message()),
      HasSubstr("the kernel has no cgroups (v2)"));
  EXPECT_THAT(std::string(OwnCgroupDirectory("0::/../other\n", kUnifiedOnly).status().message()),
              HasSubstr("/../other cannot be seen"));
  EXPECT_THAT(std::string(OwnCgroupDirectory("0::/fsd\n", "garbage\n\n1 2 3\n").status().message()),
              HasSubstr("no mount of cgroups (v2)"));
}

}  // namespace
}  // namespace fsd::supervisor
