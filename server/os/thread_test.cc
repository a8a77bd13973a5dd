#include "server/os/thread.h"

#include <signal.h>

#include <string>

#include "gtest/gtest.h"

namespace fsd::os {
namespace {

TEST(ThreadTest, RunsItsBodyAndJoinsWhenDestroyed) {
  bool ran = false;
  {
    const ErrnoOr<Thread> thread = Thread::Start("test", [&ran] { ran = true; });
    ASSERT_TRUE(thread.ok());
  }
  EXPECT_TRUE(ran);
}

TEST(ThreadTest, BlocksSignalsInTheThreadAndNotInItsMaker) {
  sigset_t in_thread;
  sigemptyset(&in_thread);
  ErrnoOr<Thread> thread =
      Thread::Start("test", [&in_thread] { ::pthread_sigmask(SIG_SETMASK, nullptr, &in_thread); });
  ASSERT_TRUE(thread.ok());
  thread->Join();
  EXPECT_EQ(sigismember(&in_thread, SIGTERM), 1);
  EXPECT_EQ(sigismember(&in_thread, SIGPIPE), 1);

  sigset_t here;
  ::pthread_sigmask(SIG_SETMASK, nullptr, &here);
  EXPECT_EQ(sigismember(&here, SIGTERM), 0);
}

TEST(ThreadTest, CutsANameTheKernelWouldRefuse) {
  std::string name(16, '\0');
  ErrnoOr<Thread> thread = Thread::Start("fsd-queue-number-1", [&name] {
    ::pthread_getname_np(::pthread_self(), name.data(), name.size());
  });
  ASSERT_TRUE(thread.ok());
  thread->Join();
  EXPECT_STREQ(name.c_str(), "fsd-queue-numbe");
}

TEST(ThreadTest, MovingHandsTheThreadOver) {
  ErrnoOr<Thread> thread = Thread::Start("test", [] {});
  ASSERT_TRUE(thread.ok());
  Thread other = std::move(*thread);
  thread->Join();
  other.Join();
}

}  // namespace
}  // namespace fsd::os
