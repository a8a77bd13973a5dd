#include "server/host/host_facts.h"

#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>

#include "gmock/gmock.h"
#include "server/os/unix_socket.h"

namespace fsd::host {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using testing::Not;

class HostFactsTest : public testing::Test {
 protected:
  HostFactsTest() {
    char name[] = "/tmp/host_facts.XXXXXX";
    directory_ = mkdtemp(name);
  }
  ~HostFactsTest() override { std::filesystem::remove_all(directory_); }

  std::string directory_;
};

TEST(KernelFacts, AreThoseOfAKernelThatRunsTheseTests) {
  const KernelFacts facts = ReadKernelFacts();

  EXPECT_THAT(facts.release, testing::ContainsRegex("^[0-9]+\\.[0-9]+"));
  EXPECT_THAT(facts.missing_calls, IsEmpty());
  EXPECT_TRUE(facts.seccomp_kills);
}

TEST(LimitFacts, AreNumbersOfThisHost) {
  const LimitFacts facts = ReadLimitFacts();

  EXPECT_GT(facts.open_files, 0u);
  EXPECT_GT(facts.host_files, facts.host_files_used);
  EXPECT_GT(facts.host_files_used, 0u);
  EXPECT_GT(facts.pids, 0u);
  EXPECT_GT(facts.threads, 0u);
}

TEST_F(HostFactsTest, ACgroupThatIsNoneIsToldApart) {
  EXPECT_THAT(ReadCgroupFacts("").error, IsEmpty());
  EXPECT_EQ(ReadCgroupFacts(directory_).error, directory_ + " is no cgroup of version 2");
}

TEST_F(HostFactsTest, ASourceIsLookedAt) {
  const SourceFacts facts = ReadSourceFacts(directory_);
  EXPECT_EQ(facts.open_error, 0);
  EXPECT_TRUE(facts.is_directory);
  EXPECT_THAT(facts.filesystem, Not(IsEmpty()));

  std::ofstream(directory_ + "/file") << "x";
  EXPECT_FALSE(ReadSourceFacts(directory_ + "/file").is_directory);
  EXPECT_EQ(ReadSourceFacts(directory_ + "/none").open_error, ENOENT);
}

TEST_F(HostFactsTest, OfARunningServerExportsSourcesAndItsCgroupAreKnown) {
  supervisor::Config config;
  config.allow_source = {directory_};
  config.state_dir = directory_;
  config.runtime_dir = directory_;
  config.cgroup = supervisor::kAutoCgroup;
  std::ofstream(directory_ + "/cgroup.subtree_control") << "cpu memory\n";
  const ServerFacts server{.export_sources = {directory_, "/none", "/dev/shm", "/none"},
                           .cgroup_directory = directory_};

  const HostFacts facts = ReadHostFacts(config, &server);

  ASSERT_EQ(facts.export_sources.size(), 2u);
  EXPECT_EQ(facts.export_sources[0].path, "/dev/shm");
  EXPECT_EQ(facts.export_sources[1].open_error, ENOENT);
  EXPECT_TRUE(facts.cgroup.is_ours);
  EXPECT_THAT(facts.cgroup.controllers, ElementsAre("cpu", "memory"));
  EXPECT_THAT(ReadDividedCgroupFacts("auto", "").error, Not(IsEmpty()));
  EXPECT_THAT(ReadDividedCgroupFacts("", "").error, IsEmpty());
}

TEST_F(HostFactsTest, AFileSystemWithoutHandlesIsKnown) {
  EXPECT_EQ(ReadSourceFacts("/proc/self").handle_error, EOPNOTSUPP);
  EXPECT_EQ(ReadSourceFacts("/dev/shm").filesystem, "tmpfs");
  EXPECT_EQ(ReadSourceFacts("/dev/shm").handle_error, 0);
}

TEST_F(HostFactsTest, ADirectoryIsTriedAndNothingStaysInIt) {
  const DirectoryFacts facts = ReadDirectoryFacts("state_dir", directory_);

  EXPECT_TRUE(facts.exists);
  EXPECT_EQ(facts.open_error, 0);
  EXPECT_EQ(facts.write_error, 0);
  EXPECT_EQ(facts.sync_error, 0);
  EXPECT_EQ(facts.owner, geteuid());
  EXPECT_FALSE(facts.others_write);
  EXPECT_GT(facts.free_bytes, 0u);
  EXPECT_GT(facts.free_files, 0u);
  EXPECT_TRUE(std::filesystem::is_empty(directory_));
}

TEST_F(HostFactsTest, OfADirectoryThatIsToBeMadeTheNearestIsTried) {
  chmod(directory_.c_str(), 0777);

  const DirectoryFacts facts = ReadDirectoryFacts("state_dir", directory_ + "/a/b");

  EXPECT_FALSE(facts.exists);
  EXPECT_EQ(facts.open_error, 0);
  EXPECT_TRUE(facts.others_write);
  EXPECT_EQ(facts.write_error, 0);
  EXPECT_TRUE(std::filesystem::is_empty(directory_));
}

TEST_F(HostFactsTest, WhereNothingCanBeWrittenThatIsTold) {
  EXPECT_NE(ReadDirectoryFacts("state_dir", "/proc/self").write_error, 0);
  std::ofstream(directory_ + "/file") << "x";
  EXPECT_EQ(ReadDirectoryFacts("state_dir", directory_ + "/file").open_error, ENOTDIR);
  EXPECT_EQ(ReadDirectoryFacts("state_dir", directory_ + "/file/x").open_error, ENOTDIR);
}

TEST_F(HostFactsTest, SocketsThatNobodyListensOnAndRecordsSetAsideAreFound) {
  std::filesystem::create_directories(directory_ + "/run/exports");
  std::filesystem::create_directories(directory_ + "/run/control");
  std::filesystem::create_directories(directory_ + "/state/exports");
  const std::string dead = directory_ + "/run/exports/dead.sock";
  const std::string alive = directory_ + "/run/control/alive";
  os::ListenUnix(dead, os::SocketType::kStream, {}).value().reset();
  const os::UniqueFd listener = os::ListenUnix(alive, os::SocketType::kStream, {}).value();
  std::ofstream(directory_ + "/run/exports/no-socket") << "x";
  std::ofstream(directory_ + "/state/exports/web") << "x";
  std::ofstream(directory_ + "/state/exports/db.damaged") << "x";

  const LeftoverFacts facts = ReadLeftoverFacts(directory_ + "/state", directory_ + "/run");

  EXPECT_THAT(facts.dead_sockets, ElementsAre(dead));
  EXPECT_THAT(facts.damaged_records, ElementsAre(directory_ + "/state/exports/db.damaged"));
}

TEST_F(HostFactsTest, NothingIsLeftOverWhereNothingIs) {
  const LeftoverFacts facts = ReadLeftoverFacts(directory_ + "/state", directory_ + "/run");

  EXPECT_THAT(facts.dead_sockets, IsEmpty());
  EXPECT_THAT(facts.damaged_records, IsEmpty());
}

}  // namespace
}  // namespace fsd::host
