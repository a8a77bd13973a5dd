#include "server/supervisor/cgroup_subtree.h"

#include <filesystem>

#include "gmock/gmock.h"
#include "server/supervisor/fake_cgroups.h"

namespace fsd::supervisor {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;

std::string Problem(const std::string& directory) {
  return std::string(CgroupSubtree::Take(directory).status().message());
}

TEST(CgroupSubtreeTest, TheSupervisorMovesIntoItsLeafAndTheChildrenGetTheControllers) {
  const FakeCgroups cgroups;

  const auto subtree = CgroupSubtree::Take(cgroups.root());

  ASSERT_TRUE(subtree.ok()) << subtree.status();
  EXPECT_EQ((*subtree)->directory(), cgroups.root());
  EXPECT_EQ(cgroups.Read("supervisor/cgroup.procs"), "0");
  EXPECT_EQ(cgroups.Read("cgroup.subtree_control"), "+memory +pids +cpu +io");
  for (const CgroupController controller : kCgroupControllers) {
    EXPECT_THAT((*subtree)->WhyNot(controller), IsEmpty());
  }
}

TEST(CgroupSubtreeTest, AControllerThatIsMissingIsNamedAndCostsNoOther) {
  const FakeCgroups cgroups("cpu pids\n");

  const auto subtree = CgroupSubtree::Take(cgroups.root());

  ASSERT_TRUE(subtree.ok()) << subtree.status();
  EXPECT_EQ(cgroups.Read("cgroup.subtree_control"), "+pids +cpu");
  EXPECT_EQ((*subtree)->WhyNot(CgroupController::kMemory),
            cgroups.root() + " has no memory controller");
  EXPECT_EQ((*subtree)->WhyNot(CgroupController::kIo), cgroups.root() + " has no io controller");
  EXPECT_THAT((*subtree)->WhyNot(CgroupController::kCpu), IsEmpty());
}

TEST(CgroupSubtreeTest, WithoutAnyControllerNothingIsEnabled) {
  const FakeCgroups cgroups("");
  cgroups.MakeUnwritable("cgroup.subtree_control");

  const auto subtree = CgroupSubtree::Take(cgroups.root());

  ASSERT_TRUE(subtree.ok()) << subtree.status();
  EXPECT_EQ((*subtree)->WhyNot(CgroupController::kPids),
            cgroups.root() + " has no pids controller");
}

TEST(CgroupSubtreeTest, AControllerThatCannotBeEnabledIsNamedWithTheError) {
  const FakeCgroups cgroups("memory");
  cgroups.MakeUnwritable("cgroup.subtree_control");

  const auto subtree = CgroupSubtree::Take(cgroups.root());

  ASSERT_TRUE(subtree.ok()) << subtree.status();
  EXPECT_EQ((*subtree)->WhyNot(CgroupController::kMemory),
            "enable the memory controller in " + cgroups.root() + ": Is a directory");
}

TEST(CgroupSubtreeTest, WhatIsNoCgroupOrCannotBeEnteredIsRefused) {
  EXPECT_THAT(Problem("/nonexistent"), HasSubstr("open /nonexistent"));
  EXPECT_THAT(Problem("/tmp"), HasSubstr("/tmp is not the directory of a cgroup (v2)"));
  const FakeCgroups cgroups;
  cgroups.MakeUnwritable("supervisor/cgroup.procs");
  EXPECT_THAT(Problem(cgroups.root()), HasSubstr("move into a cgroup supervisor of "));
}

TEST(CgroupSubtreeTest, BelongsToOneSupervisorAtATime) {
  const FakeCgroups cgroups;
  {
    const auto first = CgroupSubtree::Take(cgroups.root());
    ASSERT_TRUE(first.ok()) << first.status();
    EXPECT_THAT(Problem(cgroups.root()), HasSubstr("another supervisor has"));
  }
  EXPECT_TRUE(CgroupSubtree::Take(cgroups.root()).ok());
}

TEST(CgroupSubtreeTest, EmptyPartsOfAnEarlierSupervisorsAreRemovedAndNothingElse) {
  const FakeCgroups cgroups;
  cgroups.AddExport("kept");
  std::filesystem::create_directory(cgroups.Path("export-gone"));
  std::filesystem::create_directory(cgroups.Path("foreign"));

  const auto subtree = CgroupSubtree::Take(cgroups.root());

  ASSERT_TRUE(subtree.ok()) << subtree.status();
  EXPECT_FALSE(cgroups.Has("export-gone"));
  EXPECT_TRUE(cgroups.Has("export-kept"));
  EXPECT_TRUE(cgroups.Has("foreign"));
}

TEST(CgroupSubtreeTest, APartIsMadeAndRemoved) {
  const FakeCgroups cgroups;
  const auto subtree = CgroupSubtree::Take(cgroups.root());
  ASSERT_TRUE(subtree.ok()) << subtree.status();

  EXPECT_TRUE((*subtree)->Make("web").ok());
  EXPECT_TRUE(cgroups.Has("export-web"));
  (*subtree)->Remove("web");
  EXPECT_FALSE(cgroups.Has("export-web"));
  (*subtree)->Remove("web");
}

TEST(CgroupSubtreeTest, WhoeverIsLeftOfAnEarlierWorkerIsKilledBeforeTheNext) {
  const FakeCgroups cgroups;
  cgroups.AddExport("web");
  const auto subtree = CgroupSubtree::Take(cgroups.root());
  ASSERT_TRUE(subtree.ok()) << subtree.status();

  EXPECT_TRUE((*subtree)->Make("web").ok());

  EXPECT_EQ(cgroups.Read("export-web/cgroup.kill"), "1");
}

TEST(CgroupSubtreeTest, APartThatIsStillInUseIsRemovedLater) {
  const FakeCgroups cgroups;
  cgroups.AddExport("web");
  const auto subtree = CgroupSubtree::Take(cgroups.root());
  ASSERT_TRUE(subtree.ok()) << subtree.status();
  (*subtree)->Remove("web");
  ASSERT_TRUE(cgroups.Has("export-web"));
  EXPECT_EQ(cgroups.Read("export-web/cgroup.kill"), "1");
  // Its last process ends.
  cgroups.Remove("export-web");
  std::filesystem::create_directory(cgroups.Path("export-web"));

  EXPECT_TRUE((*subtree)->Make("db").ok());

  EXPECT_FALSE(cgroups.Has("export-web"));
  EXPECT_TRUE(cgroups.Has("export-db"));
}

TEST(CgroupSubtreeTest, APartIsNotMadeBehindALink) {
  const FakeCgroups cgroups;
  std::filesystem::create_directory_symlink("/tmp", cgroups.Path("export-web"));
  const auto subtree = CgroupSubtree::Take(cgroups.root());
  ASSERT_TRUE(subtree.ok()) << subtree.status();

  EXPECT_FALSE((*subtree)->Make("web").ok());
}

}  // namespace
}  // namespace fsd::supervisor
