// What an export's options for extended attributes, submounts, locks and inode references do, seen
// by a guest without a VM and on the host.
#include <fcntl.h>
#include <linux/fuse.h>
#include <sched.h>
#include <sys/file.h>
#include <sys/mount.h>
#include <sys/xattr.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "gtest/gtest.h"
#include "tests/harness/guest_of_export.h"

namespace fsd {
namespace {

using harness::FuseReply;
using harness::GuestFile;
using harness::GuestOfExport;
using internal::ExportSpec;

class SemanticsOptionsTest : public ::testing::Test {
 protected:
  void SetUp() override {
    // What is mounted here stays here.
    ASSERT_EQ(::unshare(CLONE_NEWNS), 0);
    ASSERT_EQ(::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr), 0);
    auto started = harness::RunningSupervisor::Start(
        std::filesystem::canonical("server/exe/fsd-worker").string());
    ASSERT_TRUE(started.ok()) << started.status();
    supervisor_ = *std::move(started);
  }

  std::unique_ptr<GuestOfExport> Mounted(const std::string& id,
                                         const std::function<void(ExportSpec&)>& set_options) {
    auto guest = GuestOfExport::Make(*supervisor_, id, set_options);
    EXPECT_TRUE(guest.ok()) << guest.status();
    if (!guest.ok()) return nullptr;
    const auto agreed = (*guest)->Init();
    EXPECT_TRUE(agreed.ok()) << agreed.status();
    return *std::move(guest);
  }

