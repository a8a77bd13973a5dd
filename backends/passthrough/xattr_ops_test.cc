// Extended attributes on real files. As root, outside Bazel's sandbox.
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/fs.h>
#include <linux/posix_acl.h>
#include <linux/posix_acl_xattr.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <cstdint>
#include <set>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "backends/passthrough/caller_credentials.h"
#include "backends/passthrough/passthrough_fixture.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace fsd::passthrough {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::UnorderedElementsAre;

constexpr char kAclAccess[] = "system.posix_acl_access";
constexpr char kCapability[] = "security.capability";
constexpr char kAsideCapability[] = "user.virtiofs.security.capability";

struct AclEntry {
  uint16_t tag;
  uint16_t permissions;
  uint32_t id;
};

// Read and write for one user more.
std::string AclWithUser(uint32_t user) {
  const uint32_t version = POSIX_ACL_XATTR_VERSION;
  const AclEntry entries[] = {{ACL_USER_OBJ, 7, UINT32_MAX},
                              {ACL_USER, 6, user},
                              {ACL_GROUP_OBJ, 5, UINT32_MAX},
                              {ACL_MASK, 7, UINT32_MAX},
                              {ACL_OTHER, 5, UINT32_MAX}};
  return std::string(reinterpret_cast<const char*>(&version), sizeof(version))
      .append(reinterpret_cast<const char*>(entries), sizeof(entries));
}

XattrMap EverythingAside() {
  return XattrMap({{XattrRule::Type::kMap, XattrRule::Scope::kAll, "", "user.virtiofs."}});
}

class XattrOpsTest : public PassthroughFixture {
 protected:
  XattrOpsTest() {
    ServeWith({.xattr = true});
    WriteHost(Host("file"), "contents");
  }

  NodeId Node(const std::string& name) { return Must(fs->Lookup(kRoot, name)).node; }
  ErrnoOr<void> Set(NodeId node, std::string_view name, std::string_view value, uint32_t flags = 0,
                    bool kill_sgid = false) {
    return fs->Await<void>([&](auto call) {
      return filesystem_->SetXattr(call, node, name, {value.data(), value.size()}, flags,
                                   kill_sgid);
    });
  }
  ErrnoOr<size_t> Get(NodeId node, std::string_view name, backends::IoVectors destination) {
    return fs->Await<size_t>(
        [&](auto call) { return filesystem_->GetXattr(call, node, name, destination); });
  }
  ErrnoOr<std::string> Get(NodeId node, std::string_view name) {
    std::string value(XATTR_SIZE_MAX, '\0');
    const iovec vector{value.data(), value.size()};
    const ErrnoOr<size_t> size = Get(node, name, {&vector, 1});
    if (!size.ok()) return size.error();
    value.resize(*size);
    return value;
  }
  ErrnoOr<size_t> List(NodeId node, backends::IoVectors destination) {
    return fs->Await<size_t>(
        [&](auto call) { return filesystem_->ListXattr(call, node, destination); });
  }
  // Without what the host itself adds (security.selinux …).
  std::vector<std::string> Names(NodeId node) {
    std::string list(XATTR_LIST_MAX, '\0');
    const iovec vector{list.data(), list.size()};
    const size_t size = Must(List(node, {&vector, 1}));
    std::vector<std::string> names;
    for (size_t at = 0; at < size; at += names.back().size() + 1) {
      names.emplace_back(list.data() + at);
    }
    return names;
  }
  ErrnoOr<void> Remove(NodeId node, std::string_view name) {
    return fs->Await<void>([&](auto call) { return filesystem_->RemoveXattr(call, node, name); });
  }
  // Of a file or symlink on the host; "-" if it has none.
  std::string HostValue(const std::string& name, const char* attribute) {
    char value[1024];
    const ssize_t size = ::lgetxattr(Host(name).c_str(), attribute, value, sizeof(value));
    return size < 0 ? "-" : std::string(value, static_cast<size_t>(size));
  }
  void SetHostValue(const std::string& name, const char* attribute, const std::string& value) {
    ASSERT_EQ(::lsetxattr(Host(name).c_str(), attribute, value.data(), value.size(), 0), 0);
  }
};

