// Every operation once, in a real worker behind its jail and its seccomp list: a system call that
// the list lacks would end the worker here, not at a user's.
#include <fcntl.h>
#include <linux/falloc.h>
#include <linux/fs.h>
#include <linux/fuse.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstring>
#include <filesystem>
#include <initializer_list>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "gtest/gtest.h"
#include "tests/harness/front_end.h"
#include "tests/harness/fuse_client.h"
#include "tests/harness/running_supervisor.h"

namespace fsd {
namespace {

using harness::FuseReply;

template <typename T>
std::span<const std::byte> Bytes(const T& value) {
  return std::as_bytes(std::span(&value, 1));
}

class JailedOperationsTest : public ::testing::Test {
 protected:
  void SetUp() override {
    auto started = harness::RunningSupervisor::Start(
        std::filesystem::canonical("server/exe/fsd-worker").string());
    ASSERT_TRUE(started.ok()) << started.status();
    supervisor_ = *std::move(started);
    const auto made = supervisor_->Create("web");
    ASSERT_TRUE(made.ok()) << made.status();
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
    EXPECT_EQ(view->restarts, 0u) << "the worker died";
  }

  // The reply of a request whose arguments are a struct and names; EIO if the worker is gone.
  template <typename T>
  FuseReply Call(uint32_t opcode, uint64_t node, const T& body,
                 std::initializer_list<std::string_view> names = {}, size_t room = 4096) {
    return Answer(fuse_->Call(opcode, node, harness::Arguments(Bytes(body), names), room));
  }
  FuseReply Call(uint32_t opcode, uint64_t node, std::initializer_list<std::string_view> names) {
    return Answer(fuse_->Call(opcode, node, harness::Arguments({}, names), 4096));
  }
  FuseReply Answer(absl::StatusOr<FuseReply> reply) {
    EXPECT_TRUE(reply.ok()) << reply.status();
    return reply.ok() ? *std::move(reply) : FuseReply{.error = EIO, .body = {}};
  }

  struct File {
    uint64_t node = 0;
    uint64_t handle = 0;
  };
  File Create(std::string_view name, uint32_t mode = 0644) {
    const FuseReply reply = Answer(fuse_->Create(FUSE_ROOT_ID, name, mode, O_RDWR));
    EXPECT_EQ(reply.error, 0);
    if (reply.error != 0) return {};
    fuse_open_out open;
    std::memcpy(&open, reply.body.data() + sizeof(fuse_entry_out), sizeof open);
    return {.node = reply.As<fuse_entry_out>().nodeid, .handle = open.fh};
  }
  struct stat HostStat(const std::string& name) {
    struct stat info {};
    EXPECT_EQ(::lstat((supervisor_->share("web") + "/" + name).c_str(), &info), 0) << name;
    return info;
  }

