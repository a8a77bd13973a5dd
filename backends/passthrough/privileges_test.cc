// What takes real root: other users' ids, device nodes, setuid bits. Runs outside Bazel's sandbox.
#include <fcntl.h>
#include <linux/fs.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <future>
#include <memory>
#include <string>
#include <thread>

#include "absl/strings/str_cat.h"
#include "backends/passthrough/caller_credentials.h"
#include "backends/passthrough/own_handle_broker.h"
#include "backends/passthrough/passthrough_fixture.h"
#include "gtest/gtest.h"

namespace fsd::passthrough {
namespace {

using backends::Caller;
using backends::CreatedFile;
using backends::Entry;
using backends::WriteOptions;
using Permissions = CallerCredentials::Permissions;

constexpr Caller kUser{.uid = 12345, .gid = 23456, .pid = 1};

struct Ids {
  uint32_t uid;
  uint32_t gid;
  friend bool operator==(const Ids&, const Ids&) = default;
};
constexpr Ids kUserIds{kUser.uid, kUser.gid};
constexpr Ids kRootIds{0, 0};

Ids OwnerOf(const Attributes& attributes) { return {attributes.stx_uid, attributes.stx_gid}; }
Ids ThreadIds() {
  return {static_cast<uint32_t>(::syscall(SYS_setfsuid, -1)),
          static_cast<uint32_t>(::syscall(SYS_setfsgid, -1))};
}

class PrivilegesTest : public PassthroughFixture {
 protected:
  // Makes `name` on the host, setuid and setgid.
  NodeId MakePrivileged(const std::string& name) {
    WriteHost(Host(name), "text");
    EXPECT_EQ(::chmod(Host(name).c_str(), 06755), 0);
    return Must(fs->Lookup(kRoot, name)).node;
  }
  uint32_t ModeOf(NodeId node) { return Must(fs->GetAttributes(node)).stx_mode & 07777; }
  void Write(NodeId node, FileHandle handle, WriteOptions options) {
    char byte = 'x';
    const iovec vector{&byte, 1};
    EXPECT_EQ(Must(fs->Await<size_t>([&](auto call) {
                return filesystem_->Write(call, node, handle, 0, {&vector, 1}, options);
              })),
              1u);
  }
  ErrnoOr<Entry> MakeDevice(const std::string& name, uint32_t mode, dev_t device) {
    return fs->Await<Entry>(
        [&](auto call) { return filesystem_->MakeNode(call, kRoot, name, mode, device, {}); });
  }
  ErrnoOr<void> Access(NodeId node, uint32_t mask) {
    return fs->Await<void>([&](auto call) { return filesystem_->Access(call, node, mask); });
  }
};

// --- credentials ---

TEST_F(PrivilegesTest, CredentialsLastAsLongAsTheObject) {
  {
    const CallerCredentials credentials(kUser, Permissions::kCheckedByGuest);
    EXPECT_SUCCESS(credentials.status());
    EXPECT_EQ(ThreadIds(), kUserIds);
    const ThreadCapabilities capabilities = ThreadCapabilities::Get();
    EXPECT_TRUE(capabilities.HasEffective(CAP_DAC_OVERRIDE));
    EXPECT_FALSE(capabilities.HasEffective(CAP_CHOWN));
    EXPECT_FALSE(capabilities.HasEffective(CAP_FSETID));
    EXPECT_FALSE(capabilities.HasEffective(CAP_MKNOD));
  }
  EXPECT_EQ(ThreadIds(), kRootIds);
  const ThreadCapabilities capabilities = ThreadCapabilities::Get();
  EXPECT_TRUE(capabilities.HasEffective(CAP_CHOWN));
  EXPECT_TRUE(capabilities.HasEffective(CAP_FSETID));
  EXPECT_TRUE(capabilities.HasEffective(CAP_MKNOD));
}

TEST_F(PrivilegesTest, AnOrdinaryUserHasNoneOfTheCapabilitiesThatSetfsuidLeaves) {
  for (const auto permissions : {Permissions::kCheckedByGuest, Permissions::kCheckedByHost}) {
    const CallerCredentials credentials(kUser, permissions);
    const ThreadCapabilities capabilities = ThreadCapabilities::Get();
    for (const int capability : {CAP_SYS_ADMIN, CAP_SYS_RESOURCE, CAP_SETFCAP, CAP_SETUID}) {
      EXPECT_FALSE(capabilities.HasEffective(capability)) << capability;
    }
  }
  const ThreadCapabilities capabilities = ThreadCapabilities::Get();
  EXPECT_TRUE(capabilities.HasEffective(CAP_SYS_ADMIN));
  EXPECT_TRUE(capabilities.HasEffective(CAP_SETUID));
}

// A worker of an ordinary user's, in a container that gave it capabilities.
TEST_F(PrivilegesTest, NorHasTheUserThatTheWorkerItselfIs) {
  bool is_that_user = false;
  bool had = false, has = true, keeps_override = false, has_again = false;
  std::thread([&] {
    ::prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0);
    // Raw: of this thread only.
    is_that_user = ::syscall(SYS_setresuid, kUser.uid, kUser.uid, kUser.uid) == 0;
    ThreadCapabilities capabilities = ThreadCapabilities::Get();
    for (auto& word : capabilities.words) word.effective = word.permitted;
    capabilities.Set();
    had = ThreadCapabilities::Get().HasEffective(CAP_CHOWN);
    {
      const CallerCredentials credentials({.uid = kUser.uid, .gid = 0, .pid = 1},
                                          Permissions::kCheckedByGuest);
      has = !credentials.status().ok() || ThreadCapabilities::Get().HasEffective(CAP_CHOWN);
      keeps_override = ThreadCapabilities::Get().HasEffective(CAP_DAC_OVERRIDE);
    }
    has_again = ThreadCapabilities::Get().HasEffective(CAP_CHOWN);
  }).join();
  EXPECT_TRUE(is_that_user);
  EXPECT_TRUE(had);
  EXPECT_FALSE(has);
  EXPECT_TRUE(keeps_override);
  EXPECT_TRUE(has_again);
}

TEST_F(PrivilegesTest, WithItsGroupsToo) {
  {
    const CallerCredentials credentials(kUser, Permissions::kCheckedByGuest, 777);
    EXPECT_SUCCESS(credentials.status());
  }
  EXPECT_TRUE(ThreadCapabilities::Get().HasEffective(CAP_SETGID));
  EXPECT_EQ(ThreadIds(), kRootIds);
}

TEST_F(PrivilegesTest, OtherThreadsKeepTheirs) {
  std::promise<void> impersonating;
  Ids before{};
  Ids after{};
  std::thread other([&] {
    impersonating.get_future().wait();
    before = ThreadIds();
    const CallerCredentials second({.uid = 7, .gid = 8, .pid = 1}, Permissions::kCheckedByHost);
    after = ThreadIds();
  });
  const CallerCredentials credentials(kUser, Permissions::kCheckedByGuest);
  impersonating.set_value();
  other.join();
  EXPECT_EQ(before, kRootIds);
  EXPECT_EQ(after, (Ids{7, 8}));
  EXPECT_EQ(ThreadIds(), kUserIds);
}

TEST_F(PrivilegesTest, WhoeverCannotBecomeTheCallerIsRefused) {
  std::thread([] {
    ASSERT_EQ(::syscall(SYS_setresuid, 4000, 4000, 4000), 0);
    const CallerCredentials other_uid({.uid = 5000, .gid = 0, .pid = 1},
                                      Permissions::kCheckedByGuest);
    EXPECT_ERRNO(other_uid.status(), EPERM);
    const CallerCredentials other_gid({.uid = 4000, .gid = 5000, .pid = 1},
                                      Permissions::kCheckedByGuest);
    EXPECT_ERRNO(other_gid.status(), EPERM);
    EXPECT_EQ(ThreadIds(), (Ids{4000, 0}));
  }).join();
}

TEST_F(PrivilegesTest, AGroupThatCannotBeHadIsDoneWithout) {
  std::thread([] {
    ASSERT_EQ(::syscall(SYS_setresuid, 4000, 4000, 4000), 0);
    const CallerCredentials credentials({.uid = 4000, .gid = 0, .pid = 1},
                                        Permissions::kCheckedByGuest, 5000);
    EXPECT_SUCCESS(credentials.status());
    EXPECT_EQ(::syscall(SYS_getgroups, 0, nullptr), 0);
  }).join();
}

TEST_F(PrivilegesTest, NoIdIsNotAnId) {
  const CallerCredentials no_uid({.uid = UINT32_MAX, .gid = 0, .pid = 1},
                                 Permissions::kCheckedByGuest);
  EXPECT_ERRNO(no_uid.status(), EPERM);
  const CallerCredentials no_gid({.uid = 0, .gid = UINT32_MAX, .pid = 1},
                                 Permissions::kCheckedByGuest);
  EXPECT_ERRNO(no_gid.status(), EPERM);
}

// --- what a caller makes is the caller's ---

TEST_F(PrivilegesTest, WhateverACallerMakesIsTheCallers) {
  fs->set_caller(kUser);
  EXPECT_EQ(OwnerOf(Must(fs->Create(kRoot, "file", O_RDWR)).entry.attributes), kUserIds);
  EXPECT_EQ(OwnerOf(Must(fs->MakeDirectory(kRoot, "directory")).attributes), kUserIds);
  EXPECT_EQ(OwnerOf(Must(fs->MakeNode(kRoot, "fifo", S_IFIFO | 0600)).attributes), kUserIds);
  EXPECT_EQ(OwnerOf(Must(fs->MakeNode(kRoot, "node", S_IFREG | 0600)).attributes), kUserIds);
  EXPECT_EQ(OwnerOf(Must(fs->Symlink(kRoot, "link", "x")).attributes), kUserIds);
  fs->set_caller({});
  EXPECT_EQ(OwnerOf(Must(fs->Create(kRoot, "roots", O_RDWR)).entry.attributes), kRootIds);
  EXPECT_EQ(ThreadIds(), kRootIds);
}

TEST_F(PrivilegesTest, AFileInASetgidDirectoryHasTheDirectorysGroup) {
  ASSERT_EQ(::mkdir(Host("d").c_str(), 0777), 0);
  ASSERT_EQ(::chown(Host("d").c_str(), 0, 777), 0);
  ASSERT_EQ(::chmod(Host("d").c_str(), 02777), 0);
  const NodeId directory = Must(fs->Lookup(kRoot, "d")).node;
  fs->set_caller(kUser);
  EXPECT_EQ(OwnerOf(Must(fs->Create(directory, "file", O_RDWR)).entry.attributes),
            (Ids{kUser.uid, 777}));
  EXPECT_EQ(Must(fs->MakeDirectory(directory, "sub")).attributes.stx_mode & 07777, 02755);
}

// The caller may be a member of the directory's group; only the guest knows.
TEST_F(PrivilegesTest, ACallerMayCreateWhereTheGuestHasLetIt) {
  ASSERT_EQ(::mkdir(Host("d").c_str(), 0770), 0);
  const NodeId directory = Must(fs->Lookup(kRoot, "d")).node;
  fs->set_caller(kUser);
  EXPECT_EQ(OwnerOf(Must(fs->Create(directory, "file", O_RDWR)).entry.attributes), kUserIds);
}

// The guest took the name for free, so nobody has checked the permissions of what bears it.
TEST_F(PrivilegesTest, CreateOpensAnExistingFileOnlyIfTheCallerMay) {
  WriteHost(Host("roots"), "secret");
  ASSERT_EQ(::chmod(Host("roots").c_str(), 0600), 0);
  fs->set_caller(kUser);
  EXPECT_ERRNO(fs->Create(kRoot, "roots", O_RDWR), EACCES);
  EXPECT_ERRNO(fs->Create(kRoot, "roots", O_WRONLY | O_TRUNC), EACCES);
  EXPECT_EQ(ReadHost(Host("roots")), "secret");
  EXPECT_EQ(filesystem_->Usage().inodes, 1u);
  ASSERT_EQ(::chmod(Host("roots").c_str(), 0606), 0);
  EXPECT_SUCCESS(fs->Create(kRoot, "roots", O_RDWR));
}

TEST_F(PrivilegesTest, AccessIsTheCallers) {
  WriteHost(Host("file"), "");
  ASSERT_EQ(::chmod(Host("file").c_str(), 0604), 0);
  const NodeId file = Must(fs->Lookup(kRoot, "file")).node;
  EXPECT_SUCCESS(Access(file, R_OK | W_OK));
  EXPECT_ERRNO(Access(file, X_OK), EACCES);
  EXPECT_ERRNO(Access(file, 8), EINVAL);
  fs->set_caller(kUser);
  EXPECT_SUCCESS(Access(file, R_OK));
  EXPECT_ERRNO(Access(file, W_OK), EACCES);
}

// As a worker to which CAP_DAC_OVERRIDE is not given.
ErrnoOr<Entry> LinkWithoutOverride(backends::FilesystemDriver& fs, NodeId file, NodeId directory) {
  ErrnoOr<Entry> linked = Errno(0);
  std::thread([&] {
    ThreadCapabilities capabilities = ThreadCapabilities::Get();
    capabilities.DropEffective(CAP_DAC_OVERRIDE);
    capabilities.Set();
    linked = fs.Link(file, directory, "link");
  }).join();
  return linked;
}

TEST_F(PrivilegesTest, ALinkThatTheHostRefusesIsWhatItSays) {
  const NodeId file = Must(fs->MakeFile(kRoot, "file", "")).node;
  const NodeId directory = Must(fs->MakeDirectory(kRoot, "d", 0555)).node;
  EXPECT_ERRNO(LinkWithoutOverride(*fs, file, directory), EACCES);
}

TEST_F(PrivilegesTest, ALinkThatTheHostRefusesIsNotTheBrokersToMake) {
  constexpr int kBudget = 64;
  BrokerLog log;
  ServeWith({.max_inode_fds = kBudget, .broker = std::make_unique<OwnHandleBroker>(log)});
  const NodeId file = Must(fs->MakeFile(kRoot, "file", "")).node;
  const NodeId directory = Must(fs->MakeDirectory(kRoot, "d", 0555)).node;
  for (int i = 0; i < 3 * kBudget; ++i) Must(fs->MakeFile(kRoot, absl::StrCat("filler", i), ""));
  ASSERT_GT(log.issued, 0);
  EXPECT_SUCCESS(fs->GetAttributes(file));
  ASSERT_GT(log.opened, 0);
  EXPECT_ERRNO(LinkWithoutOverride(*fs, file, directory), EACCES);
  EXPECT_EQ(log.linked, 0);
  ServeWith({});  // before `log` goes
}

// --- device nodes ---

TEST_F(PrivilegesTest, ADeviceNodeIsMadeByRootOnlyAndNeverOpened) {
  const dev_t null_device = makedev(1, 3);
  const Entry device = Must(MakeDevice("null", S_IFCHR | 0666, null_device));
  EXPECT_EQ(makedev(device.attributes.stx_rdev_major, device.attributes.stx_rdev_minor),
            null_device);
  EXPECT_ERRNO(fs->Open(device.node, O_RDWR), ENXIO);
  EXPECT_ERRNO(fs->Create(kRoot, "null", O_RDWR), ENXIO);
  EXPECT_ERRNO(fs->SetAttributes(device.node, {.size = 0}), EINVAL);
  fs->set_caller(kUser);
  EXPECT_ERRNO(MakeDevice("mine", S_IFCHR | 0666, null_device), EPERM);
}

TEST_F(PrivilegesTest, ARenameLeavesAWhiteoutOfTheCallers) {
  WriteHost(Host("old"), "text");
  ASSERT_EQ(::chown(Host("old").c_str(), kUser.uid, kUser.gid), 0);
  fs->set_caller(kUser);
  EXPECT_SUCCESS(fs->Rename(kRoot, "old", kRoot, "new", RENAME_WHITEOUT));
  EXPECT_EQ(ReadHost(Host("new")), "text");
  const Entry whiteout = Must(fs->Lookup(kRoot, "old"));
  EXPECT_TRUE(S_ISCHR(whiteout.attributes.stx_mode));
  EXPECT_EQ(whiteout.attributes.stx_rdev_major + whiteout.attributes.stx_rdev_minor, 0u);
  EXPECT_EQ(OwnerOf(whiteout.attributes), kUserIds);
  EXPECT_EQ(ThreadIds(), kRootIds);
}

// --- owners ---

TEST_F(PrivilegesTest, OwnersChangeAlsoOfASymlinkItself) {
  WriteHost(Host("target"), "");
  ASSERT_EQ(::symlink("target", Host("link").c_str()), 0);
  const NodeId link = Must(fs->Lookup(kRoot, "link")).node;
  EXPECT_EQ(OwnerOf(Must(fs->SetAttributes(link, {.uid = 5, .gid = 6}))), (Ids{5, 6}));
  EXPECT_EQ(OwnerOf(Must(fs->SetAttributes(link, {.gid = 7}))), (Ids{5, 7}));
  EXPECT_EQ(OwnerOf(Must(fs->Lookup(kRoot, "target")).attributes), kRootIds);
  EXPECT_ERRNO(fs->SetAttributes(link, {.uid = UINT32_MAX}), EINVAL);
}

// --- setuid and setgid ---

TEST_F(PrivilegesTest, AWriteClearsSetuidOnlyIfTheGuestSaysSo) {
  const NodeId file = MakePrivileged("file");
  const FileHandle handle = Must(fs->Open(file, O_RDWR));
  Write(file, handle, {});
  EXPECT_EQ(ModeOf(file), 06755u);
  Write(file, handle, {.kill_suidgid = true});
  EXPECT_EQ(ModeOf(file), 0755u);
  EXPECT_TRUE(ThreadCapabilities::Get().HasEffective(CAP_FSETID));
}

TEST_F(PrivilegesTest, AChangeOfSizeClearsSetuidOnlyIfTheGuestSaysSo) {
  const NodeId file = MakePrivileged("file");
  Must(fs->SetAttributes(file, {.size = 3}));
  EXPECT_EQ(ModeOf(file), 06755u);
  Must(fs->SetAttributes(file, {.size = 2, .kill_suidgid = true}));
  EXPECT_EQ(ModeOf(file), 0755u);
}

TEST_F(PrivilegesTest, OpeningWithTruncClearsSetuidOnlyIfTheGuestSaysSo) {
  const NodeId file = MakePrivileged("file");
  Must(fs->Open(file, O_WRONLY | O_TRUNC));
  EXPECT_EQ(ModeOf(file), 06755u);
  Must(fs->Await<backends::OpenFile>([&](auto call) {
    return filesystem_->Open(call, file, {.flags = O_WRONLY | O_TRUNC, .kill_suidgid = true});
  }));
  EXPECT_EQ(ModeOf(file), 0755u);
}

TEST_F(PrivilegesTest, CreateWithTruncOfAnExistingFileClearsSetuidIfTheGuestSaysSo) {
  const NodeId file = MakePrivileged("file");
  const CreatedFile created = Must(fs->Await<CreatedFile>([&](auto call) {
    return filesystem_->Create(call, kRoot, "file", 0644,
                               {.flags = O_WRONLY | O_TRUNC, .kill_suidgid = true}, {});
  }));
  EXPECT_EQ(created.entry.node, file);
  EXPECT_EQ(created.entry.attributes.stx_mode & 07777, 0755);
}

// Neither request has a flag that says so.
TEST_F(PrivilegesTest, AllocatingAndCopyingClearSetuidUnlessTheGuestsRootDoesIt) {
  const NodeId file = MakePrivileged("file");
  const FileHandle handle = Must(fs->Open(file, O_RDWR));
  EXPECT_SUCCESS(fs->Fallocate(file, handle, 0, 0, 4096));
  EXPECT_EQ(ModeOf(file), 06755u);
  fs->set_caller(kUser);
  EXPECT_SUCCESS(fs->Fallocate(file, handle, 0, 0, 8192));
  EXPECT_EQ(ModeOf(file), 0755u);

  const NodeId target = MakePrivileged("target");
  const FileHandle to = Must(fs->Open(target, O_RDWR));
  Must(fs->CopyRange({.node = file, .handle = handle}, {.node = target, .handle = to}, 100, 0));
  EXPECT_EQ(ModeOf(target), 0755u);
}

TEST_F(PrivilegesTest, AChangeOfOwnerClearsSetuid) {
  const NodeId file = MakePrivileged("file");
  EXPECT_EQ(Must(fs->SetAttributes(file, {.uid = 5})).stx_mode & 07777, 0755);
}

}  // namespace
}  // namespace fsd::passthrough