  std::unique_ptr<harness::RunningSupervisor> supervisor_;
};

int SetXattr(GuestOfExport& guest, uint64_t node, std::string_view name, std::string_view value) {
  const auto reply = guest.fuse().SetXattr(node, name, value);
  return reply.ok() ? reply->error : EIO;
}

std::string ListXattr(GuestOfExport& guest, uint64_t node) {
  const auto reply = guest.fuse().ListXattr(node, 4096);
  if (!reply.ok()) return "(no reply)";
  return {reinterpret_cast<const char*>(reply->body.data()), reply->body.size()};
}

std::string HostXattr(const std::string& path, const char* name) {
  char value[256];
  const ssize_t size = ::lgetxattr(path.c_str(), name, value, sizeof value);
  return size < 0 ? "(none)" : std::string(value, static_cast<size_t>(size));
}

void AddRule(ExportSpec& spec, ExportSpec::XattrRule::Type type, const char* key,
             const char* prepend) {
  ExportSpec::XattrRule& rule = *spec.add_xattr_rules();
  rule.set_type(type);
  rule.set_key(key);
  rule.set_prepend(prepend);
}

TEST_F(SemanticsOptionsTest, WithoutXattrThereAreNone) {
  auto guest = Mounted("web", [](ExportSpec&) {});
  const GuestFile file = guest->Create("file");

  EXPECT_EQ(SetXattr(*guest, file.node, "user.a", "1"), ENOSYS);
  EXPECT_EQ(guest->fuse().ListXattr(file.node, 100)->error, ENOSYS);
}

TEST_F(SemanticsOptionsTest, WithXattrTheHostsAreTheGuests) {
  auto guest = Mounted("web", [](ExportSpec& spec) { spec.set_xattr(true); });
  const GuestFile file = guest->Create("file");

  EXPECT_EQ(SetXattr(*guest, file.node, "user.a", "1"), 0);
  EXPECT_EQ(HostXattr(guest->host_path("file"), "user.a"), "1");
  EXPECT_EQ(SetXattr(*guest, file.node, "system.posix_acl_access", ""), EOPNOTSUPP)
      << "without posix_acl";
}

TEST_F(SemanticsOptionsTest, AMapRuleKeepsTheGuestsNamesApartFromTheHosts) {
  auto guest = Mounted("web", [](ExportSpec& spec) {
    spec.set_xattr(true);
    AddRule(spec, ExportSpec::XattrRule::MAP, "", "user.vm.");
  });
  const GuestFile file = guest->Create("file");
  const std::string path = guest->host_path("file");
  ASSERT_EQ(::setxattr(path.c_str(), "user.hosts", "h", 1, 0), 0);

  EXPECT_EQ(SetXattr(*guest, file.node, "trusted.a", "1"), 0);

  EXPECT_EQ(HostXattr(path, "user.vm.trusted.a"), "1");
  EXPECT_EQ(HostXattr(path, "trusted.a"), "(none)");
  EXPECT_EQ(ListXattr(*guest, file.node), std::string("trusted.a\0", 10));
}

TEST_F(SemanticsOptionsTest, RulesRefuseByTheirType) {
  auto guest = Mounted("web", [](ExportSpec& spec) {
    spec.set_xattr(true);
    AddRule(spec, ExportSpec::XattrRule::BAD, "user.bad.", "user.bad.");
    AddRule(spec, ExportSpec::XattrRule::UNSUPPORTED, "user.uns.", "user.uns.");
    AddRule(spec, ExportSpec::XattrRule::PREFIX, "user.p.", "user.");
    AddRule(spec, ExportSpec::XattrRule::OK, "user.ok.", "user.ok.");
  });
  const GuestFile file = guest->Create("file");

  EXPECT_EQ(SetXattr(*guest, file.node, "user.bad.a", "1"), EPERM);
  EXPECT_EQ(SetXattr(*guest, file.node, "user.uns.a", "1"), EOPNOTSUPP);
  EXPECT_EQ(SetXattr(*guest, file.node, "user.p.a", "1"), 0);
  EXPECT_EQ(SetXattr(*guest, file.node, "user.ok.a", "1"), 0);
  EXPECT_EQ(SetXattr(*guest, file.node, "user.none", "1"), EPERM);
  EXPECT_EQ(HostXattr(guest->host_path("file"), "user.user.p.a"), "1");
  EXPECT_EQ(HostXattr(guest->host_path("file"), "user.ok.a"), "1");
}

// A directory's default ACL: what its files are made with in place of the umask.
std::string DefaultAcl(uint16_t owner, uint16_t group, uint16_t other) {
  struct Entry {
    uint16_t tag;
    uint16_t permissions;
    uint32_t id;
  };
  const struct {
    uint32_t version = 2;  // POSIX_ACL_XATTR_VERSION
    Entry entries[3];
  } acl = {.entries = {{0x01, owner, ~0u}, {0x04, group, ~0u}, {0x20, other, ~0u}}};
  return {reinterpret_cast<const char*>(&acl), sizeof acl};
}

TEST_F(SemanticsOptionsTest, WithPosixAclADefaultAclReplacesTheUmask) {
  auto guest = Mounted("web", [](ExportSpec& spec) {
    spec.set_xattr(true);
    spec.set_posix_acl(ExportSpec::USE_AUTO);
  });
  const fuse_create_in create = {.flags = O_RDWR, .mode = S_IFREG | 0666, .umask = 077};
  EXPECT_EQ(guest->Call(FUSE_CREATE, FUSE_ROOT_ID, create, {"before"}).error, 0);
  EXPECT_EQ(SetXattr(*guest, FUSE_ROOT_ID, "system.posix_acl_default", DefaultAcl(7, 7, 5)), 0);
  EXPECT_EQ(guest->Call(FUSE_CREATE, FUSE_ROOT_ID, create, {"after"}).error, 0);

  EXPECT_EQ(guest->HostStat("before").st_mode & 07777, 0600u);
  EXPECT_EQ(guest->HostStat("after").st_mode & 07777, 0664u);
}

TEST_F(SemanticsOptionsTest, ASecurityLabelIsThereFromTheFirst) {
  auto guest = Mounted("web", [](ExportSpec& spec) {
    spec.set_xattr(true);
    spec.set_security_label(ExportSpec::USE_AUTO);
    // Whatever security modules the host has.
    AddRule(spec, ExportSpec::XattrRule::MAP, "security.", "user.vm.");
  });
  // One context, as Linux 6.1 sends it: header, size, name, value, padding to 8 bytes.
  const uint32_t words[] = {40, 1, 5, 0};
  std::string context(reinterpret_cast<const char*>(words), sizeof words);
  context.append("security.selinux\0label", 22).resize(40);

  EXPECT_EQ(
      guest->Call(FUSE_MKDIR, FUSE_ROOT_ID, fuse_mkdir_in{.mode = 0755}, {"d"}, context).error, 0);

  EXPECT_EQ(HostXattr(guest->host_path("d"), "user.vm.security.selinux"), "label");
}

TEST_F(SemanticsOptionsTest, SubmountsAreToldUnlessTheOptionIsOff) {
  for (const bool told : {true, false}) {
    const std::string id = told ? "told" : "not-told";
    const std::string directory = supervisor_->share(id) + "/mnt";
    std::filesystem::create_directories(directory);
    ASSERT_EQ(::mount("tmpfs", directory.c_str(), "tmpfs", 0, nullptr), 0);
    auto guest = Mounted(id, [told](ExportSpec& spec) {
      if (!told) spec.set_submounts(false);
    });

    const auto entry = guest->Lookup("mnt").As<fuse_entry_out>();

    EXPECT_EQ((entry.attr.flags & FUSE_ATTR_SUBMOUNT) != 0, told);
    guest.reset();
    EXPECT_EQ(::umount2(directory.c_str(), MNT_DETACH), 0);
  }
}

TEST_F(SemanticsOptionsTest, WhatTheHostMountsLaterAppears) {
  const std::string share = supervisor_->share("web");
  std::filesystem::create_directories(share);
  ASSERT_EQ(::mount("tmpfs", share.c_str(), "tmpfs", 0, nullptr), 0);
  ASSERT_EQ(::mount(nullptr, share.c_str(), nullptr, MS_SHARED, nullptr), 0);
  std::filesystem::create_directory(share + "/mnt");
  auto guest = Mounted("web", [](ExportSpec&) {});
  ASSERT_EQ(guest->Lookup("mnt").As<fuse_entry_out>().attr.flags & FUSE_ATTR_SUBMOUNT, 0u);

  ASSERT_EQ(::mount("tmpfs", (share + "/mnt").c_str(), "tmpfs", 0, nullptr), 0);
  std::ofstream(share + "/mnt/inside") << "x";

  const auto entry = guest->Lookup("mnt").As<fuse_entry_out>();
  EXPECT_NE(entry.attr.flags & FUSE_ATTR_SUBMOUNT, 0u);
  EXPECT_EQ(guest->fuse().Lookup(entry.nodeid, "inside")->error, 0);
  guest.reset();
  EXPECT_EQ(::umount2(share.c_str(), MNT_DETACH), 0);
}

fuse_lk_in WriteLock(const GuestFile& file, bool flock) {
  fuse_lk_in lock{};
  lock.fh = file.handle;
  lock.owner = 7;
  lock.lk.end = INT64_MAX;
  lock.lk.type = F_WRLCK;
  lock.lk.pid = 42;
  lock.lk_flags = flock ? FUSE_LK_FLOCK : 0;
  return lock;
}

TEST_F(SemanticsOptionsTest, LocksAreTheGuestsOwnUnlessShared) {
  auto guest = Mounted("web", [](ExportSpec&) {});
  const GuestFile file = guest->Create("file");

  EXPECT_EQ(guest->Call(FUSE_SETLK, file.node, WriteLock(file, false)).error, ENOSYS);
}

TEST_F(SemanticsOptionsTest, SharedLocksHoldBetweenExportsAndAgainstTheHost) {
  auto one = Mounted("web", [](ExportSpec& spec) { spec.set_shared_locks(true); });
  auto other = Mounted("web-2", [this](ExportSpec& spec) {
    spec.set_source_path(supervisor_->share("web"));
    spec.set_shared_locks(true);
  });
  const GuestFile ones = one->Create("file");
  const uint64_t node = other->NodeOf("file");
  const GuestFile others = {.node = node,
                            .handle = other->fuse().Open(node, O_RDWR)->As<fuse_open_out>().fh};
  const int host = ::open(one->host_path("file").c_str(), O_RDWR | O_CLOEXEC);
  ASSERT_GE(host, 0);

  for (const bool flock : {false, true}) {
    EXPECT_EQ(one->Call(FUSE_SETLK, ones.node, WriteLock(ones, flock)).error, 0) << flock;
    EXPECT_EQ(other->Call(FUSE_SETLK, others.node, WriteLock(others, flock)).error, EAGAIN)
        << flock;
  }
  EXPECT_EQ(::flock(host, LOCK_EX | LOCK_NB), -1);
  struct flock range {};
  range.l_type = F_WRLCK;
  EXPECT_EQ(::fcntl(host, F_OFD_SETLK, &range), -1);
  one.reset();  // a session's locks end with it
  EXPECT_EQ(::flock(host, LOCK_EX | LOCK_NB), 0);
  EXPECT_EQ(::fcntl(host, F_OFD_SETLK, &range), 0);
  ::close(host);
}

TEST_F(SemanticsOptionsTest, AWaitForALockEndsAfterLockWait) {
  auto guest = Mounted("web", [](ExportSpec& spec) {
    spec.set_shared_locks(true);
    spec.set_lock_wait_nanos(20'000'000);
  });
  const GuestFile file = guest->Create("file");
  const int host = ::open(guest->host_path("file").c_str(), O_RDWR | O_CLOEXEC);
  ASSERT_EQ(::flock(host, LOCK_EX), 0);

  EXPECT_EQ(guest->Call(FUSE_SETLKW, file.node, WriteLock(file, true)).error, ETIMEDOUT);

  ASSERT_EQ(::flock(host, LOCK_UN), 0);
  EXPECT_EQ(guest->Call(FUSE_SETLKW, file.node, WriteLock(file, true)).error, 0);
  ::close(host);
}

// Looks up `count` files; the first errno, or 0.
int LookUpMany(GuestOfExport& guest, int count) {
  for (int i = 0; i < count; ++i) {
    std::ofstream(guest.host_path("f" + std::to_string(i))) << i;
  }
  for (int i = 0; i < count; ++i) {
    if (const int error = guest.Lookup("f" + std::to_string(i)).error) return error;
  }
  return 0;
}

TEST_F(SemanticsOptionsTest, WithoutHostHandlesTheBudgetOfFdsIsTheEndAndTold) {
  auto guest = Mounted("web", [](ExportSpec& spec) {
    spec.set_host_handles(ExportSpec::HOST_HANDLES_NEVER);
    spec.set_max_inode_fds(64);
  });

  EXPECT_EQ(LookUpMany(*guest, 100), ENFILE);

  const auto view = supervisor_->WaitFor(
      "web", [](const supervisor::ExportView& seen) { return !seen.conditions.empty(); });
  ASSERT_TRUE(view.ok()) << view.status();
  EXPECT_EQ(view->conditions.front().reason, "INODE_REFERENCES_EXHAUSTED");
}

TEST_F(SemanticsOptionsTest, AFileSystemWithoutHandlesIsToldUnlessNoneAreWanted) {
  for (const bool wanted : {true, false}) {
    const std::string id = wanted ? "wanted" : "not-wanted";
    const std::string share = supervisor_->share(id);
    std::filesystem::create_directories(share);
    ASSERT_EQ(::mount("ramfs", share.c_str(), "ramfs", 0, nullptr), 0);
    auto guest = Mounted(id, [wanted](ExportSpec& spec) {
      if (!wanted) spec.set_host_handles(ExportSpec::HOST_HANDLES_NEVER);
    });

    const auto view = supervisor_->Get(id);

    ASSERT_TRUE(view.ok()) << view.status();
    EXPECT_EQ(std::ranges::count(view->conditions, "HOST_HANDLES_UNAVAILABLE",
                                 &supervisor::Condition::reason),
              wanted ? 1 : 0);
    guest.reset();
    EXPECT_EQ(::umount2(share.c_str(), MNT_DETACH), 0);
  }
}

TEST_F(SemanticsOptionsTest, WithHostHandlesFilesBeyondTheBudgetStayKnown) {
  auto guest = Mounted("web", [](ExportSpec& spec) { spec.set_max_inode_fds(64); });

  ASSERT_EQ(LookUpMany(*guest, 200), 0);

  for (int i = 0; i < 200; ++i) {
    const std::string name = "f" + std::to_string(i);
    const uint64_t node = guest->NodeOf(name);
    const auto attributes = guest->fuse().GetAttributes(node);
    ASSERT_TRUE(attributes.ok());
    ASSERT_EQ(attributes->error, 0);
    EXPECT_EQ(attributes->As<fuse_attr_out>().attr.ino, guest->HostStat(name).st_ino);
  }
}

}  // namespace
}  // namespace fsd
