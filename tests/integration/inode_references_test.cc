// A worker whose guest knows more files than it may keep descriptors of: the data plane, its jail
// and the handle keeper together.
#include <fcntl.h>
#include <linux/fuse.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <functional>
#include <iterator>
#include <map>
#include <memory>
#include <span>
#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/harness/front_end.h"
#include "tests/harness/fuse_client.h"
#include "tests/harness/running_supervisor.h"

namespace fsd {
namespace {

using harness::FuseReply;
using internal::ExportSpec;
using ::testing::Contains;
using ::testing::Field;
using ::testing::HasSubstr;

class InodeReferencesTest : public ::testing::Test {
 protected:
  static constexpr uint64_t kBudget = 64;

  void Serve(ExportSpec::HostHandles host_handles) {
    Start();
    Export(host_handles, [](ExportSpec&) {});
  }
  void Start() {
    auto started = harness::RunningSupervisor::Start(
        std::filesystem::canonical("server/exe/fsd-worker").string());
    ASSERT_TRUE(started.ok()) << started.status();
    supervisor_ = *std::move(started);
    std::filesystem::create_directories(share());
  }
  void Export(ExportSpec::HostHandles host_handles,
              const std::function<void(ExportSpec&)>& set_options) {
    ExportSpec spec;
    spec.set_id("web");
    spec.set_tag("web");
    spec.set_source_path(share());
    spec.set_max_inode_fds(kBudget);
    spec.set_host_handles(host_handles);
    set_options(spec);
    const auto made = supervisor_->Create(std::move(spec));
    ASSERT_TRUE(made.ok()) << made.status();
    keeper_ = made->worker_pid;
    auto connected = harness::FrontEnd::Connect(made->record.spec().socket_path(), {});
    ASSERT_TRUE(connected.ok()) << connected.status();
    front_end_ = *std::move(connected);
    ASSERT_TRUE(front_end_->Start().ok());
    fuse_ = std::make_unique<harness::FuseClient>(*front_end_);
    ASSERT_TRUE(fuse_->Init().ok());
  }

  void TearDown() override {
    const auto view = supervisor_->Get("web");
    ASSERT_TRUE(view.ok());
    EXPECT_EQ(view->restarts, expected_restarts_) << "the worker died";
  }

  std::string share() const { return supervisor_->share("web"); }
  void WriteHost(const std::string& name, const std::string& contents) {
    std::ofstream(share() + "/" + name, std::ios::trunc) << contents;
  }

  // The reply of a call; EIO if the worker is gone.
  static FuseReply Answer(absl::StatusOr<FuseReply> reply) {
    EXPECT_TRUE(reply.ok()) << reply.status();
    return reply.ok() ? *std::move(reply) : FuseReply{.error = EIO, .body = {}};
  }
  fuse_entry_out Lookup(const std::string& name) {
    const FuseReply reply = Answer(fuse_->Lookup(FUSE_ROOT_ID, name));
    EXPECT_EQ(reply.error, 0) << name;
    return reply.error == 0 ? reply.As<fuse_entry_out>() : fuse_entry_out{};
  }
  std::string Contents(uint64_t node) {
    const FuseReply open = Answer(fuse_->Open(node, O_RDONLY));
    if (open.error != 0) return ::strerrorname_np(open.error);
    const uint64_t handle = open.As<fuse_open_out>().fh;
    const FuseReply read = Answer(fuse_->Read(node, handle, 0, 100));
    EXPECT_EQ(Answer(fuse_->Release(node, handle)).error, 0);
    return {reinterpret_cast<const char*>(read.body.data()), read.body.size()};
  }
  std::map<std::string, fuse_entry_out> LookUpMany(const std::string& prefix, int count) {
    std::map<std::string, fuse_entry_out> entries;
    for (int i = 0; i < count; ++i) {
      const std::string name = prefix + std::to_string(i);
      WriteHost(name, name);
      entries.emplace(name, Lookup(name));
    }
    return entries;
  }
  // What the keeper holds it shares with the data plane.
  int Descriptors() const {
    const std::filesystem::directory_iterator fds("/proc/" + std::to_string(keeper_) + "/fd");
    return static_cast<int>(std::distance(begin(fds), end(fds)));
  }

