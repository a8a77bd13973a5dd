// Each mode of the jail end to end: what a guest gets through it, what stands around the worker,
// and why there is none where it cannot be made.
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/fuse.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <functional>
#include <memory>
#include <string>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "server/supervisor/error_reason.h"
#include "tests/harness/guest_of_export.h"
#include "tests/harness/lesser_thread.h"
#include "tests/harness/running_supervisor.h"

namespace fsd {
namespace {

using harness::GuestFile;
using harness::GuestOfExport;
using harness::RunningSupervisor;
using internal::ExportSpec;
using ::testing::HasSubstr;

std::string WorkerBinary() { return std::filesystem::canonical("server/exe/fsd-worker").string(); }

std::unique_ptr<RunningSupervisor> StartSupervisor(const std::string& worker = WorkerBinary()) {
  auto started = RunningSupervisor::Start(worker);
  EXPECT_TRUE(started.ok()) << started.status();
  return started.ok() ? *std::move(started) : nullptr;
}

std::function<void(ExportSpec&)> InMode(ExportSpec::SandboxMode mode) {
  return [mode](ExportSpec& spec) { spec.set_sandbox_mode(mode); };
}

// A guest that has mounted "web".
std::unique_ptr<GuestOfExport> Mounted(RunningSupervisor& supervisor,
                                       const std::function<void(ExportSpec&)>& set_options) {
  auto guest = GuestOfExport::Make(supervisor, "web", set_options);
  EXPECT_TRUE(guest.ok()) << guest.status();
  if (!guest.ok()) return nullptr;
  const auto agreed = (*guest)->Init();
  EXPECT_TRUE(agreed.ok()) << agreed.status();
  return *std::move(guest);
}

// Why there is no such export, with its machine-readable reason.
std::string RefusalOf(RunningSupervisor& supervisor,
                      const std::function<void(ExportSpec&)>& set_options) {
  const auto guest = GuestOfExport::Make(supervisor, "web", set_options);
  return absl::StrCat(supervisor::ReasonOf(guest.status()).value_or("no reason"), ": ",
                      guest.status().message());
}

std::string Namespace(const std::string& process, const std::string& kind) {
  return std::filesystem::read_symlink(absl::StrCat("/proc/", process, "/ns/", kind)).string();
}

// Which of the worker's namespaces are not ours.
std::string NamespacesOf(RunningSupervisor& supervisor) {
  const auto view = supervisor.Get("web");
  std::string text;
  for (const char* kind : {"user", "mnt", "pid", "net", "ipc", "uts", "cgroup"}) {
    if (Namespace(absl::StrCat(view->worker_pid), kind) != Namespace("self", kind)) {
      absl::StrAppend(&text, kind, " ");
    }
  }
  return text;
}

class JailModesTest : public ::testing::Test {
 protected:
  JailModesTest() : supervisor_(StartSupervisor()) {
    std::filesystem::create_directories(supervisor_->share("web"));
    EXPECT_EQ(::chmod(supervisor_->share("web").c_str(), 0777), 0);
  }

