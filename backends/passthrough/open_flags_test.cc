// What becomes of the guest's open flags: O_DIRECT, O_NOATIME, O_APPEND, O_WRONLY with write-back.
// As root, outside Bazel's sandbox: /tmp is a file system with O_DIRECT and inode flags.
#include <fcntl.h>
#include <linux/fs.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <memory>
#include <string>
#include <thread>

#include "backends/passthrough/caller_credentials.h"
#include "backends/passthrough/guest_open.h"
#include "backends/passthrough/passthrough_fixture.h"
#include "gtest/gtest.h"

namespace fsd::passthrough {
namespace {

using backends::Caller;

constexpr size_t kBlock = 4096;
constexpr uint32_t kDirect = O_DIRECT;
constexpr Caller kUser{.uid = 1234, .gid = 2345, .pid = 1};

// How many of this process's descriptors on `path` have all of `flags`.
int FdsWith(const std::string& path, int flags) {
  int count = 0;
  for (const auto& entry : std::filesystem::directory_iterator("/proc/self/fd")) {
    std::error_code error;
    if (std::filesystem::read_symlink(entry, error) != std::filesystem::path(path)) continue;
    const int has = ::fcntl(std::stoi(entry.path().filename()), F_GETFL);
    if ((has & O_PATH) == 0 && (has & flags) == flags) ++count;
  }
  return count;
}

class OpenFlagsTest : public PassthroughFixture {
 protected:
  struct Buffer {
    Buffer() : bytes(static_cast<char*>(std::aligned_alloc(kBlock, 2 * kBlock))) {
      std::memset(bytes, 'b', 2 * kBlock);
    }
    ~Buffer() { std::free(bytes); }
    char* bytes;
  };

  NodeId MakeHost(const std::string& name, const std::string& contents) {
    WriteHost(Host(name), contents);
    return Must(fs->Lookup(kRoot, name)).node;
  }
  size_t Read(NodeId node, FileHandle handle, uint64_t offset, char* bytes, size_t size) {
    const iovec vector{bytes, size};
    return Must(fs->Await<size_t>([&](auto call) {
      return filesystem_->Read(call, node, handle, offset, {&vector, 1});
    }));
  }
  size_t Write(NodeId node, FileHandle handle, uint64_t offset, char* bytes, size_t size) {
    const iovec vector{bytes, size};
    return Must(fs->Await<size_t>([&](auto call) {
      return filesystem_->Write(call, node, handle, offset, {&vector, 1}, {});
    }));
  }

