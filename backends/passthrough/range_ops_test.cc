// Copies, ioctls and SYNCFS on real files.
#include <fcntl.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cstring>
#include <span>
#include <string>

#include "backends/passthrough/passthrough_fixture.h"
#include "gtest/gtest.h"
#include "server/os/unique_fd.h"

namespace {
int syncs = 0;
}  // namespace

// In place of libc's: nothing else shows that a file system was synced.
extern "C" int syncfs(int fd) noexcept {
  ++syncs;
  return static_cast<int>(::syscall(SYS_syncfs, fd));
}

namespace fsd::passthrough {
namespace {

using backends::FileRange;

class RangeOpsTest : public PassthroughFixture {
 protected:
  struct Opened {
    NodeId node{};
    FileHandle handle{};
  };
  Opened OpenHost(const std::string& name, const std::string& contents, uint32_t flags) {
    WriteHost(Host(name), contents);
    const NodeId node = Must(fs->Lookup(kRoot, name)).node;
    return {node, Must(fs->Open(node, flags))};
  }
  ErrnoOr<uint64_t> Copy(FileRange from, FileRange to, uint64_t length, uint32_t flags = 0) {
    return fs->Await<uint64_t>(
        [&](auto call) { return filesystem_->CopyRange(call, from, to, length, flags); });
  }
  ErrnoOr<size_t> Ioctl(Opened file, uint32_t command, std::span<const char> input,
                        std::span<char> output) {
    const iovec vector{output.data(), output.size()};
    return fs->Await<size_t>([&](auto call) {
      return filesystem_->Ioctl(call, file.node, file.handle, command, input, {&vector, 1});
    });
  }
  template <typename T>
  ErrnoOr<size_t> Get(Opened file, uint32_t command, T& value) {
    return Ioctl(file, command, {}, {reinterpret_cast<char*>(&value), sizeof(value)});
  }
  template <typename T>
  ErrnoOr<size_t> Set(Opened file, uint32_t command, const T& value) {
    return Ioctl(file, command, {reinterpret_cast<const char*>(&value), sizeof(value)}, {});
  }
  ErrnoOr<void> Sync(NodeId node) {
    return fs->Await<void>([&](auto call) { return filesystem_->SyncFilesystem(call, node); });
  }
  int HostFlags(const std::string& name) {
    const os::UniqueFd fd(::open(Host(name).c_str(), O_RDONLY | O_CLOEXEC));
    int flags = 0;
    EXPECT_EQ(::ioctl(fd.get(), FS_IOC_GETFLAGS, &flags), 0);
    return flags;
  }
};

// --- COPY_FILE_RANGE ---

TEST_F(RangeOpsTest, ARangeIsCopiedAsFarAsTheSourceGoes) {
  const Opened from = OpenHost("from", "0123456789", O_RDONLY);
  const Opened to = OpenHost("to", "abcdefghij", O_RDWR);
  EXPECT_EQ(Must(Copy({from.node, from.handle, 2}, {to.node, to.handle, 5}, 3)), 3u);
  EXPECT_EQ(ReadHost(Host("to")), "abcde234ij");
  EXPECT_EQ(Must(Copy({from.node, from.handle, 8}, {to.node, to.handle, 0}, UINT64_MAX)), 2u);
  EXPECT_EQ(ReadHost(Host("to")), "89cde234ij");
  EXPECT_EQ(Must(Copy({from.node, from.handle, 10}, {to.node, to.handle, 0}, 5)), 0u);
}

TEST_F(RangeOpsTest, CopiesThatCannotBeAreRefused) {
  const Opened from = OpenHost("from", "0123456789", O_RDONLY);
  const Opened to = OpenHost("to", "", O_RDWR);
  const FileRange source{from.node, from.handle, 0};
  const FileRange target{to.node, to.handle, 0};
  EXPECT_ERRNO(Copy(target, source, 1), EBADF);  // not open for writing
  EXPECT_ERRNO(Copy(source, target, 1, 1), EINVAL);
  EXPECT_ERRNO(Copy({from.node, from.handle, UINT64_MAX}, target, 1), EINVAL);
  EXPECT_ERRNO(Copy({from.node, to.handle, 0}, target, 1), EBADF);
  EXPECT_ERRNO(Copy({from.node, backends::kNoHandle, 0}, target, 1), EBADF);
  const Opened same = OpenHost("same", "0123", O_RDWR);
  EXPECT_ERRNO(Copy({same.node, same.handle, 0}, {same.node, same.handle, 1}, 3), EINVAL);
  ServeWith({.read_only = true});
  EXPECT_ERRNO(Copy(source, target, 1), EROFS);
}

// --- IOCTL ---

TEST_F(RangeOpsTest, FlagsAreSetAndGotAsFourBytesWhateverTheNumberSays) {
  const Opened file = OpenHost("file", "", O_RDONLY);
  int flags = 0;
  EXPECT_EQ(Must(Get(file, FS_IOC_GETFLAGS, flags)), sizeof(int));
  EXPECT_EQ(flags, HostFlags("file"));
  EXPECT_SUCCESS(Set(file, FS_IOC_SETFLAGS, flags | FS_NOATIME_FL));
  EXPECT_TRUE(HostFlags("file") & FS_NOATIME_FL);
  uint64_t wide = 0;
  EXPECT_EQ(Must(Get(file, FS_IOC_GETFLAGS, wide)), sizeof(int));
  EXPECT_EQ(static_cast<int>(wide), HostFlags("file"));
  wide = static_cast<uint32_t>(flags);
  EXPECT_SUCCESS(Set(file, FS_IOC_SETFLAGS, wide));
  EXPECT_FALSE(HostFlags("file") & FS_NOATIME_FL);
}

TEST_F(RangeOpsTest, ADirectoryHasFlagsToo) {
  const Opened root{kRoot, Must(fs->OpenDirectory(kRoot))};
  int flags = 0;
  EXPECT_SUCCESS(Get(root, FS_IOC_GETFLAGS, flags));
  EXPECT_SUCCESS(Set(root, FS_IOC_SETFLAGS, flags | FS_NODUMP_FL));
  EXPECT_TRUE(HostFlags("") & FS_NODUMP_FL);
}

TEST_F(RangeOpsTest, ExtendedFlagsAreSetAndGot) {
  const Opened file = OpenHost("file", "", O_RDONLY);
  fsxattr attributes{};
  EXPECT_EQ(Must(Get(file, FS_IOC_FSGETXATTR, attributes)), sizeof(attributes));
  attributes.fsx_xflags |= FS_XFLAG_NODUMP;
  EXPECT_SUCCESS(Set(file, FS_IOC_FSSETXATTR, attributes));
  EXPECT_TRUE(HostFlags("file") & FS_NODUMP_FL);
}

TEST_F(RangeOpsTest, ArgumentsOfAnotherSizeAreRefused) {
  const Opened file = OpenHost("file", "", O_RDONLY);
  char bytes[64] = {};
  EXPECT_ERRNO(Ioctl(file, FS_IOC_GETFLAGS, {}, {bytes, 3}), EINVAL);
  EXPECT_ERRNO(Ioctl(file, FS_IOC_GETFLAGS, {bytes, 4}, {bytes, 4}), EINVAL);
  EXPECT_ERRNO(Ioctl(file, FS_IOC_SETFLAGS, {bytes, 3}, {}), EINVAL);
  EXPECT_ERRNO(Ioctl(file, FS_IOC_SETFLAGS, {bytes, 5}, {}), EINVAL);
  EXPECT_ERRNO(Ioctl(file, FS_IOC_FSGETXATTR, {}, {bytes, 27}), EINVAL);
  EXPECT_ERRNO(Ioctl(file, FS_IOC_FSSETXATTR, {bytes, 29}, {}), EINVAL);
}

TEST_F(RangeOpsTest, AnyOtherIoctlIsEnotty) {
  const Opened file = OpenHost("file", "", O_RDWR);
  char bytes[64] = {};
  for (const uint32_t command : {uint32_t{FICLONE}, uint32_t{FS_IOC_GETVERSION}, uint32_t{FIFREEZE},
                                 uint32_t{FITRIM}, uint32_t{FIONREAD}, uint32_t{0}}) {
    EXPECT_ERRNO(Ioctl(file, command, {bytes, 8}, bytes), ENOTTY);
  }
}

TEST_F(RangeOpsTest, AReadOnlySharesFlagsAreOnlyRead) {
  WriteHost(Host("file"), "");
  ServeWith({.read_only = true});
  const NodeId node = Must(fs->Lookup(kRoot, "file")).node;
  const Opened file{node, Must(fs->Open(node, O_RDONLY))};
  int flags = 0;
  fsxattr attributes{};
  EXPECT_SUCCESS(Get(file, FS_IOC_GETFLAGS, flags));
  EXPECT_ERRNO(Set(file, FS_IOC_SETFLAGS, flags), EROFS);
  EXPECT_ERRNO(Set(file, FS_IOC_FSSETXATTR, attributes), EROFS);
}

// --- SYNCFS ---

TEST_F(RangeOpsTest, EveryKindOfNodesFileSystemIsSynced) {
  WriteHost(Host("file"), "");
  ASSERT_EQ(::symlink("x", Host("link").c_str()), 0);
  ASSERT_EQ(::mkfifo(Host("fifo").c_str(), 0600), 0);
  syncs = 0;
  EXPECT_SUCCESS(Sync(kRoot));
  for (const char* name : {"file", "link", "fifo"}) {
    EXPECT_SUCCESS(Sync(Must(fs->Lookup(kRoot, name)).node));
  }
  EXPECT_ERRNO(Sync(NodeId{12345}), ESTALE);
  EXPECT_EQ(syncs, 4);
}

}  // namespace
}  // namespace fsd::passthrough
