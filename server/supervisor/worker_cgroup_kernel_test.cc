// Workers in cgroups of the kernel's own; whether it has controllers or not, they live in them.
#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "server/supervisor/own_cgroup.h"
#include "server/supervisor/supervisor_fixture.h"

namespace fsd::supervisor {
namespace {

using ::testing::Contains;
using ::testing::Field;
using ::testing::HasSubstr;

std::string TextOf(const std::string& path) {
  std::ifstream file(path);
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

// The host's, if it has cgroups (v2).
std::vector<std::string> OwnCgroups() {
  const auto own = OwnCgroupDirectory();
  return own.ok() ? std::vector{*own} : std::vector<std::string>();
}

// With a cgroup below the host's for the supervisor, which is this process.
class KernelCgroupTest : public SupervisorTest, public ::testing::WithParamInterface<std::string> {
 protected:
  KernelCgroupTest() : subtree_(GetParam() + "/fsd-test-" + std::to_string(::getpid())) {
    std::filesystem::create_directory(subtree_);
    config_.cgroup = subtree_;
  }
  ~KernelCgroupTest() override {
    running_.reset();
    std::ofstream(GetParam() + "/cgroup.procs") << "0" << std::flush;
    std::error_code ignored;
    std::filesystem::remove(subtree_ + "/supervisor", ignored);
    EXPECT_EQ(::rmdir(subtree_.c_str()), 0) << "something is left in " << subtree_;
  }

  std::string Procs(const std::string& part) const {
    return TextOf(subtree_ + "/" + part + "/cgroup.procs");
  }

  const std::string subtree_;
};

TEST_P(KernelCgroupTest, AWorkerLivesInItsExportsCgroupUntilTheExportIsDeleted) {
  auto& supervisor = Start();
  const auto web = supervisor.Create(SpecOf("web"));
  ASSERT_TRUE(web.ok()) << web.status();
  EXPECT_EQ(Procs("supervisor"), std::to_string(::getpid()) + "\n");
  EXPECT_EQ(Procs("export-web"), std::to_string(web->worker_pid) + "\n");

  EXPECT_TRUE(supervisor.Delete("web").ok());
  EXPECT_FALSE(std::filesystem::exists(subtree_ + "/export-web"));
}

// What becomes of opening a device for who lives in the cgroup; 0 or an errno.
int OpenDeviceIn(const std::string& cgroup) {
  const pid_t inmate = ::fork();
  if (inmate == 0) {
    std::ofstream(cgroup + "/cgroup.procs") << "0" << std::flush;
    ::_exit(::open("/dev/null", O_RDWR | O_CLOEXEC) >= 0 ? 0 : errno);
  }
  int status = 0;
  ::waitpid(inmate, &status, 0);
  return WEXITSTATUS(status);
}

TEST_P(KernelCgroupTest, AWorkersCgroupOpensNoDevices) {
  auto& supervisor = Start();
  ASSERT_TRUE(supervisor.Create(SpecOf("web")).ok());
  EXPECT_EQ(OpenDeviceIn(subtree_ + "/export-web"), EPERM);
  EXPECT_EQ(OpenDeviceIn(subtree_ + "/supervisor"), 0);
}

TEST_P(KernelCgroupTest, ASuccessorLivesThereToo) {
  auto& supervisor = Start();
  ASSERT_TRUE(supervisor.Create(SpecOf("web")).ok());
  Write(Connect("web"), 'x');
  supervisor.Await("web", ExportState::kRecovering);
  const ExportView again = supervisor.Await("web", ExportState::kListening);
  EXPECT_EQ(Procs("export-web"), std::to_string(again.worker_pid) + "\n");
}

TEST_P(KernelCgroupTest, AStoppedSupervisorLeavesNoCgroupOfAWorker) {
  auto& supervisor = Start();
  ASSERT_TRUE(supervisor.Create(SpecOf("web")).ok());
  supervisor.Stop();
  EXPECT_FALSE(std::filesystem::exists(subtree_ + "/export-web"));
  EXPECT_TRUE(std::filesystem::exists(subtree_ + "/supervisor"));
}

INSTANTIATE_TEST_SUITE_P(Host, KernelCgroupTest, ::testing::ValuesIn(OwnCgroups()),
                         [](const auto& info) { return "cgroup" + std::to_string(info.index); });
GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(KernelCgroupTest);

class NoCgroupTest : public SupervisorTest {};

TEST_F(NoCgroupTest, ACgroupThatIsNamedAndIsNoneKeepsTheSupervisorFromStarting) {
  config_.cgroup = root_;
  const absl::Status status = Supervisor::Create(config_).status();
  EXPECT_EQ(status.message(), "cgroup: " + root_ + " is not the directory of a cgroup (v2)");
}

TEST_F(NoCgroupTest, AnExportWhoseLimitsCannotBeEnforcedIsServedAndSaysSo) {
  auto& supervisor = Start();
  internal::ExportSpec spec = SpecOf("web");
  spec.mutable_limits()->set_threads(64);
  const auto web = supervisor.Create(spec);
  ASSERT_TRUE(web.ok()) << web.status();
  ASSERT_EQ(web->conditions.size(), 1u);
  EXPECT_EQ(web->conditions[0].reason, "LIMITS_NOT_ENFORCED");
  EXPECT_THAT(web->conditions[0].message, HasSubstr("threads: the server has no cgroup"));
  EXPECT_TRUE(Answers(Connect("web")));

  // Once, and since the first worker.
  Write(Connect("web"), 'x');
  supervisor.Await("web", ExportState::kRecovering);
  const ExportView again = supervisor.Await("web", ExportState::kListening);
  EXPECT_THAT(again.conditions, Contains(Field(&Condition::since, web->conditions[0].since)));
}

}  // namespace
}  // namespace fsd::supervisor
