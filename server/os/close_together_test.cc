#include "server/os/close_together.h"

#include <fcntl.h>
#include <seccomp.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <thread>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace fsd::os {
namespace {

using ::testing::Each;
using ::testing::ElementsAre;
using ::testing::SizeIs;

std::vector<int> OpenSome(size_t count) {
  std::vector<int> fds;
  while (fds.size() < count) fds.push_back(::open("/dev/null", O_PATH | O_CLOEXEC));
  return fds;
}

// Of each, in their order.
std::vector<bool> AreOpen(const std::vector<int>& fds) {
  std::vector<bool> open;
  for (const int fd : fds) open.push_back(::fcntl(fd, F_GETFD) >= 0);
  return open;
}

void CloseAll(const std::vector<int>& fds) {
  for (const int fd : fds) ::close(fd);
}

TEST(CloseTogether, ByItselfADescriptorIsClosedAtOnce) {
  const std::vector<int> fds = OpenSome(2);

  CloseSoon(fds[0]);

  EXPECT_THAT(AreOpen(fds), ElementsAre(false, true));
  CloseAll({fds[1]});
}

TEST(CloseTogether, ClosesWhatItWasGivenAtTheFlushAndNothingBetween) {
  const std::vector<int> fds = OpenSome(7);
  CloseTogether together;
  EXPECT_TRUE(together.empty());

  for (const int i : {5, 0, 1, 3}) CloseSoon(fds[i]);
  EXPECT_FALSE(together.empty());
  EXPECT_THAT(AreOpen(fds), Each(true));
  together.Flush();

  EXPECT_TRUE(together.empty());
  EXPECT_THAT(AreOpen(fds), ElementsAre(false, false, true, false, true, false, true));
  CloseAll({fds[2], fds[4], fds[6]});
}

TEST(CloseTogether, ClosesTheRestAtItsEnd) {
  const std::vector<int> fds = OpenSome(2);
  {
    const CloseTogether together;
    CloseSoon(fds[0]);
    CloseSoon(fds[1]);
  }

  EXPECT_THAT(AreOpen(fds), Each(false));
}

TEST(CloseTogether, ClosesWhenThereAreAsManyAsItKeeps) {
  const std::vector<int> fds = OpenSome(CloseTogether::kMost + 1);
  CloseTogether together;
  for (const int fd : fds) CloseSoon(fd);

  std::vector<int> first = fds;
  first.pop_back();
  EXPECT_THAT(AreOpen(first), Each(false));
  EXPECT_THAT(AreOpen({fds.back()}), ElementsAre(true));
}

TEST(CloseTogether, OneInsideAnotherCollectsNothing) {
  const std::vector<int> fds = OpenSome(2);
  const CloseTogether outer;
  {
    const CloseTogether inner;
    CloseSoon(fds[0]);
    EXPECT_TRUE(inner.empty());
  }
  CloseSoon(fds[1]);

  EXPECT_FALSE(outer.empty());
  EXPECT_THAT(AreOpen(fds), Each(true));
}

TEST(CloseTogether, IsOfOneThread) {
  const std::vector<int> fds = OpenSome(1);
  const CloseTogether together;

  std::thread([&fds] { CloseSoon(fds[0]); }).join();

  EXPECT_TRUE(together.empty());
  EXPECT_THAT(AreOpen(fds), Each(false));
}

TEST(CloseTogether, WorksOnAKernelThatClosesNoRanges) {
  const std::vector<int> fds = OpenSome(3);
  ASSERT_THAT(fds, SizeIs(3));
  std::thread([&fds] {
    const scmp_filter_ctx filter = ::seccomp_init(SCMP_ACT_ALLOW);
    ASSERT_EQ(::seccomp_rule_add(filter, SCMP_ACT_ERRNO(ENOSYS), SCMP_SYS(close_range), 0), 0);
    ASSERT_EQ(::seccomp_load(filter), 0);
    ::seccomp_release(filter);
    const CloseTogether together;
    for (const int fd : fds) CloseSoon(fd);
  }).join();

  EXPECT_THAT(AreOpen(fds), Each(false));
}

}  // namespace
}  // namespace fsd::os