TEST_F(XattrOpsTest, OffEveryOperationIsEnosys) {
  ServeWith({});
  const NodeId file = Node("file");
  EXPECT_ERRNO(Set(file, "user.a", "1"), ENOSYS);
  EXPECT_ERRNO(Get(file, "user.a"), ENOSYS);
  EXPECT_ERRNO(List(file, {}), ENOSYS);
  EXPECT_ERRNO(Remove(file, "user.a"), ENOSYS);
}

TEST_F(XattrOpsTest, WhatTheGuestSetsTheHostHasAndTheOtherWayRound) {
  const NodeId file = Node("file");
  EXPECT_SUCCESS(Set(file, "user.guests", std::string("a\0b", 3)));
  EXPECT_EQ(HostValue("file", "user.guests"), std::string("a\0b", 3));
  SetHostValue("file", "user.hosts", "");
  EXPECT_EQ(Must(Get(file, "user.hosts")), "");
  EXPECT_THAT(Names(file), UnorderedElementsAre("user.guests", "user.hosts"));
  EXPECT_SUCCESS(Remove(file, "user.guests"));
  EXPECT_EQ(HostValue("file", "user.guests"), "-");
  EXPECT_ERRNO(Get(file, "user.guests"), ENODATA);
  EXPECT_ERRNO(Remove(file, "user.guests"), ENODATA);
}

TEST_F(XattrOpsTest, FlagsAreThoseOfSetxattr) {
  const NodeId file = Node("file");
  EXPECT_ERRNO(Set(file, "user.a", "1", XATTR_REPLACE), ENODATA);
  EXPECT_SUCCESS(Set(file, "user.a", "1", XATTR_CREATE));
  EXPECT_ERRNO(Set(file, "user.a", "2", XATTR_CREATE), EEXIST);
  EXPECT_ERRNO(Set(file, "user.a", "2", 64), EINVAL);
  EXPECT_EQ(HostValue("file", "user.a"), "1");
}

TEST_F(XattrOpsTest, HostileNamesAndSizesAreRefused) {
  const NodeId file = Node("file");
  EXPECT_ERRNO(Set(file, "", "1"), ERANGE);
  EXPECT_ERRNO(Set(file, "user." + std::string(251, 'x'), "1"), ERANGE);
  EXPECT_ERRNO(Set(file, std::string_view("user.a\0b", 8), "1"), EINVAL);
  EXPECT_ERRNO(Set(file, "nowhere.a", "1"), EOPNOTSUPP);
  EXPECT_ERRNO(Set(file, "user.a", std::string(XATTR_SIZE_MAX + 1, 'x')), E2BIG);
  EXPECT_ERRNO(Get(NodeId{12345}, "user.a"), ESTALE);
}

TEST_F(XattrOpsTest, ADestinationMayBeSplitOrEmptyOrTooSmall) {
  const NodeId file = Node("file");
  SetHostValue("file", "user.a", "0123456789");
  char first[3];
  char second[20];
  const iovec split[] = {{first, sizeof(first)}, {nullptr, 0}, {second, sizeof(second)}};
  EXPECT_EQ(Must(Get(file, "user.a", split)), 10u);
  EXPECT_EQ(std::string(first, 3) + std::string(second, 7), "0123456789");
  EXPECT_EQ(Must(List(file, split)), 7u);
  EXPECT_EQ(std::string(first, 3) + std::string(second, 4), std::string("user.a\0", 7));

  EXPECT_EQ(Must(Get(file, "user.a", {})), 10u);
  EXPECT_EQ(Must(List(file, {})), 7u);
  EXPECT_ERRNO(Get(file, "user.a", {split, 1}), ERANGE);
  EXPECT_ERRNO(List(file, {split, 1}), ERANGE);
}