  Buffer buffer_;
};

// --- O_DIRECT ---

TEST_F(OpenFlagsTest, WithoutTheOptionODirectIsTheGuestsOwnBusiness) {
  const NodeId file = MakeHost("file", "text");
  const FileHandle handle = Must(fs->Open(file, O_RDWR | kDirect));
  EXPECT_EQ(FdsWith(Host("file"), O_DIRECT), 0);
  EXPECT_EQ(Must(fs->Read(file, handle, 0, 10)), "text");
}

TEST_F(OpenFlagsTest, AFileOpenedDirectIsSoOnTheHostAndClosedWhole) {
  ServeWith({.open_policy = {.direct_io = true}});
  const NodeId file = MakeHost("file", "text");
  const int fds = OpenFdCount();
  const FileHandle handle = Must(fs->Open(file, O_RDWR | kDirect));
  EXPECT_EQ(FdsWith(Host("file"), O_DIRECT), 1);
  EXPECT_EQ(OpenFdCount(), fds + 2);
  EXPECT_SUCCESS(fs->Release(file, handle));
  EXPECT_EQ(OpenFdCount(), fds);
  Must(fs->Open(file, O_RDWR));
  EXPECT_EQ(FdsWith(Host("file"), O_DIRECT), 0);
  const auto created = Must(fs->Create(kRoot, "new", O_RDWR | kDirect));
  EXPECT_EQ(FdsWith(Host("new"), O_DIRECT), 1);
  EXPECT_EQ(Must(fs->Write(created.entry.node, created.handle, 0, "x")), 1u);
}

TEST_F(OpenFlagsTest, TransfersThatAreNotAlignedGoThroughThePageCache) {
  ServeWith({.open_policy = {.direct_io = true}});
  const NodeId file = MakeHost("file", std::string(kBlock, 'a') + "tail");
  const FileHandle handle = Must(fs->Open(file, O_RDWR | kDirect));
  EXPECT_EQ(Read(file, handle, 0, buffer_.bytes, 2 * kBlock), kBlock + 4);
  EXPECT_EQ(std::string(buffer_.bytes + kBlock - 1, 5), "atail");
  EXPECT_EQ(Read(file, handle, kBlock - 1, buffer_.bytes + 1, 3), 3u);
  EXPECT_EQ(std::string(buffer_.bytes + 1, 3), "ata");
  EXPECT_EQ(Write(file, handle, 1, buffer_.bytes + 1, 3), 3u);
  std::memset(buffer_.bytes, 'c', kBlock);
  EXPECT_EQ(Write(file, handle, kBlock, buffer_.bytes, kBlock), kBlock);
  EXPECT_EQ(ReadHost(Host("file")),
            "aata" + std::string(kBlock - 4, 'a') + std::string(kBlock, 'c'));
}

TEST_F(OpenFlagsTest, OpeningDirectTruncatesToo) {
  ServeWith({.open_policy = {.direct_io = true}});
  const NodeId file = MakeHost("file", "text");
  Must(fs->Open(file, O_WRONLY | O_TRUNC | kDirect));
  EXPECT_EQ(ReadHost(Host("file")), "");
}

TEST_F(OpenFlagsTest, AFileSystemWithoutODirectSaysSoAndTruncatesNothing) {
  ASSERT_EQ(::unshare(CLONE_NEWNS), 0);
  ASSERT_EQ(::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr), 0);
  ASSERT_EQ(::mount("proc", Host("").c_str(), "proc", 0, nullptr), 0);
  ServeWith({.open_policy = {.direct_io = true}});
  const NodeId file = Must(fs->Lookup(kRoot, "version")).node;
  EXPECT_ERRNO(fs->Open(file, O_RDONLY | kDirect), EINVAL);
  EXPECT_SUCCESS(fs->Open(file, O_RDONLY));
  EXPECT_EQ(::umount2(Host("").c_str(), MNT_DETACH), 0);
}

TEST_F(OpenFlagsTest, WhatIsNoFileIsNotOpenedDirectEither) {
  ServeWith({.open_policy = {.direct_io = true}});
  ASSERT_EQ(::mkfifo(Host("fifo").c_str(), 0600), 0);
  ASSERT_EQ(::symlink("fifo", Host("link").c_str()), 0);
  EXPECT_ERRNO(fs->Open(Must(fs->Lookup(kRoot, "fifo")).node, O_RDWR | kDirect), ENXIO);
  EXPECT_ERRNO(fs->Open(Must(fs->Lookup(kRoot, "link")).node, O_RDWR | kDirect), ELOOP);
}

// --- write-back ---

TEST_F(OpenFlagsTest, WithWritebackAFileOpenedForWritingCanBeRead) {
  const NodeId file = MakeHost("file", "text");
  EXPECT_ERRNO(fs->Read(file, Must(fs->Open(file, O_WRONLY)), 0, 4), EBADF);
  ServeWith({.open_policy = {.writeback = true}});
  const NodeId again = Must(fs->Lookup(kRoot, "file")).node;
  EXPECT_EQ(Must(fs->Read(again, Must(fs->Open(again, O_WRONLY)), 0, 4)), "text");
  const auto created = Must(fs->Create(kRoot, "new", O_WRONLY));
  EXPECT_EQ(Must(fs->Read(created.entry.node, created.handle, 0, 4)), "");
  EXPECT_ERRNO(fs->Write(again, Must(fs->Open(again, O_RDONLY)), 0, "x"), EBADF);
}

TEST_F(OpenFlagsTest, WritebackTakesNothingFromWhoeverMayOnlyWrite) {
  ServeWith({.open_policy = {.writeback = true}});
  WriteHost(Host("file"), "text");
  ASSERT_EQ(::chmod(Host("file").c_str(), 0602), 0);
  fs->set_caller(kUser);
  const auto opened = Must(fs->Create(kRoot, "file", O_WRONLY));
  EXPECT_EQ(Must(fs->Write(opened.entry.node, opened.handle, 0, "T")), 1u);
  EXPECT_ERRNO(fs->Read(opened.entry.node, opened.handle, 0, 4), EBADF);
  EXPECT_ERRNO(fs->Create(kRoot, "file", O_RDWR), EACCES);
}

// --- O_APPEND ---

TEST_F(OpenFlagsTest, WhatIsNotAppendOnlyIsOpenedWithoutOAppend) {
  const NodeId file = MakeHost("file", "text");
  Must(fs->Open(file, O_WRONLY | O_APPEND));
  EXPECT_EQ(FdsWith(Host("file"), O_APPEND), 0);
}

TEST_F(OpenFlagsTest, AnAppendOnlyFileIsAppendedToAndNothingElse) {
  ServeWith({.open_policy = {.direct_io = true}});
  const NodeId file = MakeHost("file", "text");
  SetHostFlag("file", FS_APPEND_FL, true);
  const auto open = [&](uint32_t flags) { return fs->Open(file, flags); };
  const ErrnoOr<FileHandle> refused[] = {open(O_WRONLY), open(O_RDWR),
                                         open(O_WRONLY | O_APPEND | O_TRUNC)};
  const ErrnoOr<FileHandle> opened = open(O_RDWR | O_APPEND);
  const ErrnoOr<FileHandle> direct = open(O_WRONLY | O_APPEND | kDirect);
  const auto existing = fs->Create(kRoot, "file", O_WRONLY | O_APPEND);
  SetHostFlag("file", FS_APPEND_FL, false);
  for (const ErrnoOr<FileHandle>& open : refused) EXPECT_ERRNO(open, EPERM);
  EXPECT_EQ(Must(fs->Write(file, Must(opened), 0, "ure")), 3u);
  EXPECT_EQ(Must(fs->Write(file, Must(direct), 0, "!", {.append = true})), 1u);
  EXPECT_EQ(Must(fs->Write(file, Must(existing).handle, 0, "?")), 1u);
  EXPECT_EQ(ReadHost(Host("file")), "texture!?");
}

// With O_APPEND the host would put a page of the guest's at the end.
TEST_F(OpenFlagsTest, AWriteWithAPlaceIsRefusedAsLongAsTheFileIsAppendOnly) {
  ServeWith({.open_policy = {.direct_io = true}});
  const NodeId file = MakeHost("file", "text");
  SetHostFlag("file", FS_APPEND_FL, true);
  const FileHandle handle = Must(fs->Open(file, O_RDWR | O_APPEND | kDirect));
  const auto page = fs->Write(file, handle, 0, "T", {.writeback = true, .append = true});
  const auto cleared = fs->Write(file, handle, 1, "E", {.append = false});
  SetHostFlag("file", FS_APPEND_FL, false);
  EXPECT_ERRNO(page, EPERM);
  EXPECT_ERRNO(cleared, EPERM);
  EXPECT_EQ(ReadHost(Host("file")), "text");
  EXPECT_SUCCESS(fs->Write(file, handle, 0, "T", {.writeback = true, .append = true}));
  EXPECT_SUCCESS(fs->Write(file, handle, 1, "E", {.append = false}));
  EXPECT_EQ(ReadHost(Host("file")), "TExt");
}

TEST_F(OpenFlagsTest, AnAppendOnlyFileIsLocked) {
  ServeWith({.shared_locks = true});
  const NodeId file = MakeHost("file", "text");
  SetHostFlag("file", FS_APPEND_FL, true);
  const ErrnoOr<FileHandle> opened = fs->Open(file, O_WRONLY | O_APPEND);
  const auto locked = fs->SetLock(file, Must(opened), {.type = F_WRLCK}, {.owner = 1});
  SetHostFlag("file", FS_APPEND_FL, false);
  EXPECT_SUCCESS(locked);
}

// --- O_NOATIME ---

TEST_F(OpenFlagsTest, NoatimeIsKeptOnlyWithItsOption) {
  const NodeId file = MakeHost("file", "text");
  Must(fs->Open(file, O_RDONLY | O_NOATIME));
  EXPECT_EQ(FdsWith(Host("file"), O_NOATIME), 0);
  ServeWith({.open_policy = {.preserve_noatime = true}});
  const NodeId again = Must(fs->Lookup(kRoot, "file")).node;
  Must(fs->Open(again, O_RDONLY | O_NOATIME));
  EXPECT_EQ(FdsWith(Host("file"), O_NOATIME), 1);
  Must(fs->Open(again, O_RDONLY));
  EXPECT_EQ(FdsWith(Host("file"), O_NOATIME), 1);
  Must(fs->Create(kRoot, "new", O_RDWR | O_NOATIME));
  EXPECT_EQ(FdsWith(Host("new"), O_NOATIME), 1);
}

TEST_F(OpenFlagsTest, OfADirectoryToo) {
  const auto open = [&](uint32_t flags) {
    return fs->Await<backends::OpenFile>(
        [&](auto call) { return filesystem_->OpenDirectory(call, kRoot, flags); });
  };
  const std::string path = Host("").substr(0, Host("").size() - 1);
  Must(open(O_NOATIME));
  EXPECT_EQ(FdsWith(path, O_NOATIME), 0);
  ServeWith({.open_policy = {.preserve_noatime = true}});
  Must(open(0));
  EXPECT_EQ(FdsWith(path, O_NOATIME), 0);
  Must(open(O_NOATIME));
  EXPECT_EQ(FdsWith(path, O_NOATIME), 1);

  // Without the right to it.
  ASSERT_EQ(::chown(path.c_str(), kUser.uid, kUser.gid), 0);
  std::thread([&] {
    ThreadCapabilities capabilities = ThreadCapabilities::Get();
    capabilities.DropEffective(CAP_FOWNER);
    capabilities.Set();
    EXPECT_SUCCESS(open(O_NOATIME));
  }).join();
  EXPECT_EQ(FdsWith(path, O_NOATIME), 1);
}

TEST_F(OpenFlagsTest, WhereNoatimeIsNotAllowedTheOpenSucceedsWithout) {
  ServeWith({.open_policy = {.preserve_noatime = true}});
  WriteHost(Host("file"), "text");
  ASSERT_EQ(::chmod(Host("file").c_str(), 0644), 0);
  fs->set_caller(kUser);
  Must(fs->Create(kRoot, "file", O_RDONLY | O_NOATIME));
  EXPECT_EQ(FdsWith(Host("file"), O_NOATIME), 0);
}

}  // namespace
}  // namespace fsd::passthrough