  std::unique_ptr<harness::RunningSupervisor> supervisor_;
  std::unique_ptr<harness::FrontEnd> front_end_;
  std::unique_ptr<harness::FuseClient> fuse_;
  pid_t keeper_ = 0;
  uint64_t expected_restarts_ = 0;
};

TEST_F(InodeReferencesTest, ThousandsOfInodesKeepTheirIdentityWithinABudgetOfDescriptors) {
  Serve(ExportSpec::HOST_HANDLES_ALWAYS);
  const int before = Descriptors();
  const auto entries = LookUpMany("file", 3000);
  EXPECT_LE(Descriptors(), before + static_cast<int>(kBudget));
  for (const auto& [name, entry] : entries) {
    ASSERT_EQ(Lookup(name).nodeid, entry.nodeid);
    ASSERT_EQ(Contents(entry.nodeid), name);
  }
  EXPECT_LE(Descriptors(), before + static_cast<int>(kBudget));
}

TEST_F(InodeReferencesTest, UnlinkedInodesStayAndReplacedOnesAreStale) {
  Serve(ExportSpec::HOST_HANDLES_PREFER);
  const auto entries = LookUpMany("file", 500);
  const fuse_entry_out unlinked = entries.at("file0");
  EXPECT_EQ(Answer(fuse_->Unlink(FUSE_ROOT_ID, "file0")).error, 0);
  const fuse_entry_out replaced = entries.at("file1");
  ASSERT_EQ(::unlink((share() + "/file1").c_str()), 0);
  WriteHost("file1", "another");
  LookUpMany("later", 500);

  EXPECT_EQ(Contents(unlinked.nodeid), "file0");
  EXPECT_EQ(Contents(replaced.nodeid), "ESTALE");
  const fuse_entry_out successor = Lookup("file1");
  EXPECT_NE(successor.nodeid, replaced.nodeid);
  EXPECT_EQ(Contents(successor.nodeid), "another");
}

TEST_F(InodeReferencesTest, AKilledHandleKeeperIsReportedAndAnotherWorkerServes) {
  Serve(ExportSpec::HOST_HANDLES_PREFER);
  const std::string keeper = std::to_string(keeper_);
  pid_t data_plane = 0;
  pid_t handle_keeper = 0;
  std::ifstream("/proc/" + keeper + "/task/" + keeper + "/children") >> data_plane >> handle_keeper;
  ASSERT_GT(handle_keeper, 0);

  ASSERT_EQ(::kill(handle_keeper, SIGKILL), 0);

  expected_restarts_ = 1;
  const auto view = supervisor_->WaitFor("web", [](const supervisor::ExportView& seen) {
    return seen.restarts == 1 && seen.state == supervisor::ExportState::kListening;
  });
  ASSERT_TRUE(view.ok()) << view.status();
  EXPECT_THAT(view->conditions, Contains(Field(&supervisor::Condition::message,
                                               HasSubstr("its handle keeper died"))));
  auto again = harness::FrontEnd::Connect(view->record.spec().socket_path(), {});
  ASSERT_TRUE(again.ok() && (*again)->Start().ok());
  harness::FuseClient guest(**again);
  EXPECT_TRUE(guest.Init().ok());
}

// A share on a file system of its own, whose names the host forgets at its next remount: what is
// opened by handle then is in no place as far as the host's kernel knows, and Landlock keeps the
// data plane from linking it; before Linux 6.18 from opening it, too (server/exe/cold_inodes_test).
class ColdInodesTest : public InodeReferencesTest {
 protected:
  void SetUp() override {
    // A mount that goes with the process, however that ends.
    ASSERT_EQ(::unshare(CLONE_NEWNS), 0);
    ASSERT_EQ(::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr), 0);
    Start();
    image_ = share() + ".image";
    std::filesystem::create_directories(share());
    ASSERT_EQ(Shell("truncate -s 64M " + image_ + " && /usr/sbin/mkfs.ext4 -q " + image_ +
                    " && mount -o loop " + image_ + " " + share()),
              0);
    Export(ExportSpec::HOST_HANDLES_ALWAYS, [](ExportSpec& spec) { spec.set_shared_locks(true); });
  }
  void TearDown() override {
    InodeReferencesTest::TearDown();
    front_end_.reset();
    EXPECT_TRUE(supervisor_->Delete("web", true).ok());
    EXPECT_EQ(Shell("umount " + share()), 0);
  }

  static int Shell(const std::string& command) { return std::system(command.c_str()); }