TEST_F(XattrOpsTest, ASymlinksAttributesAreItsOwn) {
  ASSERT_EQ(::symlink("file", Host("link").c_str()), 0);
  const NodeId link = Node("link");
  EXPECT_SUCCESS(Set(link, "trusted.a", "links"));
  EXPECT_EQ(HostValue("link", "trusted.a"), "links");
  EXPECT_EQ(HostValue("file", "trusted.a"), "-");
  EXPECT_EQ(Must(Get(link, "trusted.a")), "links");
  EXPECT_ERRNO(Set(link, "user.a", "1"), EPERM);
  EXPECT_SUCCESS(Remove(link, "trusted.a"));
}

TEST_F(XattrOpsTest, WhatCannotBeOpenedHasAttributesToo) {
  ASSERT_EQ(::mkfifo(Host("fifo").c_str(), 0600), 0);
  EXPECT_SUCCESS(Set(Node("fifo"), "trusted.a", "1"));
  EXPECT_EQ(HostValue("fifo", "trusted.a"), "1");
  EXPECT_SUCCESS(Set(kRoot, "user.a", "1"));
  EXPECT_EQ(HostValue("", "user.a"), "1");
}

TEST_F(XattrOpsTest, ListsAndValuesOf64KiBPass) {
  // Only a tmpfs takes as many.
  ASSERT_EQ(::unshare(CLONE_NEWNS), 0);
  ASSERT_EQ(::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr), 0);
  ASSERT_EQ(::mount("tmpfs", Host("").c_str(), "tmpfs", 0, nullptr), 0);
  WriteHost(Host("file"), "");
  ServeWith({.xattr = true});
  const NodeId file = Node("file");
  const std::string large(XATTR_SIZE_MAX, 'v');
  EXPECT_SUCCESS(Set(file, "trusted.large", large));
  EXPECT_EQ(Must(Get(file, "trusted.large")), large);
  EXPECT_SUCCESS(Remove(file, "trusted.large"));
  std::set<std::string> names;
  for (int i = 0; i < 256; ++i) {
    names.insert("trusted." + std::to_string(i) + std::string(240, 'n'));
  }
  for (const std::string& name : names) EXPECT_SUCCESS(Set(file, name, ""));
  const std::vector<std::string> listed = Names(file);
  EXPECT_EQ(std::set<std::string>(listed.begin(), listed.end()), names);
  EXPECT_EQ(::umount2(Host("").c_str(), MNT_DETACH), 0);
}

TEST_F(XattrOpsTest, AReadOnlyShareIsOnlyRead) {
  SetHostValue("file", "user.a", "1");
  ServeWith({.read_only = true, .xattr = true});
  const NodeId file = Node("file");
  EXPECT_ERRNO(Set(file, "user.a", "2"), EROFS);
  EXPECT_ERRNO(Remove(file, "user.a"), EROFS);
  EXPECT_EQ(Must(Get(file, "user.a")), "1");
}

// --- names that are mapped ---

TEST_F(XattrOpsTest, MappedNamesStandAsideOnTheHost) {
  SetHostValue("file", "user.hosts", "1");
  ServeWith({.xattr = true, .xattr_map = EverythingAside()});
  const NodeId file = Node("file");
  EXPECT_SUCCESS(Set(file, "trusted.a", "1"));
  EXPECT_EQ(HostValue("file", "user.virtiofs.trusted.a"), "1");
  EXPECT_EQ(HostValue("file", "trusted.a"), "-");
  EXPECT_EQ(Must(Get(file, "trusted.a")), "1");
  EXPECT_ERRNO(Get(file, "user.hosts"), ENODATA);
  EXPECT_THAT(Names(file), ElementsAre("trusted.a"));
  EXPECT_SUCCESS(Remove(file, "trusted.a"));
  EXPECT_THAT(Names(file), IsEmpty());
}

