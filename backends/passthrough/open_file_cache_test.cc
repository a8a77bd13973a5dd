#include "backends/passthrough/open_file_cache.h"

#include <fcntl.h>
#include <unistd.h>

#include "gtest/gtest.h"

namespace fsd::passthrough {
namespace {

using backends::NodeId;

constexpr NodeId kA{2};
constexpr NodeId kB{3};
constexpr NodeId kC{4};

os::UniqueFd AnyFd() { return os::UniqueFd(::open("/dev/null", O_RDWR | O_CLOEXEC)); }
bool IsOpen(int fd) { return ::fcntl(fd, F_GETFD) >= 0; }

TEST(OpenFileCacheTest, WhatWasInsertedIsFound) {
  OpenFileCache cache(2);
  const auto file = cache.Insert(kA, AnyFd(), true);
  EXPECT_EQ(cache.Find(kA, true), file);
  EXPECT_EQ(cache.Find(kB, false), nullptr);
}

TEST(OpenFileCacheTest, WhatCannotBeWrittenIsNotFoundForWriting) {
  OpenFileCache cache(2);
  const auto file = cache.Insert(kA, AnyFd(), false);
  EXPECT_EQ(cache.Find(kA, false), file);
  EXPECT_EQ(cache.Find(kA, true), nullptr);
}

TEST(OpenFileCacheTest, TheLeastRecentlyUsedLeavesAndIsClosed) {
  OpenFileCache cache(2);
  const int a = cache.Insert(kA, AnyFd(), true)->fd.get();
  const int b = cache.Insert(kB, AnyFd(), true)->fd.get();
  ASSERT_NE(cache.Find(kA, false), nullptr);
  const auto c = cache.Insert(kC, AnyFd(), true);
  EXPECT_EQ(cache.size(), 2u);
  EXPECT_EQ(cache.Find(kB, false), nullptr);
  EXPECT_FALSE(IsOpen(b));
  EXPECT_TRUE(IsOpen(a));
}

TEST(OpenFileCacheTest, AnotherOfTheSameNodeTakesThePlace) {
  OpenFileCache cache(2);
  const int first = cache.Insert(kA, AnyFd(), false)->fd.get();
  const auto second = cache.Insert(kA, AnyFd(), true);
  EXPECT_EQ(cache.size(), 1u);
  EXPECT_EQ(cache.Find(kA, true), second);
  EXPECT_FALSE(IsOpen(first));
}

TEST(OpenFileCacheTest, WhatIsUsedStaysOpenAfterItHasLeft) {
  OpenFileCache cache(2);
  auto used = cache.Insert(kA, AnyFd(), true);
  const int fd = used->fd.get();
  cache.Drop(kA);
  EXPECT_EQ(cache.size(), 0u);
  EXPECT_TRUE(IsOpen(fd));
  used.reset();
  EXPECT_FALSE(IsOpen(fd));
}

TEST(OpenFileCacheTest, ClearClosesAll) {
  OpenFileCache cache(2);
  const int fd = cache.Insert(kA, AnyFd(), true)->fd.get();
  cache.Insert(kB, AnyFd(), true);
  cache.Clear();
  EXPECT_EQ(cache.size(), 0u);
  EXPECT_FALSE(IsOpen(fd));
  EXPECT_EQ(cache.Find(kA, false), nullptr);
}

}  // namespace
}  // namespace fsd::passthrough
