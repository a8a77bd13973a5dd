// What only some exports do, in a real worker behind its jail and its seccomp list: extended
// attributes, files without a name, copies, ioctls, SYNCFS, another's group, O_DIRECT, zero-message
// open. A system call that the list lacks would end the worker here, not at a user's.
#include <fcntl.h>
#include <linux/fs.h>
#include <linux/fuse.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstddef>
#include <filesystem>
#include <fstream>
#include <functional>
#include <memory>
#include <span>
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

class JailedExtensionsTest : public ::testing::Test {
 protected:
  void SetUp() override {
    auto started = harness::RunningSupervisor::Start(
        std::filesystem::canonical("server/exe/fsd-worker").string());
    ASSERT_TRUE(started.ok()) << started.status();
    supervisor_ = *std::move(started);
  }

  void TearDown() override {
    const auto view = supervisor_->Get("web");
    ASSERT_TRUE(view.ok());
    EXPECT_EQ(view->restarts, 0u) << "the worker died";
  }

  void Mount(const std::function<void(ExportSpec&)>& set_options) {
    auto guest = GuestOfExport::Make(*supervisor_, "web", set_options);
    ASSERT_TRUE(guest.ok()) << guest.status();
    guest_ = *std::move(guest);
    ASSERT_TRUE(guest_->Init().ok());
  }

  static int Error(const absl::StatusOr<FuseReply>& reply) {
    EXPECT_TRUE(reply.ok()) << reply.status();
    return reply.ok() ? reply->error : EIO;
  }

  std::unique_ptr<harness::RunningSupervisor> supervisor_;
  std::unique_ptr<GuestOfExport> guest_;
};

TEST_F(JailedExtensionsTest, ExtendedAttributes) {
  Mount([](ExportSpec& spec) { spec.set_xattr(true); });
  const GuestFile file = guest_->Create("file");
  auto& fuse = guest_->fuse();
  EXPECT_EQ(Error(fuse.SetXattr(file.node, "user.a", "value")), 0);
  EXPECT_EQ(Error(fuse.GetXattr(file.node, "user.a", 100)), 0);
  EXPECT_EQ(Error(fuse.ListXattr(file.node, 4096)), 0);
  EXPECT_EQ(Error(fuse.RemoveXattr(file.node, "user.a")), 0);
  EXPECT_EQ(Error(fuse.GetXattr(file.node, "user.a", 100)), ENODATA);
}

TEST_F(JailedExtensionsTest, ACapabilityUnderAnotherName) {
  Mount([](ExportSpec& spec) {
    spec.set_xattr(true);
    ExportSpec::XattrRule& rule = *spec.add_xattr_rules();
    rule.set_type(ExportSpec::XattrRule::MAP);
    rule.set_prepend("user.vm.");
  });
  const GuestFile file = guest_->Create("file");
  auto& fuse = guest_->fuse();
  EXPECT_EQ(Error(fuse.SetXattr(file.node, "security.capability", "any")), 0);
  EXPECT_EQ(Error(fuse.Write(file.node, file.handle, 0, "x")), 0);
  EXPECT_EQ(Error(fuse.GetXattr(file.node, "security.capability", 100)), ENODATA);
}

TEST_F(JailedExtensionsTest, AclsAndAnothersGroup) {
  Mount([](ExportSpec& spec) {
    spec.set_xattr(true);
    spec.set_posix_acl(ExportSpec::USE_AUTO);
    spec.set_security_label(ExportSpec::USE_AUTO);  // with it, extensions may follow the names
  });
  ASSERT_EQ(::chown(guest_->host_path("").c_str(), 0, 777), 0);
  ASSERT_EQ(::chmod(guest_->host_path("").c_str(), 02777), 0);
  guest_->fuse().set_caller(1234, 4321, 99);
  const uint32_t group[] = {16, 32, 1, 777};  // size, FUSE_EXT_GROUPS, how many, which
  const std::string_view extension(reinterpret_cast<const char*>(group), sizeof group);
  const fuse_create_in create = {.flags = O_RDWR, .mode = S_IFREG | 02775, .umask = 002};

  EXPECT_EQ(guest_->Call(FUSE_CREATE, FUSE_ROOT_ID, create, {"member"}, extension).error, 0);
  EXPECT_EQ(guest_->Call(FUSE_CREATE, FUSE_ROOT_ID, create, {"stranger"}).error, 0);

  EXPECT_EQ(guest_->HostStat("member").st_mode & 07777, 02775u);
  EXPECT_EQ(guest_->HostStat("stranger").st_mode & 07777, 0775u);
}

