// What a new file is like: whose it is, its permissions, ACL and label; and files without a name.
// As root, outside Bazel's sandbox.
#include <fcntl.h>
#include <grp.h>
#include <linux/posix_acl.h>
#include <linux/posix_acl_xattr.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <atomic>
#include <cstdint>
#include <filesystem>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/cleanup/cleanup.h"
#include "backends/passthrough/passthrough_fixture.h"
#include "gtest/gtest.h"

namespace fsd::passthrough {
namespace {

using backends::Caller;
using backends::CreatedFile;
using backends::Creation;
using backends::Entry;

constexpr Caller kUser{.uid = 1234, .gid = 2345, .pid = 1};
constexpr char kLabel[] = "unconfined";

struct AclEntry {
  uint16_t tag;
  uint16_t permissions;
  uint32_t id;
};

IdMap ShiftedBy100000() {
  const std::vector<IdTranslation> translations = {
      {IdTranslation::Kind::kMap, 0, 100'000, 10'000},
      {IdTranslation::Kind::kForbidGuest, 20'000, 0, 10}};
  return *IdMap::Create(translations);
}

class CreationTest : public PassthroughFixture {
 protected:
  ErrnoOr<CreatedFile> Create(NodeId parent, const std::string& name, uint32_t mode,
                              const Creation& creation) {
    return fs->Await<CreatedFile>([&](auto call) {
      return filesystem_->Create(call, parent, name, mode, {.flags = O_RDWR}, creation);
    });
  }
  ErrnoOr<Entry> MakeDirectory(NodeId parent, const std::string& name, uint32_t mode,
                               const Creation& creation) {
    return fs->Await<Entry>(
        [&](auto call) { return filesystem_->MakeDirectory(call, parent, name, mode, creation); });
  }
  ErrnoOr<Entry> MakeNode(NodeId parent, const std::string& name, uint32_t mode,
                          const Creation& creation) {
    return fs->Await<Entry>(
        [&](auto call) { return filesystem_->MakeNode(call, parent, name, mode, 0, creation); });
  }
  ErrnoOr<Entry> Symlink(NodeId parent, const std::string& name, const Creation& creation) {
    return fs->Await<Entry>(
        [&](auto call) { return filesystem_->Symlink(call, parent, name, "x", creation); });
  }
  ErrnoOr<CreatedFile> CreateTemporary(NodeId parent, uint32_t flags, const Creation& creation) {
    return fs->Await<CreatedFile>([&](auto call) {
      return filesystem_->CreateTemporary(call, parent, 0666, {.flags = flags}, creation);
    });
  }
  NodeId MakeHostDirectory(const std::string& name, uint32_t mode, uint32_t gid) {
    EXPECT_EQ(::mkdir(Host(name).c_str(), 0700), 0);
    EXPECT_EQ(::chown(Host(name).c_str(), 0, gid), 0);
    EXPECT_EQ(::chmod(Host(name).c_str(), mode), 0);
    return Must(fs->Lookup(kRoot, name)).node;
  }
  // rwxrwxrwx for whatever is made in it.
  void SetDefaultAcl(const std::string& name) {
    const uint32_t version = POSIX_ACL_XATTR_VERSION;
    const AclEntry entries[] = {
        {ACL_USER_OBJ, 7, UINT32_MAX}, {ACL_GROUP_OBJ, 7, UINT32_MAX}, {ACL_OTHER, 7, UINT32_MAX}};
    std::string acl(reinterpret_cast<const char*>(&version), sizeof(version));
    acl.append(reinterpret_cast<const char*>(entries), sizeof(entries));
    ASSERT_EQ(::setxattr(Host(name).c_str(), "system.posix_acl_default", acl.data(), acl.size(), 0),
              0);
  }
  bool HostHas(const std::string& name) {
    struct stat info;
    return ::lstat(Host(name).c_str(), &info) == 0;
  }
  struct stat HostStat(const std::string& name) {
    struct stat info {};
    EXPECT_EQ(::lstat(Host(name).c_str(), &info), 0);
    return info;
  }
  static uint32_t Mode(const Entry& entry) { return entry.attributes.stx_mode & 07777; }
};

// --- what is made known ---

TEST_F(CreationTest, AFileIsKnownAsWhatItIsThoughTheHostGivesItsNameAway) {
  ServeWith({});
  std::atomic<bool> done = false;
  std::thread host([&] {
    while (!done) {
      const int other = ::open(Host("other").c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
      ::close(other);
      ::rename(Host("other").c_str(), Host("contested").c_str());
      ::unlink(Host("contested").c_str());
    }
  });
  const absl::Cleanup join = [&] {
    done = true;
    host.join();
  };
  for (int i = 0; i < 3000; ++i) {
    const CreatedFile made = Must(Create(kRoot, "contested", 0600, {}));
    const auto opened = fs->Await<backends::Attributes>(
        [&](auto call) { return filesystem_->GetAttributes(call, made.entry.node, made.handle); });
    ASSERT_EQ(Must(opened).stx_ino, made.entry.attributes.stx_ino) << i;
    EXPECT_TRUE(fs->Release(made.entry.node, made.handle).ok());
    filesystem_->Forget(made.entry.node, 1);
  }
}

// --- umask and default ACLs ---

TEST_F(CreationTest, TheUmaskAppliesWhereThereIsNoDefaultAcl) {
  ServeWith({.xattr = true, .posix_acl = true});
  const Creation creation{.umask = 027};
  EXPECT_EQ(Mode(Must(Create(kRoot, "f", 0666, creation)).entry), 0640u);
  EXPECT_EQ(Mode(Must(MakeDirectory(kRoot, "d", 0777, creation))), 0750u);
  EXPECT_EQ(Mode(Must(MakeNode(kRoot, "n", S_IFIFO | 0666, creation))), 0640u);
  EXPECT_EQ(Mode(Must(CreateTemporary(kRoot, O_RDWR, creation)).entry), 0640u);
}

TEST_F(CreationTest, ADefaultAclStandsInForTheUmask) {
  ServeWith({.xattr = true, .posix_acl = true});
  const NodeId directory = MakeHostDirectory("a", 0777, 0);
  SetDefaultAcl("a");
  const Creation creation{.umask = 027};
  EXPECT_EQ(Mode(Must(Create(directory, "f", 0666, creation)).entry), 0666u);
  EXPECT_EQ(Mode(Must(MakeDirectory(directory, "d", 0777, creation))), 0777u);
  EXPECT_EQ(Mode(Must(MakeNode(directory, "n", S_IFIFO | 0666, creation))), 0666u);
  EXPECT_EQ(Mode(Must(CreateTemporary(directory, O_RDWR, creation)).entry), 0666u);
}

TEST_F(CreationTest, WithoutAclsTheUmaskAlwaysApplies) {
  const NodeId directory = MakeHostDirectory("a", 0777, 0);
  SetDefaultAcl("a");
  EXPECT_EQ(Mode(Must(Create(directory, "f", 0666, {.umask = 027})).entry), 0640u);
}

// --- security labels ---

TEST_F(CreationTest, WhateverIsMadeHasItsLabel) {
  ServeWith({.xattr = true});
  const Creation creation{.security_name = "trusted.label", .security_value = kLabel};
  Must(Create(kRoot, "file", 0600, creation));
  Must(MakeDirectory(kRoot, "directory", 0700, creation));
  Must(MakeNode(kRoot, "fifo", S_IFIFO | 0600, creation));
  Must(Symlink(kRoot, "link", creation));
  for (const char* name : {"file", "directory", "fifo", "link"}) {
    char value[64];
    ASSERT_EQ(::lgetxattr(Host(name).c_str(), "trusted.label", value, sizeof(value)),
              static_cast<ssize_t>(sizeof(kLabel)))
        << name;
    EXPECT_STREQ(value, kLabel);
  }
}

TEST_F(CreationTest, ALabelsNameIsMapped) {
  ServeWith({.xattr = true,
             .xattr_map = XattrMap(
                 {{XattrRule::Type::kMap, XattrRule::Scope::kAll, "", "user.virtiofs."}})});
  Must(
      Create(kRoot, "file", 0600, {.security_name = "security.selinux", .security_value = kLabel}));
  EXPECT_GT(::getxattr(Host("file").c_str(), "user.virtiofs.security.selinux", nullptr, 0), 0);
}

TEST_F(CreationTest, WhatCannotBeLabelledIsNotMade) {
  ServeWith({.xattr = true});
  const Creation creation{.security_name = "nowhere.label", .security_value = kLabel};
  const int fds = OpenFdCount();
  EXPECT_ERRNO(Create(kRoot, "file", 0600, creation), EOPNOTSUPP);
  EXPECT_ERRNO(MakeDirectory(kRoot, "directory", 0700, creation), EOPNOTSUPP);
  EXPECT_ERRNO(MakeNode(kRoot, "fifo", S_IFIFO | 0600, creation), EOPNOTSUPP);
  EXPECT_ERRNO(Symlink(kRoot, "link", creation), EOPNOTSUPP);
  EXPECT_ERRNO(CreateTemporary(kRoot, O_RDWR, creation), EOPNOTSUPP);
  for (const char* name : {"file", "directory", "fifo", "link"}) EXPECT_FALSE(HostHas(name));
  EXPECT_EQ(filesystem_->Usage().inodes, 1u);
  EXPECT_EQ(OpenFdCount(), fds);
}

// --- supplementary groups ---

TEST_F(CreationTest, AMemberOfASetgidDirectorysGroupKeepsTheBit) {
  const NodeId directory = MakeHostDirectory("d", 02770, 777);
  fs->set_caller(kUser);
  const Entry stranger = Must(Create(directory, "stranger", 02770, {})).entry;
  EXPECT_EQ(Mode(stranger), 0770u);
  const Entry member = Must(Create(directory, "member", 02770, {.supplementary_group = 777})).entry;
  EXPECT_EQ(Mode(member), 02770u);
  EXPECT_EQ(member.attributes.stx_gid, 777u);
  EXPECT_EQ(member.attributes.stx_uid, kUser.uid);
}

TEST_F(CreationTest, AGroupIsAsGoodAsThePermissionThatComesFromIt) {
  const NodeId directory = MakeHostDirectory("d", 0777, 0);
  WriteHost(Host("d/groups"), "text");
  ASSERT_EQ(::chown(Host("d/groups").c_str(), 0, 777), 0);
  ASSERT_EQ(::chmod(Host("d/groups").c_str(), 0660), 0);
  fs->set_caller(kUser);
  EXPECT_ERRNO(Create(directory, "groups", 0600, {}), EACCES);
  EXPECT_SUCCESS(Create(directory, "groups", 0600, {.supplementary_group = 777}));
}

TEST_F(CreationTest, TheThreadHasItsOwnGroupsAfterwards) {
  const uint32_t own[] = {50, 60};
  ASSERT_EQ(::setgroups(2, own), 0);
  std::vector<uint32_t> groups(10);
  std::thread([&] {  // one that has not been anybody else yet
    Must(Create(kRoot, "f", 0600, {.supplementary_group = 777}));
    EXPECT_ERRNO(Create(kRoot, "g", 0600, {.supplementary_group = UINT32_MAX}), EPERM);
    groups.resize(static_cast<size_t>(::getgroups(10, groups.data())));
  })
      .join();
  EXPECT_EQ(groups, (std::vector<uint32_t>{50, 60}));
}

// --- translated ids ---

TEST_F(CreationTest, WhoMakesSomethingIsTranslatedBothWays) {
  ServeWith({.uids = ShiftedBy100000(), .gids = ShiftedBy100000()});
  fs->set_caller(kUser);
  const Entry entries[] = {Must(Create(kRoot, "file", 0600, {})).entry,
                           Must(MakeDirectory(kRoot, "directory", 0700, {})),
                           Must(Symlink(kRoot, "link", {}))};
  for (const Entry& entry : entries) {
    EXPECT_EQ(entry.attributes.stx_uid, kUser.uid);
    EXPECT_EQ(entry.attributes.stx_gid, kUser.gid);
  }
  for (const char* name : {"file", "directory", "link"}) {
    EXPECT_EQ(HostStat(name).st_uid, 100'000 + kUser.uid);
    EXPECT_EQ(HostStat(name).st_gid, 100'000 + kUser.gid);
  }
  EXPECT_EQ(Must(fs->Lookup(kRoot, "file")).attributes.stx_uid, kUser.uid);
  EXPECT_EQ(Must(fs->GetAttributes(entries[0].node)).stx_gid, kUser.gid);
}

TEST_F(CreationTest, UsersAndGroupsAreTranslatedEachByTheirOwn) {
  ServeWith({.uids = ShiftedBy100000()});
  fs->set_caller(kUser);
  const Entry users = Must(Create(kRoot, "users", 0600, {})).entry;
  EXPECT_EQ(HostStat("users").st_uid, 100'000 + kUser.uid);
  EXPECT_EQ(HostStat("users").st_gid, kUser.gid);
  EXPECT_EQ(users.attributes.stx_uid, kUser.uid);
  EXPECT_EQ(users.attributes.stx_gid, kUser.gid);
  fs->set_caller({.uid = 0, .gid = 0, .pid = 1});
  EXPECT_EQ(Must(fs->SetAttributes(users.node, {.gid = 8})).stx_gid, 8u);
  EXPECT_EQ(HostStat("users").st_gid, 8u);
}

TEST_F(CreationTest, TheWhiteoutThatARenameLeavesIsItsCallers) {
  ServeWith({.uids = ShiftedBy100000(), .gids = ShiftedBy100000()});
  ASSERT_EQ(::chmod(Host("").c_str(), 0777), 0);
  fs->set_caller(kUser);
  Must(Create(kRoot, "from", 0600, {}));
  EXPECT_SUCCESS(fs->Rename(kRoot, "from", kRoot, "to", RENAME_WHITEOUT));
  EXPECT_TRUE(S_ISCHR(HostStat("from").st_mode));
  EXPECT_EQ(HostStat("from").st_uid, 100'000 + kUser.uid);
  EXPECT_EQ(HostStat("from").st_gid, 100'000 + kUser.gid);
}

TEST_F(CreationTest, OwnersThatAreChangedAreTranslatedToo) {
  ServeWith({.uids = ShiftedBy100000(), .gids = ShiftedBy100000()});
  WriteHost(Host("file"), "");
  const NodeId file = Must(fs->Lookup(kRoot, "file")).node;
  EXPECT_EQ(Must(fs->SetAttributes(file, {.uid = 7, .gid = 8})).stx_uid, 7u);
  EXPECT_EQ(HostStat("file").st_uid, 100'007u);
  EXPECT_EQ(HostStat("file").st_gid, 100'008u);
}

TEST_F(CreationTest, AForbiddenIdIsNobodys) {
  ServeWith({.uids = ShiftedBy100000(), .gids = ShiftedBy100000()});
  WriteHost(Host("file"), "");
  const NodeId file = Must(fs->Lookup(kRoot, "file")).node;
  EXPECT_ERRNO(fs->SetAttributes(file, {.mode = 0777, .uid = 20'005}), EPERM);
  EXPECT_EQ(HostStat("file").st_mode & 07777, 0666u);
  EXPECT_ERRNO(Create(kRoot, "f", 0600, {.supplementary_group = 20'005}), EPERM);
  fs->set_caller({.uid = 20'005, .gid = 0, .pid = 1});
  EXPECT_ERRNO(Create(kRoot, "f", 0600, {}), EPERM);
  EXPECT_ERRNO(fs->Await<void>([&](auto call) { return filesystem_->Access(call, file, R_OK); }),
               EPERM);
  EXPECT_FALSE(HostHas("f"));
}

TEST_F(CreationTest, AccessIsThatOfTheTranslatedCaller) {
  ServeWith({.uids = ShiftedBy100000(), .gids = ShiftedBy100000()});
  WriteHost(Host("file"), "");
  ASSERT_EQ(::chown(Host("file").c_str(), 100'000 + kUser.uid, 0), 0);
  ASSERT_EQ(::chmod(Host("file").c_str(), 0600), 0);
  const NodeId file = Must(fs->Lookup(kRoot, "file")).node;
  const auto access = [&] {
    return fs->Await<void>([&](auto call) { return filesystem_->Access(call, file, W_OK); });
  };
  fs->set_caller(kUser);
  EXPECT_SUCCESS(access());
  fs->set_caller({.uid = kUser.uid + 1, .gid = 1, .pid = 1});
  EXPECT_ERRNO(access(), EACCES);
}

// --- files without a name ---

TEST_F(CreationTest, ATemporaryFileHasNoNameUntilItIsLinked) {
  fs->set_caller(kUser);
  const CreatedFile file = Must(CreateTemporary(kRoot, O_RDWR | O_TMPFILE, {}));
  EXPECT_EQ(file.entry.attributes.stx_nlink, 0u);
  EXPECT_EQ(file.entry.attributes.stx_uid, kUser.uid);
  EXPECT_TRUE(std::filesystem::is_empty(Host("")));
  EXPECT_EQ(Must(fs->Write(file.entry.node, file.handle, 0, "text")), 4u);
  EXPECT_EQ(Must(fs->Link(file.entry.node, kRoot, "name")).node, file.entry.node);
  EXPECT_EQ(ReadHost(Host("name")), "text");
}

TEST_F(CreationTest, OneThatShallNeverHaveANameGetsNone) {
  const CreatedFile file = Must(CreateTemporary(kRoot, O_RDWR | O_EXCL, {}));
  EXPECT_ERRNO(fs->Link(file.entry.node, kRoot, "name"), ENOENT);
}

TEST_F(CreationTest, ATemporaryFileThatNobodyHoldsIsGone) {
  const int fds = OpenFdCount();
  const CreatedFile file = Must(CreateTemporary(kRoot, O_RDWR, {}));
  EXPECT_SUCCESS(fs->Release(file.entry.node, file.handle));
  filesystem_->Forget(file.entry.node, 1);
  EXPECT_EQ(OpenFdCount(), fds);
}

TEST_F(CreationTest, TemporaryFilesThatCannotBeAreRefused) {
  WriteHost(Host("file"), "");
  EXPECT_ERRNO(CreateTemporary(kRoot, O_RDONLY, {}), EINVAL);
  EXPECT_ERRNO(CreateTemporary(Must(fs->Lookup(kRoot, "file")).node, O_RDWR, {}), ENOTDIR);
  EXPECT_ERRNO(CreateTemporary(NodeId{12345}, O_RDWR, {}), ESTALE);
  ServeWith({.read_only = true});
  EXPECT_ERRNO(CreateTemporary(kRoot, O_RDWR, {}), EROFS);
}

}  // namespace
}  // namespace fsd::passthrough
