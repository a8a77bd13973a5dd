// What was opened by handle while no name of it was cached, behind Landlock: the backend with a
// real handle keeper outside of it.
//
// The share is a directory below the root of a file system's only mount. A worker's jail has a
// mount of its own, whose root is the share; there a kernel (since Linux 6.18) takes what is in no
// place for a part of that root, so that only jails without a mount of their own, and older
// kernels, depend on the keeper to open it.
#include <fcntl.h>
#include <linux/fs.h>
#include <sched.h>
#include <sys/fsuid.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>
#include <iterator>
#include <memory>
#include <string>
#include <thread>
#include <utility>

#include "backends/errno_expectations.h"
#include "backends/filesystem_driver.h"
#include "backends/passthrough/passthrough_filesystem.h"
#include "gtest/gtest.h"
#include "server/exe/handle_keeper_client.h"
#include "server/os/unique_fd.h"
#include "server/sandbox/landlock.h"
#include "server/worker/handle_keeper.h"

namespace fsd::exe {
namespace {

using backends::FileHandle;
using backends::kRootNodeId;
using backends::Must;
using backends::NodeId;

constexpr int kBudget = 64;

int Shell(const std::string& command) { return std::system(command.c_str()); }

os::UniqueFd Open(const std::string& path, int flags) {
  return os::UniqueFd(::open(path.c_str(), flags | O_CLOEXEC));
}

class ColdInodesTest : public ::testing::Test {
 protected:
  ColdInodesTest() {
    char path[] = "/tmp/fsd-cold-XXXXXX";
    directory_ = ::mkdtemp(path);
    // A mount that goes with the process, however that ends.
    EXPECT_EQ(::unshare(CLONE_NEWNS), 0);
    EXPECT_EQ(::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr), 0);
    EXPECT_EQ(::mkdir(mount().c_str(), 0755), 0);
    const std::string image = directory_ + "/image";
    EXPECT_EQ(Shell("truncate -s 64M " + image + " && /usr/sbin/mkfs.ext4 -q " + image +
                    " && mount -o loop " + image + " " + mount()),
              0);
    EXPECT_EQ(::mkdir(Host("").c_str(), 0755), 0);
    int sockets[2];
    EXPECT_EQ(::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sockets), 0);
    keeper_ = std::thread([socket = os::UniqueFd(sockets[1])] {
      EXPECT_TRUE(worker::HandleKeeper({1, 2}).Serve(socket.get()).ok());
    });
    passthrough::Options options{.max_inode_fds = kBudget,
                                 .host_handles = passthrough::HostHandles::kAlways,
                                 .shared_locks = true};
    options.root = Open(Host(""), O_PATH | O_DIRECTORY);
    options.proc_self_fd = Open("/proc/self/fd", O_PATH | O_DIRECTORY);
    options.broker = std::make_unique<HandleKeeperClient>(os::UniqueFd(sockets[0]));
    auto made = passthrough::PassthroughFilesystem::Create(std::move(options));
    EXPECT_TRUE(made.ok()) << made.status();
    filesystem_ = *std::move(made);
    fs_ = std::make_unique<backends::FilesystemDriver>(*filesystem_);
    root_ = Open(Host(""), O_PATH | O_DIRECTORY);
  }
  ~ColdInodesTest() override {
    filesystem_.reset();
    keeper_.join();
    root_.reset();
    EXPECT_EQ(Shell("umount " + mount()), 0);
    std::filesystem::remove_all(directory_);
  }

  std::string mount() const { return directory_ + "/mount"; }
  std::string Host(const std::string& name) const { return mount() + "/share/" + name; }
  std::string HostContents(const std::string& name) const {
    std::ifstream file(Host(name));
    return {std::istreambuf_iterator<char>(file), {}};
  }

  // Makes a file of the host known, has it held by handle, and the host's kernel forget its name.
  NodeId MakeCold(const std::string& name, mode_t mode = 0644) {
    std::ofstream(Host(name)) << name;
    EXPECT_EQ(::chmod(Host(name).c_str(), mode), 0);
    const NodeId node = Must(fs_->Lookup(kRootNodeId, name)).node;
    Chill();
    return node;
  }
  void Chill() {
    for (int i = 0; i < 3 * kBudget; ++i) {
      const std::string filler = "filler" + std::to_string(i);
      std::ofstream(Host(filler)) << "";
      Must(fs_->Lookup(kRootNodeId, filler));
    }
    EXPECT_EQ(Shell("sync && mount -o remount " + mount()), 0);
  }