TEST_F(JailedExtensionsTest, RangesAndWholeFileSystems) {
  Mount([](ExportSpec&) {});
  const GuestFile from = guest_->Create("from");
  const GuestFile to = guest_->Create("to");
  auto& fuse = guest_->fuse();
  EXPECT_EQ(Error(fuse.Write(from.node, from.handle, 0, "text")), 0);
  EXPECT_EQ(Error(fuse.CopyRange({from.node, from.handle, 0}, {to.node, to.handle, 0}, 4)), 0);
  EXPECT_EQ(guest_->HostStat("to").st_size, 4);
  EXPECT_EQ(Error(fuse.SyncFilesystem(FUSE_ROOT_ID)), 0);
}

TEST_F(JailedExtensionsTest, Ioctls) {
  Mount([](ExportSpec&) {});
  const GuestFile file = guest_->Create("file");
  auto& fuse = guest_->fuse();
  const auto flags = fuse.Ioctl(file.node, file.handle, FS_IOC_GETFLAGS, {}, 4);
  ASSERT_EQ(Error(flags), 0);
  const auto value = std::span(flags->body).subspan(sizeof(fuse_ioctl_out));
  EXPECT_EQ(Error(fuse.Ioctl(file.node, file.handle, FS_IOC_SETFLAGS, value, 0)), 0);
  const auto extended = fuse.Ioctl(file.node, file.handle, FS_IOC_FSGETXATTR, {}, sizeof(fsxattr));
  ASSERT_EQ(Error(extended), 0);
  EXPECT_EQ(Error(fuse.Ioctl(file.node, file.handle, FS_IOC_FSSETXATTR,
                             std::span(extended->body).subspan(sizeof(fuse_ioctl_out)), 0)),
            0);
  EXPECT_EQ(Error(fuse.Ioctl(file.node, file.handle, FIONREAD, {}, 4)), ENOTTY);
}

TEST_F(JailedExtensionsTest, AnAddedCapabilityIsTheGuests) {
  Mount([](ExportSpec& spec) {
    spec.set_xattr(true);
    spec.add_add_capabilities("CAP_LINUX_IMMUTABLE");
    spec.add_add_capabilities("CAP_SYS_ADMIN");
  });
  const GuestFile file = guest_->Create("file");
  auto& fuse = guest_->fuse();
  const auto set_flags = [&](int flags) {
    const auto* const bytes = reinterpret_cast<const std::byte*>(&flags);
    return Error(fuse.Ioctl(file.node, file.handle, FS_IOC_SETFLAGS, {bytes, sizeof flags}, 0));
  };
  EXPECT_EQ(Error(fuse.SetXattr(file.node, "trusted.a", "value")), 0);
  EXPECT_EQ(set_flags(FS_IMMUTABLE_FL), 0);
  EXPECT_NE(::unlink(guest_->host_path("file").c_str()), 0);
  EXPECT_EQ(set_flags(0), 0);
  EXPECT_EQ(::unlink(guest_->host_path("file").c_str()), 0);
}

TEST_F(JailedExtensionsTest, WithoutThemAGuestMakesNothingImmutableAndTrustsNobody) {
  Mount([](ExportSpec& spec) { spec.set_xattr(true); });
  const GuestFile file = guest_->Create("file");
  auto& fuse = guest_->fuse();
  const int flags = FS_IMMUTABLE_FL;
  const auto* const bytes = reinterpret_cast<const std::byte*>(&flags);
  EXPECT_EQ(Error(fuse.Ioctl(file.node, file.handle, FS_IOC_SETFLAGS, {bytes, sizeof flags}, 0)),
            EPERM);
  EXPECT_EQ(Error(fuse.SetXattr(file.node, "trusted.a", "value")), EPERM);
}

TEST_F(JailedExtensionsTest, ADroppedCapabilityIsEperm) {
  Mount([](ExportSpec& spec) { spec.add_drop_capabilities("CAP_MKNOD"); });
  const fuse_mknod_in device{.mode = S_IFCHR | 0600, .rdev = 0x103};
  EXPECT_EQ(guest_->Call(FUSE_MKNOD, FUSE_ROOT_ID, device, {"null"}).error, EPERM);
  const fuse_mknod_in fifo{.mode = S_IFIFO | 0600};
  EXPECT_EQ(guest_->Call(FUSE_MKNOD, FUSE_ROOT_ID, fifo, {"fifo"}).error, 0);
}