  const std::unique_ptr<RunningSupervisor> supervisor_;
};

class EveryModeTest : public JailModesTest,
                      public ::testing::WithParamInterface<ExportSpec::SandboxMode> {};

TEST_P(EveryModeTest, AGuestWritesReadsAndOwnsItsFiles) {
  auto guest = Mounted(*supervisor_, InMode(GetParam()));
  ASSERT_NE(guest, nullptr);
  const GuestFile roots = guest->Create("roots");
  ASSERT_NE(roots.node, 0u);
  EXPECT_EQ(guest->fuse().Write(roots.node, roots.handle, 0, "text")->error, 0);
  guest->fuse().set_caller(1234, 1235, 1);
  guest->Create("users");

  const harness::FuseReply read = *guest->fuse().Read(roots.node, roots.handle, 0, 10);
  EXPECT_EQ(std::string(reinterpret_cast<const char*>(read.body.data()), read.body.size()), "text");
  EXPECT_EQ(guest->HostStat("roots").st_uid, 0u);
  EXPECT_EQ(guest->HostStat("users").st_uid, 1234u);
  EXPECT_EQ(guest->HostStat("users").st_gid, 1235u);
  EXPECT_EQ(supervisor_->Get("web")->restarts, 0u);
}

// By the main thread, which alone hears of the keeper's end, and by one that was another user.
TEST_P(EveryModeTest, AfterItsKeeperIsKilledAnotherWorkerServes) {
  auto guest = Mounted(*supervisor_, InMode(GetParam()));
  ASSERT_NE(guest, nullptr);
  guest->fuse().set_caller(1234, 1235, 1);
  guest->Create("users");
  const pid_t keeper = supervisor_->Get("web")->worker_pid;
  std::ifstream children(absl::StrCat("/proc/", keeper, "/task/", keeper, "/children"));
  std::string data_plane;
  children >> data_plane;

  ::kill(keeper, SIGKILL);

  EXPECT_TRUE(supervisor_
                  ->WaitFor("web",
                            [&](const supervisor::ExportView& view) {
                              return view.restarts == 1 &&
                                     view.state == supervisor::ExportState::kListening &&
                                     !std::filesystem::exists("/proc/" + data_plane);
                            })
                  .ok());
}

TEST_P(EveryModeTest, AReadOnlyExportCannotBeWritten) {
  auto guest = Mounted(*supervisor_, [](ExportSpec& spec) {
    spec.set_sandbox_mode(GetParam());
    spec.set_read_only(true);
  });
  ASSERT_NE(guest, nullptr);
  EXPECT_EQ(guest->fuse().Create(FUSE_ROOT_ID, "new", 0644, O_RDWR)->error, EROFS);
}

INSTANTIATE_TEST_SUITE_P(Modes, EveryModeTest,
                         ::testing::Values(ExportSpec::SANDBOX_NAMESPACE,
                                           ExportSpec::SANDBOX_CHROOT, ExportSpec::SANDBOX_NONE),
                         [](const auto& info) { return ExportSpec::SandboxMode_Name(info.param); });

TEST_F(JailModesTest, NamespaceIsWhatItSays) {
  const auto guest = Mounted(*supervisor_, InMode(ExportSpec::SANDBOX_NAMESPACE));
  EXPECT_EQ(NamespacesOf(*supervisor_), "mnt pid net ipc uts cgroup ");
}

TEST_F(JailModesTest, ChrootAndNoneHaveNoNamespaces) {
  {
    const auto guest = Mounted(*supervisor_, InMode(ExportSpec::SANDBOX_CHROOT));
    EXPECT_EQ(NamespacesOf(*supervisor_), "");
  }
  const auto guest = Mounted(*supervisor_, InMode(ExportSpec::SANDBOX_NONE));
  EXPECT_EQ(NamespacesOf(*supervisor_), "");
}

// --- user namespaces that are asked for ---

void MapNamespace(ExportSpec& spec, uint32_t inside_first) {
  for (ExportSpec::IdRange* range : {spec.add_uid_namespace(), spec.add_gid_namespace()}) {
    range->set_inside_first(inside_first);
    range->set_outside_first(100'000);
    range->set_count(1000);
  }
}

TEST_F(JailModesTest, InAUserNamespaceTheGuestsIdsAreTheOuterOnes) {
  auto guest = Mounted(*supervisor_, [](ExportSpec& spec) { MapNamespace(spec, 0); });
  ASSERT_NE(guest, nullptr);
  guest->Create("roots");
  guest->fuse().set_caller(5, 6, 1);
  const GuestFile users = guest->Create("users");

  EXPECT_EQ(NamespacesOf(*supervisor_), "user mnt pid net ipc uts cgroup ");
  EXPECT_EQ(guest->HostStat("roots").st_uid, 100'000u);
  EXPECT_EQ(guest->HostStat("users").st_uid, 100'005u);
  EXPECT_EQ(guest->HostStat("users").st_gid, 100'006u);
  EXPECT_EQ(guest->fuse().GetAttributes(users.node)->As<fuse_attr_out>().attr.uid, 5u);
}

TEST_F(JailModesTest, AWorkerOfAnotherUserNeedNotBeAbleToReachItsBinary) {
  char hidden[] = "/tmp/fsd-hidden-XXXXXX";  // 0700, of ours
  ASSERT_NE(::mkdtemp(hidden), nullptr);
  const std::string binary = absl::StrCat(hidden, "/fsd-worker");
  std::filesystem::copy_file(WorkerBinary(), binary);
  const auto supervisor = StartSupervisor(binary);

  const auto guest = Mounted(*supervisor, [](ExportSpec& spec) { MapNamespace(spec, 0); });

  EXPECT_NE(guest, nullptr);
  std::filesystem::remove_all(hidden);
}

// A child that becomes another user in our memory would leave us one that nobody may look into.
TEST_F(JailModesTest, StartingAWorkerOfAnotherUserLeavesTheSupervisorAsItWas) {
  const auto guest = Mounted(*supervisor_, [](ExportSpec& spec) { MapNamespace(spec, 0); });
  EXPECT_EQ(::prctl(PR_GET_DUMPABLE), 1);
}

TEST_F(JailModesTest, InAUserNamespaceOtherIdsCanNeitherBeUsedNorGiven) {
  auto guest = Mounted(*supervisor_, [](ExportSpec& spec) { MapNamespace(spec, 0); });
  ASSERT_NE(guest, nullptr);
  const GuestFile file = guest->Create("roots");
  EXPECT_EQ(
      guest->Call(FUSE_SETATTR, file.node, fuse_setattr_in{.valid = FATTR_UID, .uid = 1000}).error,
      EPERM);
  guest->fuse().set_caller(1000, 0, 1);
  EXPECT_EQ(guest->fuse().Create(FUSE_ROOT_ID, "users", 0644, O_RDWR)->error, EPERM);
  EXPECT_FALSE(std::filesystem::exists(guest->host_path("users")));
  EXPECT_EQ(guest->HostStat("roots").st_uid, 100'000u);
}

TEST_F(JailModesTest, InAUserNamespaceNobodyOpensHostHandles) {
  const auto guest = Mounted(*supervisor_, [](ExportSpec& spec) { MapNamespace(spec, 0); });
  const auto lacking = supervisor_->WaitFor(
      "web", [](const supervisor::ExportView& view) { return !view.conditions.empty(); });
  ASSERT_TRUE(lacking.ok());
  EXPECT_EQ(lacking->conditions[0].reason, "HOST_HANDLES_UNAVAILABLE");
}

// --- refusals ---

TEST_F(JailModesTest, WhatAUserNamespaceCannotHaveIsRefused) {
  EXPECT_THAT(RefusalOf(*supervisor_,
                        [](ExportSpec& spec) {
                          MapNamespace(spec, 0);
                          spec.set_host_handles(ExportSpec::HOST_HANDLES_ALWAYS);
                        }),
              HasSubstr("host handles"));
  EXPECT_THAT(RefusalOf(*supervisor_,
                        [](ExportSpec& spec) {
                          MapNamespace(spec, 0);
                          spec.add_uid_mount()->set_count(1);
                          spec.add_gid_mount()->set_count(1);
                        }),
              HasSubstr("SANDBOX_UNAVAILABLE: the worker's jail cannot be made on this host: a "
                        "mount that translates ids cannot be made in a user namespace"));
  EXPECT_THAT(RefusalOf(*supervisor_, [](ExportSpec& spec) { MapNamespace(spec, 1); }),
              HasSubstr("SANDBOX_UNAVAILABLE: the worker's user namespace cannot be made: "
                        "ids.uid_namespace and ids.gid_namespace must both map an id to 0"));
  EXPECT_THAT(RefusalOf(*supervisor_,
                        [](ExportSpec& spec) {
                          MapNamespace(spec, 0);
                          spec.set_sandbox_mode(ExportSpec::SANDBOX_CHROOT);
                        }),
              HasSubstr("need sandbox mode NAMESPACE"));
}

TEST_F(JailModesTest, AShareThatTheWorkersUserMayNotSearchIsRefused) {
  ASSERT_EQ(::chmod(supervisor_->share("web").c_str(), 0700), 0);
  EXPECT_THAT(RefusalOf(*supervisor_, [](ExportSpec& spec) { MapNamespace(spec, 0); }),
              HasSubstr("the user that the worker runs as may not search it"));
}

TEST(LesserSupervisorTest, ChrootWithoutItsCapabilityIsRefused) {
  harness::RunWithout({CAP_SYS_CHROOT}, [] {
    const auto supervisor = StartSupervisor();
    EXPECT_THAT(RefusalOf(*supervisor, InMode(ExportSpec::SANDBOX_CHROOT)),
                HasSubstr("SANDBOX_UNAVAILABLE: the worker's jail cannot be made on this host: "
                          "chroot (needs CAP_SYS_CHROOT): Operation not permitted"));
  });
}

// Its proc would be a way out.
TEST(LesserSupervisorTest, ChrootWithoutTheCapabilityToMountIsRefused) {
  harness::RunWithout({CAP_SYS_ADMIN}, [] {
    const auto supervisor = StartSupervisor();
    EXPECT_THAT(RefusalOf(*supervisor, InMode(ExportSpec::SANDBOX_CHROOT)),
                HasSubstr("chroot is no jail without CAP_SYS_ADMIN"));
  });
}

}  // namespace
}  // namespace fsd