// The host's kernel removes security.capability by itself; not what it does not know.
TEST_F(XattrOpsTest, ACapabilityThatIsKeptAsideGoesWithAChangeOfContentsOrOwner) {
  ServeWith({.xattr = true, .xattr_map = EverythingAside()});
  const NodeId file = Node("file");
  const FileHandle handle = Must(fs->Open(file, O_RDWR));
  const auto kept_by = [&](auto change) {
    EXPECT_SUCCESS(Set(file, kCapability, "cap"));
    EXPECT_EQ(HostValue("file", kAsideCapability), "cap");
    EXPECT_SUCCESS(change());
    return HostValue("file", kAsideCapability) != "-";
  };
  EXPECT_FALSE(kept_by([&] { return fs->Write(file, handle, 0, "x"); }));
  EXPECT_FALSE(kept_by([&] { return fs->SetAttributes(file, {.size = 3}); }));
  EXPECT_FALSE(kept_by([&] { return fs->SetAttributes(file, {.uid = 5}); }));
  EXPECT_FALSE(kept_by([&] { return fs->Fallocate(file, handle, 0, 0, 100); }));
  EXPECT_FALSE(kept_by([&] { return fs->CopyRange({file, handle, 0}, {file, handle, 1}, 1); }));
  EXPECT_FALSE(kept_by([&] { return fs->Open(file, O_WRONLY | O_TRUNC); }));
  EXPECT_FALSE(kept_by([&] { return fs->Create(kRoot, "file", O_WRONLY | O_TRUNC); }));
  EXPECT_TRUE(kept_by([&] { return fs->SetAttributes(file, {.mode = 0755}); }));
  EXPECT_TRUE(kept_by([&] { return fs->Read(file, handle, 0, 1); }));
}

// The host refuses to remove a `user.` attribute of what can have none.
TEST_F(XattrOpsTest, WithCapabilitiesKeptAsideWhatCanHaveNoneChangesItsOwner) {
  ServeWith({.xattr = true, .xattr_map = EverythingAside()});
  ASSERT_EQ(::symlink("file", Host("link").c_str()), 0);
  ASSERT_EQ(::mkfifo(Host("fifo").c_str(), 0600), 0);
  ASSERT_EQ(::mknod(Host("socket").c_str(), S_IFSOCK | 0600, 0), 0);
  ASSERT_EQ(::mknod(Host("device").c_str(), S_IFCHR | 0600, makedev(1, 3)), 0);
  for (const char* name : {"link", "fifo", "socket", "device"}) {
    EXPECT_EQ(Must(fs->SetAttributes(Node(name), {.uid = 5})).stx_uid, 5u) << name;
  }
}

TEST_F(XattrOpsTest, NorDoesANameThatTakesAMissingPrivilegeHinderAChange) {
  ServeWith({.xattr = true,
             .xattr_map = XattrMap(
                 {{XattrRule::Type::kMap, XattrRule::Scope::kAll, kCapability, "trusted."}})});
  const NodeId file = Node("file");
  const FileHandle handle = Must(fs->Open(file, O_RDWR));
  std::thread([&] {
    ThreadCapabilities capabilities = ThreadCapabilities::Get();
    capabilities.DropEffective(CAP_SYS_ADMIN);
    capabilities.Set();
    EXPECT_SUCCESS(fs->Write(file, handle, 0, "x"));
    EXPECT_SUCCESS(fs->SetAttributes(file, {.size = 3}));
    EXPECT_SUCCESS(fs->SetAttributes(file, {.uid = 5}));
  }).join();
}