  // A file that the guest knows and the data plane holds by handle, no name of which is cached.
  uint64_t MakeCold(const std::string& name, mode_t mode = 0644) {
    WriteHost(name, name);
    EXPECT_EQ(::chmod((share() + "/" + name).c_str(), mode), 0);
    const uint64_t node = Lookup(name).nodeid;
    LookUpMany("filler", 3 * kBudget);
    EXPECT_EQ(Shell("sync && mount -o remount " + share()), 0);
    return node;
  }
  std::string HostContents(const std::string& name) {
    std::ifstream file(share() + "/" + name);
    return {std::istreambuf_iterator<char>(file), {}};
  }
  FuseReply SetSize(uint64_t node, uint64_t size) {
    const fuse_setattr_in in{.valid = FATTR_SIZE, .size = size};
    return Answer(fuse_->Call(FUSE_SETATTR, node,
                              harness::Arguments(std::as_bytes(std::span(&in, 1)), {}), 4096));
  }
  FuseReply Link(uint64_t node, const std::string& name) {
    const fuse_link_in in{.oldnodeid = node};
    return Answer(fuse_->Call(FUSE_LINK, FUSE_ROOT_ID,
                              harness::Arguments(std::as_bytes(std::span(&in, 1)), {name}), 4096));
  }

  std::string image_;
};

TEST_F(ColdInodesTest, AreRead) {
  const uint64_t node = MakeCold("file");
  EXPECT_EQ(Contents(node), "file");
}

TEST_F(ColdInodesTest, AreWrittenAndLocked) {
  const uint64_t node = MakeCold("file");
  const FuseReply open = Answer(fuse_->Open(node, O_RDWR));
  ASSERT_EQ(open.error, 0);
  const uint64_t handle = open.As<fuse_open_out>().fh;
  EXPECT_EQ(Answer(fuse_->Write(node, handle, 0, "FI")).error, 0);
  EXPECT_EQ(HostContents("file"), "FIle");
  const fuse_lk_in lock{.fh = handle, .owner = 1, .lk = {.start = 0, .end = 9, .type = F_WRLCK}};
  EXPECT_EQ(Answer(fuse_->Call(FUSE_SETLK, node,
                               harness::Arguments(std::as_bytes(std::span(&lock, 1)), {}), 4096))
                .error,
            0);
}

TEST_F(ColdInodesTest, AreTruncatedByAnOpenThatDoesNotWrite) {
  const uint64_t node = MakeCold("file", 06755);
  EXPECT_EQ(Answer(fuse_->Open(node, O_RDONLY | O_TRUNC)).error, 0);
  EXPECT_EQ(HostContents("file"), "");
  struct stat info {};
  ASSERT_EQ(::stat((share() + "/file").c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 07777, 06755u) << "the guest has not asked for the bits to go";
}

TEST_F(ColdInodesTest, ChangeTheirSize) {
  const uint64_t node = MakeCold("file");
  EXPECT_EQ(SetSize(node, 2).error, 0);
  EXPECT_EQ(HostContents("file"), "fi");
}

TEST_F(ColdInodesTest, GetAnotherName) {
  const uint64_t node = MakeCold("file");
  EXPECT_EQ(Link(node, "link").error, 0);
  EXPECT_EQ(HostContents("link"), "file");
  EXPECT_EQ(Link(node, "link").error, EEXIST);
}

TEST_F(ColdInodesTest, ThatAreDirectoriesAreListedAndFilled) {
  ASSERT_EQ(::mkdir((share() + "/d").c_str(), 0755), 0);
  const uint64_t directory = Lookup("d").nodeid;
  MakeCold("file");
  EXPECT_EQ(Answer(fuse_->OpenDirectory(directory)).error, 0);
  EXPECT_EQ(Answer(fuse_->Create(directory, "made", 0644, O_RDWR)).error, 0);
}

TEST_F(InodeReferencesTest, WithoutHandlesTheBudgetsEndIsEnfileAndACondition) {
  Serve(ExportSpec::HOST_HANDLES_NEVER);
  LookUpMany("file", kBudget - 1);
  WriteHost("more", "");
  EXPECT_EQ(Answer(fuse_->Lookup(FUSE_ROOT_ID, "more")).error, ENFILE);
  const auto view = supervisor_->WaitFor(
      "web", [](const supervisor::ExportView& seen) { return !seen.conditions.empty(); });
  ASSERT_TRUE(view.ok()) << view.status();
  EXPECT_THAT(view->conditions,
              Contains(Field(&supervisor::Condition::reason, "INODE_REFERENCES_EXHAUSTED")));

  // The end of the session is the end of what the guest knows.
  fuse_.reset();
  front_end_.reset();
  const auto after = supervisor_->WaitFor(
      "web", [](const supervisor::ExportView& seen) { return seen.conditions.empty(); });
  EXPECT_TRUE(after.ok()) << after.status();
}

}  // namespace
}  // namespace fsd