  // Runs `attempt` on a thread that is confined to the share.
  void Confined(const std::function<void()>& attempt) {
    std::thread([&] {
      ASSERT_EQ(::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), 0);
      const auto confined = sandbox::ConfineToTree(root_.get(), /*read_only=*/false);
      ASSERT_TRUE(confined.ok() && *confined) << confined.status();
      attempt();
    }).join();
  }

  std::string directory_;
  os::UniqueFd root_;
  std::thread keeper_;
  std::unique_ptr<passthrough::PassthroughFilesystem> filesystem_;
  std::unique_ptr<backends::FilesystemDriver> fs_;
};

TEST_F(ColdInodesTest, AreRead) {
  const NodeId node = MakeCold("file");
  Confined([&] {
    const FileHandle handle = Must(fs_->Open(node, O_RDONLY));
    EXPECT_EQ(Must(fs_->Read(node, handle, 0, 100)), "file");
  });
}

TEST_F(ColdInodesTest, AreWrittenAndLocked) {
  const NodeId node = MakeCold("file");
  Confined([&] {
    const FileHandle handle = Must(fs_->Open(node, O_RDWR));
    EXPECT_EQ(Must(fs_->Write(node, handle, 0, "FI")), 2u);
    EXPECT_SUCCESS(fs_->SetLock(node, handle, {.first = 0, .last = 9, .type = F_WRLCK, .pid = 1},
                                {.owner = 1}));
  });
  EXPECT_EQ(HostContents("file"), "FIle");
}

TEST_F(ColdInodesTest, AreTruncatedByAnOpenThatDoesNotWriteAndKeepTheirBits) {
  const NodeId node = MakeCold("file", 06755);
  Confined([&] { Must(fs_->Open(node, O_RDONLY | O_TRUNC)); });
  EXPECT_EQ(HostContents("file"), "");
  EXPECT_EQ(Must(fs_->GetAttributes(node)).stx_mode & 07777, 06755);
}

TEST_F(ColdInodesTest, ChangeTheirSizeAndAreSynced) {
  const NodeId node = MakeCold("file");
  Confined([&] {
    EXPECT_SUCCESS(fs_->SyncFilesystem(node));
    EXPECT_SUCCESS(fs_->SetAttributes(node, {.size = 2}));
  });
  EXPECT_EQ(HostContents("file"), "fi");
}

TEST_F(ColdInodesTest, GetAnotherName) {
  const NodeId node = MakeCold("file");
  Confined([&] {
    EXPECT_SUCCESS(fs_->Link(node, kRootNodeId, "link"));
    EXPECT_ERRNO(fs_->Link(node, kRootNodeId, "link"), EEXIST);
  });
  EXPECT_EQ(HostContents("link"), "file");
}

TEST_F(ColdInodesTest, ThatAreDirectoriesAreInTheirPlace) {
  const NodeId directory = Must(fs_->MakeDirectory(kRootNodeId, "d")).node;
  Chill();
  Confined([&] {
    EXPECT_SUCCESS(fs_->OpenDirectory(directory));
    EXPECT_SUCCESS(fs_->Create(directory, "made", O_RDWR));
  });
}

TEST_F(ColdInodesTest, WhatTheCallingThreadMayNotOpenTheKeeperDoesNotOpenForIt) {
  const NodeId node = MakeCold("file", 0600);
  Confined([&] {
    ASSERT_TRUE(fs_->GetAttributes(node).ok());
    ::setfsuid(1000);  // which takes CAP_DAC_OVERRIDE, too
    EXPECT_ERRNO(fs_->Open(node, O_RDONLY), EACCES);
    ::setfsuid(0);
    EXPECT_SUCCESS(fs_->Open(node, O_RDONLY));
  });
}

}  // namespace
}  // namespace fsd::exe
