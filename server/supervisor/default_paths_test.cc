#include "server/supervisor/default_paths.h"

#include "gmock/gmock.h"

namespace fsd::supervisor {
namespace {

using ::testing::HasSubstr;

const SupervisorUser kAlice{.uid = 1000,
                            .xdg_runtime_dir = "/run/user/1000",
                            .xdg_state_home = "/home/alice/state",
                            .home = "/home/alice"};

absl::Status Complete(const SupervisorUser& user, Config& config) {
  SetDefaultPaths(user, config);
  return CompletePaths(user, config);
}

TEST(DefaultPathsTest, RootHasTheSystems) {
  Config config;
  ASSERT_TRUE(Complete({.uid = 0, .xdg_runtime_dir = "/run/user/0"}, config).ok());
  EXPECT_EQ(config.listen.at(0).address, "unix:///run/fsd/fsd.sock");
  EXPECT_EQ(config.runtime_dir, "/run/fsd");
  EXPECT_EQ(config.state_dir, "/var/lib/fsd");
}

TEST(DefaultPathsTest, AnOrdinaryUserHasItsOwn) {
  Config config;
  ASSERT_TRUE(Complete(kAlice, config).ok());
  EXPECT_EQ(config.listen.at(0).address, "unix:///run/user/1000/fsd/fsd.sock");
  EXPECT_EQ(config.runtime_dir, "/run/user/1000/fsd");
  EXPECT_EQ(config.state_dir, "/home/alice/state/fsd");
}

TEST(DefaultPathsTest, TheStateIsBelowTheHomeUnlessTheEnvironmentSaysWhere) {
  SupervisorUser alice = kAlice;
  alice.xdg_state_home = "relative";
  Config config;
  ASSERT_TRUE(Complete(alice, config).ok());
  EXPECT_EQ(config.state_dir, "/home/alice/.local/state/fsd");
}

TEST(DefaultPathsTest, WhatIsConfiguredStays) {
  Config config;
  SetDefaultPaths(kAlice, config);
  config.listen = {{.address = "unix:///tmp/a.sock"}};
  config.state_dir = "/tmp/state";
  ASSERT_TRUE(CompletePaths(kAlice, config).ok());
  EXPECT_EQ(config.listen.at(0).address, "unix:///tmp/a.sock");
  EXPECT_EQ(config.runtime_dir, "/run/user/1000/fsd");
  EXPECT_EQ(config.state_dir, "/tmp/state");
}

TEST(DefaultPathsTest, WhatTheEnvironmentLacksIsNamed) {
  Config config;
  EXPECT_THAT(std::string(Complete({.uid = 1000, .home = "/home/alice"}, config).message()),
              HasSubstr("XDG_RUNTIME_DIR is not set"));
  EXPECT_THAT(
      std::string(Complete({.uid = 1000, .xdg_runtime_dir = "/run/user/1000"}, config).message()),
      HasSubstr("neither XDG_STATE_HOME nor HOME is set"));
}

TEST(DefaultPathsTest, WithoutARuntimeDirectoryAllMustBeConfigured) {
  const SupervisorUser alice{.uid = 1000, .home = "/home/alice"};
  Config config;
  SetDefaultPaths(alice, config);
  config.listen = {{.address = "unix:///tmp/a.sock"}};
  EXPECT_FALSE(CompletePaths(alice, config).ok());
  config.runtime_dir = "/tmp/run";
  EXPECT_TRUE(CompletePaths(alice, config).ok());
}

}  // namespace
}  // namespace fsd::supervisor
