#include "backends/passthrough/safe_open.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <string>
#include <string_view>

#include "backends/passthrough/inode.h"
#include "backends/passthrough/passthrough_fixture.h"
#include "gtest/gtest.h"

namespace fsd::passthrough {
namespace {

class SafeOpenTest : public ::testing::Test {
 protected:
  SafeOpenTest() {
    EXPECT_EQ(::mkdirat(top_.get(), "share", 0777), 0);
    share_.reset(::openat(top_.get(), "share", O_PATH | O_DIRECTORY | O_CLOEXEC));
  }

  ErrnoOr<os::UniqueFd> Child(std::string_view name) {
    return OpenChild(share_.get(), ComponentName(name));
  }
  ErrnoOr<os::UniqueFd> ReopenChild(std::string_view name, int flags) {
    const os::UniqueFd fd = Must(Child(name));
    const uint32_t type = Must(StatFd(fd.get())).stx_mode & S_IFMT;
    return Reopen(proc_.get(), fd.get(), type, flags);
  }
  InodeKey Key(const os::UniqueFd& fd) { return KeyOf(Must(StatFd(fd.get()))); }

  TemporaryDirectory directory_;
  os::UniqueFd top_{::open(directory_.path().c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC)};
  os::UniqueFd proc_{::open("/proc/self/fd", O_PATH | O_DIRECTORY | O_CLOEXEC)};
  os::UniqueFd share_;
};

TEST_F(SafeOpenTest, NamesAreCheckedBeforeTheyAreUsed) {
  EXPECT_ERRNO(ComponentName("").status(), ENOENT);
  EXPECT_ERRNO(ComponentName("a/b").status(), EINVAL);
  EXPECT_ERRNO(ComponentName("/etc").status(), EINVAL);
  EXPECT_ERRNO(ComponentName("a/").status(), EINVAL);
  EXPECT_ERRNO(ComponentName(std::string_view("a\0b", 3)).status(), EINVAL);
  EXPECT_ERRNO(ComponentName(std::string(1025, 'a')).status(), ENAMETOOLONG);
  EXPECT_EQ(ComponentName(std::string(1024, 'a')).c_str(), std::string(1024, 'a'));
  // Only what the view spans counts.
  EXPECT_STREQ(ComponentName(std::string_view("name/etc", 4)).c_str(), "name");
}

TEST_F(SafeOpenTest, ASymlinkIsOpenedItselfAndNeverForIo) {
  ASSERT_EQ(::symlinkat("/etc/passwd", share_.get(), "link"), 0);
  EXPECT_TRUE(S_ISLNK(Must(StatFd(Must(Child("link")).get())).stx_mode));
  EXPECT_ERRNO(ReopenChild("link", O_RDONLY), ELOOP);
}

TEST_F(SafeOpenTest, FifosAndSocketsAreNeverOpenedForIo) {
  ASSERT_EQ(::mknodat(share_.get(), "fifo", S_IFIFO | 0666, 0), 0);
  ASSERT_EQ(::mknodat(share_.get(), "socket", S_IFSOCK | 0666, 0), 0);
  // A fifo without a writer would block a reader for ever.
  EXPECT_ERRNO(ReopenChild("fifo", O_RDONLY), ENXIO);
  EXPECT_ERRNO(ReopenChild("fifo", O_RDWR), ENXIO);
  EXPECT_ERRNO(ReopenChild("socket", O_RDONLY), ENXIO);
}

TEST_F(SafeOpenTest, WhatIsReopenedIsTheInodeWhateverItsNameMeansNow) {
  os::UniqueFd(::openat(share_.get(), "file", O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
  const os::UniqueFd fd = Must(Child("file"));
  ASSERT_EQ(::unlinkat(share_.get(), "file", 0), 0);
  ASSERT_EQ(::symlinkat("/etc/passwd", share_.get(), "file"), 0);
  EXPECT_EQ(Key(Must(Reopen(proc_.get(), fd.get(), S_IFREG, O_RDWR))), Key(fd));
}

TEST_F(SafeOpenTest, CreatingNeverFollowsNorReplaces) {
  ASSERT_EQ(::symlinkat("../victim", share_.get(), "link"), 0);
  EXPECT_ERRNO(CreateChild(share_.get(), ComponentName("link"), O_RDWR, 0600), EEXIST);
  EXPECT_NE(::faccessat(top_.get(), "victim", F_OK, 0), 0);
}

TEST_F(SafeOpenTest, DotDotIsNoChild) { EXPECT_ERRNO(Child(".."), EINVAL); }

TEST_F(SafeOpenTest, TheParentOfTheRootIsTheRoot) {
  EXPECT_EQ(Key(Must(OpenParent(share_.get(), share_.get()))), Key(share_));
}

TEST_F(SafeOpenTest, TheParentOfADirectoryBelowIsItsParent) {
  ASSERT_EQ(::mkdirat(share_.get(), "a", 0700), 0);
  const os::UniqueFd a = Must(Child("a"));
  ASSERT_EQ(::mkdirat(a.get(), "b", 0700), 0);
  const os::UniqueFd b = Must(OpenChild(a.get(), ComponentName("b")));
  EXPECT_EQ(Key(Must(OpenParent(b.get(), share_.get()))), Key(a));
  EXPECT_EQ(Key(Must(OpenParent(a.get(), share_.get()))), Key(share_));
}

TEST_F(SafeOpenTest, ADirectoryMovedOutOfTheRootHasNoParent) {
  ASSERT_EQ(::mkdirat(share_.get(), "a", 0700), 0);
  const os::UniqueFd a = Must(Child("a"));
  ASSERT_EQ(::renameat(share_.get(), "a", top_.get(), "a"), 0);
  EXPECT_ERRNO(OpenParent(a.get(), share_.get()), ENOENT);
}

}  // namespace
}  // namespace fsd::passthrough