TEST_F(XattrOpsTest, ACapabilityThatCannotBeRemovedHindersTheChange) {
  ServeWith({.xattr = true, .xattr_map = EverythingAside()});
  const NodeId file = Node("file");
  EXPECT_SUCCESS(Set(file, kCapability, "cap"));
  const FileHandle handle = Must(fs->Open(file, O_RDWR));
  SetHostFlag("file", FS_APPEND_FL, true);
  EXPECT_ERRNO(fs->Write(file, handle, 0, "x"), EPERM);
  SetHostFlag("file", FS_APPEND_FL, false);
  EXPECT_SUCCESS(fs->Write(file, handle, 0, "x"));
  EXPECT_EQ(HostValue("file", kAsideCapability), "-");
}

// --- POSIX ACLs ---

TEST_F(XattrOpsTest, WithoutThemAclsAreNeitherServedNorListed) {
  SetHostValue("file", kAclAccess, AclWithUser(5));
  const NodeId file = Node("file");
  EXPECT_ERRNO(Get(file, kAclAccess), EOPNOTSUPP);
  EXPECT_ERRNO(Set(file, kAclAccess, AclWithUser(6)), EOPNOTSUPP);
  EXPECT_ERRNO(Remove(file, kAclAccess), EOPNOTSUPP);
  EXPECT_THAT(Names(file), IsEmpty());
}

TEST_F(XattrOpsTest, AclsAreTheHosts) {
  ServeWith({.xattr = true, .posix_acl = true});
  const NodeId file = Node("file");
  EXPECT_SUCCESS(Set(file, kAclAccess, AclWithUser(6)));
  EXPECT_EQ(HostValue("file", kAclAccess), AclWithUser(6));
  EXPECT_EQ(Must(Get(file, kAclAccess)), AclWithUser(6));
  EXPECT_THAT(Names(file), ElementsAre(kAclAccess));
  EXPECT_ERRNO(Set(file, kAclAccess, "nonsense"), EOPNOTSUPP);
}

TEST_F(XattrOpsTest, AnAclClearsSetgidIfTheGuestSaysSo) {
  ServeWith({.xattr = true, .posix_acl = true});
  ASSERT_EQ(::chmod(Host("file").c_str(), 02755), 0);
  const NodeId file = Node("file");
  EXPECT_SUCCESS(Set(file, kAclAccess, AclWithUser(6), 0, /*kill_sgid=*/false));
  EXPECT_EQ(Must(fs->GetAttributes(file)).stx_mode & 07777, 02775);
  EXPECT_SUCCESS(Set(file, kAclAccess, AclWithUser(7), 0, /*kill_sgid=*/true));
  EXPECT_EQ(Must(fs->GetAttributes(file)).stx_mode & 07777, 0775);
  // Of a group that is not ours the host clears it itself.
  ASSERT_EQ(::chown(Host("file").c_str(), 0, 777), 0);
  ASSERT_EQ(::chmod(Host("file").c_str(), 02755), 0);
  EXPECT_SUCCESS(Set(file, kAclAccess, AclWithUser(6), 0, /*kill_sgid=*/true));
  EXPECT_EQ(Must(fs->GetAttributes(file)).stx_mode & 07777, 0775);
}

TEST_F(XattrOpsTest, IdsInValuesAreTranslated) {
  const std::vector<IdTranslation> translations = {{IdTranslation::Kind::kMap, 0, 100'000, 1000},
                                                   {IdTranslation::Kind::kForbidGuest, 2000, 0, 1}};
  ServeWith({.xattr = true, .posix_acl = true, .uids = *IdMap::Create(translations)});
  const NodeId file = Node("file");
  EXPECT_SUCCESS(Set(file, kAclAccess, AclWithUser(5)));
  EXPECT_EQ(HostValue("file", kAclAccess), AclWithUser(100'005));
  EXPECT_EQ(Must(Get(file, kAclAccess)), AclWithUser(5));
  EXPECT_ERRNO(Set(file, kAclAccess, AclWithUser(2000)), EPERM);
  EXPECT_EQ(HostValue("file", kAclAccess), AclWithUser(100'005));
}

}  // namespace
}  // namespace fsd::passthrough