TEST_F(JailedExtensionsTest, AReadOnlyExportReadsWhatItsUserMayNot) {
  std::filesystem::create_directories(supervisor_->share("web") + "/private");
  std::ofstream(supervisor_->share("web") + "/private/file") << "text";
  ASSERT_EQ(::chown((supervisor_->share("web") + "/private/file").c_str(), 1234, 1234), 0);
  ASSERT_EQ(::chmod((supervisor_->share("web") + "/private/file").c_str(), 0), 0);
  ASSERT_EQ(::chmod((supervisor_->share("web") + "/private").c_str(), 0), 0);
  Mount([](ExportSpec& spec) {
    spec.set_read_only(true);
    spec.set_xattr(true);
    spec.set_preserve_noatime(true);
  });
  auto& fuse = guest_->fuse();
  const uint64_t directory = guest_->NodeOf("private");
  const uint64_t node = (*fuse.Lookup(directory, "file")).As<fuse_entry_out>().nodeid;
  const auto open = fuse.Open(node, O_RDONLY | O_NOATIME);
  ASSERT_EQ(Error(open), 0);
  const uint64_t handle = open->As<fuse_open_out>().fh;
  EXPECT_EQ(Error(fuse.Read(node, handle, 0, 100)), 0);
  EXPECT_EQ(Error(fuse.Open(node, O_RDWR)), EROFS);
  EXPECT_EQ(Error(fuse.GetXattr(node, "user.a", 100)), ENODATA);
  EXPECT_EQ(Error(fuse.ListXattr(node, 100)), 0);
  EXPECT_EQ(Error(fuse.SetXattr(node, "user.a", "b")), EROFS);
  EXPECT_EQ(Error(fuse.OpenDirectory(directory)), 0);
  EXPECT_EQ(Error(fuse.Fsync(node, handle)), 0);
  fuse.set_caller(1234, 4321, 99);
  EXPECT_EQ(guest_->Call(FUSE_ACCESS, node, fuse_access_in{.mask = R_OK}).error, ENOSYS);
}

TEST_F(JailedExtensionsTest, TemporaryFilesAndWhiteouts) {
  Mount([](ExportSpec&) {});
  const FuseReply made = *guest_->fuse().CreateTemporary(FUSE_ROOT_ID, 0600, O_RDWR);
  ASSERT_EQ(made.error, 0);
  const fuse_link_in link = {.oldnodeid = made.As<fuse_entry_out>().nodeid};
  EXPECT_EQ(guest_->Call(FUSE_LINK, FUSE_ROOT_ID, link, {"name"}).error, 0);
  const fuse_rename2_in rename = {.newdir = FUSE_ROOT_ID, .flags = RENAME_WHITEOUT, .padding = 0};
  EXPECT_EQ(guest_->Call(FUSE_RENAME2, FUSE_ROOT_ID, rename, {"name", "new"}).error, 0);
  EXPECT_TRUE(S_ISCHR(guest_->HostStat("name").st_mode));
  EXPECT_TRUE(S_ISREG(guest_->HostStat("new").st_mode));
}

TEST_F(JailedExtensionsTest, OpenFlags) {
  Mount([](ExportSpec& spec) {
    spec.set_direct_io(true);
    spec.set_preserve_noatime(true);
    spec.set_writeback(true);
  });
  const uint32_t flags = O_WRONLY | O_DIRECT | O_NOATIME;
  const GuestFile file = guest_->Create("file", 0644, flags);
  EXPECT_EQ(Error(guest_->fuse().Write(file.node, file.handle, 0, "not aligned")), 0);
  EXPECT_EQ(Error(guest_->fuse().Open(file.node, flags)), 0);
  EXPECT_EQ(guest_->HostStat("file").st_size, 11);
}

TEST_F(JailedExtensionsTest, DirectReads) {
  Mount([](ExportSpec& spec) { spec.set_direct_io(true); });
  const GuestFile file = guest_->Create("file", 0644, O_RDWR | O_DIRECT);
  auto& fuse = guest_->fuse();
  ASSERT_EQ(Error(fuse.Write(file.node, file.handle, 0, std::string(8192, 'd') + "end")), 0);
  EXPECT_NE(guest_->HostOpenFlags("file") & O_DIRECT, 0u);
  const auto text = [&](uint64_t offset, uint32_t size) {
    const auto reply = fuse.Read(file.node, file.handle, offset, size);
    EXPECT_EQ(Error(reply), 0);
    return reply.ok()
               ? std::string(reinterpret_cast<const char*>(reply->body.data()), reply->body.size())
               : "";
  };
  EXPECT_EQ(text(4096, 4096), std::string(4096, 'd'));
  EXPECT_EQ(text(8192, 4096), "end");
  EXPECT_EQ(text(8191, 3), "den") << "not aligned";
}

TEST_F(JailedExtensionsTest, ZeroMessageOpen) {
  Mount([](ExportSpec& spec) {
    spec.set_cache(ExportSpec::CACHE_ALWAYS);
    spec.set_zero_message_open(true);
  });
  const uint64_t node = guest_->Create("file").node;
  auto& fuse = guest_->fuse();
  EXPECT_EQ(Error(fuse.Write(node, 0, 0, "text")), 0);
  EXPECT_EQ(Error(fuse.Read(node, 0, 0, 100)), 0);
  EXPECT_EQ(Error(fuse.Fsync(node, 0)), 0);
  EXPECT_EQ(Error(fuse.ReadDirectoryPlus(FUSE_ROOT_ID, 0, 0, 4096)), 0);
}

}  // namespace
}  // namespace fsd