  std::unique_ptr<harness::RunningSupervisor> supervisor_;
  std::unique_ptr<harness::FrontEnd> front_end_;
  std::unique_ptr<harness::FuseClient> fuse_;
};

TEST_F(JailedOperationsTest, Names) {
  const File file = Create("file");
  EXPECT_EQ(Call(FUSE_MKDIR, 1, fuse_mkdir_in{.mode = 0755, .umask = 022}, {"d"}).error, 0);
  EXPECT_EQ(Call(FUSE_MKNOD, 1, fuse_mknod_in{.mode = S_IFIFO | 0600}, {"fifo"}).error, 0);
  EXPECT_EQ(Call(FUSE_MKNOD, 1, fuse_mknod_in{.mode = S_IFREG | 0600}, {"node"}).error, 0);
  EXPECT_EQ(
      Call(FUSE_MKNOD, 1, fuse_mknod_in{.mode = S_IFCHR | 0600, .rdev = 0x103}, {"null"}).error, 0);
  const FuseReply link = Call(FUSE_SYMLINK, 1, {"link", "target"});
  EXPECT_EQ(link.error, 0);
  const FuseReply target = Call(FUSE_READLINK, link.As<fuse_entry_out>().nodeid, {});
  EXPECT_EQ(std::string(reinterpret_cast<const char*>(target.body.data()), target.body.size()),
            "target");
  EXPECT_EQ(Call(FUSE_LINK, 1, fuse_link_in{.oldnodeid = file.node}, {"hard"}).error, 0);
  EXPECT_EQ(Call(FUSE_RENAME, 1, fuse_rename_in{.newdir = 1}, {"hard", "moved"}).error, 0);
  EXPECT_EQ(Call(FUSE_RENAME2, 1, fuse_rename2_in{.newdir = 1, .flags = RENAME_EXCHANGE},
                 {"moved", "node"})
                .error,
            0);
  EXPECT_EQ(Call(FUSE_RENAME2, 1, fuse_rename2_in{.newdir = 1, .flags = RENAME_NOREPLACE},
                 {"moved", "node"})
                .error,
            EEXIST);
  EXPECT_EQ(HostStat("node").st_nlink, 2u);
  EXPECT_TRUE(S_ISCHR(HostStat("null").st_mode));
  EXPECT_EQ(Call(FUSE_UNLINK, 1, {"fifo"}).error, 0);
  EXPECT_EQ(Call(FUSE_RMDIR, 1, {"d"}).error, 0);
  EXPECT_EQ(Answer(fuse_->Lookup(1, "absent")).error, ENOENT);
}

TEST_F(JailedOperationsTest, Attributes) {
  const File file = Create("file");
  const FuseReply link = Call(FUSE_SYMLINK, 1, {"link", "file"});
  const auto set = [&](uint64_t node, fuse_setattr_in in) {
    return Call(FUSE_SETATTR, node, in).error;
  };
  EXPECT_EQ(set(file.node, {.valid = FATTR_MODE, .mode = S_IFREG | 0604}), 0);
  EXPECT_EQ(set(file.node, {.valid = FATTR_UID | FATTR_GID, .uid = 7, .gid = 8}), 0);
  EXPECT_EQ(set(file.node, {.valid = FATTR_SIZE, .size = 100}), 0);
  EXPECT_EQ(set(file.node, {.valid = FATTR_SIZE | FATTR_FH, .fh = file.handle, .size = 200}), 0);
  EXPECT_EQ(set(file.node, {.valid = FATTR_SIZE | FATTR_KILL_SUIDGID, .size = 300}), 0);
  EXPECT_EQ(set(file.node, {.valid = FATTR_MTIME | FATTR_ATIME_NOW | FATTR_ATIME, .mtime = 77}), 0);
  EXPECT_EQ(set(link.As<fuse_entry_out>().nodeid, {.valid = FATTR_MTIME, .mtime = 5}), 0);
  EXPECT_EQ(set(link.As<fuse_entry_out>().nodeid, {.valid = FATTR_UID, .uid = 9}), 0);
  const struct stat info = HostStat("file");
  EXPECT_EQ(info.st_mode & 07777, 0604u);
  EXPECT_EQ(info.st_uid, 7u);
  EXPECT_EQ(info.st_gid, 8u);
  EXPECT_EQ(info.st_size, 300);
  EXPECT_EQ(info.st_mtim.tv_sec, 77);
  EXPECT_EQ(HostStat("link").st_mtim.tv_sec, 5);
  EXPECT_EQ(HostStat("link").st_uid, 9u);
  EXPECT_EQ(Call(FUSE_GETATTR, file.node,
                 fuse_getattr_in{.getattr_flags = FUSE_GETATTR_FH, .fh = file.handle})
                .error,
            0);
  EXPECT_EQ(Call(FUSE_ACCESS, file.node, fuse_access_in{.mask = R_OK}).error, 0);
  EXPECT_EQ(Answer(fuse_->Statistics()).error, 0);
}

TEST_F(JailedOperationsTest, Files) {
  const File file = Create("file", 04755);
  EXPECT_EQ(Answer(fuse_->Write(file.node, file.handle, 0, std::string(10000, 'x'))).error, 0);
  fuse_write_in write{};
  write.fh = file.handle;
  write.size = 1;
  write.write_flags = FUSE_WRITE_KILL_SUIDGID;
  EXPECT_EQ(Call(FUSE_WRITE, file.node, write, {""}).error, 0);
  EXPECT_EQ(HostStat("file").st_mode & 07777, 0755u);
  EXPECT_EQ(Answer(fuse_->Read(file.node, file.handle, 0, 4096)).body.size(), 4096u);
  EXPECT_EQ(
      Call(FUSE_FALLOCATE, file.node, fuse_fallocate_in{.fh = file.handle, .length = 20000}).error,
      0);
  EXPECT_EQ(Call(FUSE_FALLOCATE, file.node,
                 fuse_fallocate_in{.fh = file.handle,
                                   .offset = 4096,
                                   .length = 4096,
                                   .mode = FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE})
                .error,
            0);
  EXPECT_EQ(Call(FUSE_LSEEK, file.node,
                 fuse_lseek_in{.fh = file.handle, .offset = 0, .whence = SEEK_HOLE})
                .error,
            0);
  EXPECT_EQ(Answer(fuse_->Fsync(file.node, file.handle)).error, 0);
  EXPECT_EQ(Call(FUSE_FSYNC, file.node, fuse_fsync_in{.fh = file.handle, .fsync_flags = 1}).error,
            0);
  EXPECT_EQ(Call(FUSE_FLUSH, file.node, fuse_flush_in{.fh = file.handle}).error, 0);
  EXPECT_EQ(Answer(fuse_->Release(file.node, file.handle)).error, 0);
  EXPECT_EQ(Call(FUSE_OPEN, file.node, fuse_open_in{.flags = O_WRONLY | O_TRUNC | O_APPEND}).error,
            0);
  EXPECT_EQ(HostStat("file").st_size, 0);
}

TEST_F(JailedOperationsTest, Directories) {
  for (int i = 0; i < 100; ++i) Create("file" + std::to_string(i));
  const uint64_t handle = Answer(fuse_->OpenDirectory(1)).As<fuse_open_out>().fh;
  EXPECT_GT(Answer(fuse_->ReadDirectoryPlus(1, handle, 0, 8192)).body.size(), 1000u);
  fuse_read_in read{};
  read.fh = handle;
  read.size = 4096;
  EXPECT_GT(Call(FUSE_READDIR, 1, read).body.size(), 1000u);
  EXPECT_EQ(Call(FUSE_FSYNCDIR, 1, fuse_fsync_in{.fh = handle}).error, 0);
  EXPECT_EQ(Call(FUSE_RELEASEDIR, 1, fuse_release_in{.fh = handle}).error, 0);
}

TEST_F(JailedOperationsTest, AnotherUsersFilesAreThatUsers) {
  ASSERT_EQ(::chmod(supervisor_->share("web").c_str(), 0777), 0);
  fuse_->set_caller(1234, 4321, 99);
  Create("mine");
  EXPECT_EQ(Call(FUSE_MKDIR, 1, fuse_mkdir_in{.mode = 0755}, {"d"}).error, 0);
  EXPECT_EQ(Call(FUSE_SYMLINK, 1, {"link", "mine"}).error, 0);
  for (const char* name : {"mine", "d", "link"}) {
    EXPECT_EQ(HostStat(name).st_uid, 1234u) << name;
    EXPECT_EQ(HostStat(name).st_gid, 4321u) << name;
  }
  fuse_->set_caller(0, 0, 99);
  Create("roots");
  EXPECT_EQ(HostStat("roots").st_uid, 0u);
}

TEST_F(JailedOperationsTest, TheEndOfTheSession) {
  Create("file");
  EXPECT_TRUE(fuse_->Forget(FUSE_ROOT_ID, 1).ok());
  EXPECT_EQ(Answer(fuse_->Destroy()).error, 0);
  EXPECT_NE(Answer(fuse_->GetAttributes(FUSE_ROOT_ID)).error, 0);
  EXPECT_TRUE(fuse_->Init().ok());
}

TEST_F(JailedOperationsTest, OpcodesThatAreNotServedAreSaidNotToBe) {
  for (uint32_t opcode = 40; opcode < 80; ++opcode) {
    if (opcode == FUSE_NOTIFY_REPLY || opcode == FUSE_BATCH_FORGET) continue;  // have no reply
    const FuseReply reply = Call(opcode, FUSE_ROOT_ID, fuse_read_in{});
    EXPECT_NE(reply.error, EIO) << opcode;
  }
}

}  // namespace
}  // namespace fsd
