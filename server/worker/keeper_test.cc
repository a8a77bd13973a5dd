#include "server/worker/keeper.h"

#include <fcntl.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <csignal>
#include <cstdint>
#include <cstdlib>
#include <functional>
#include <string>
#include <thread>

#include "gtest/gtest.h"

namespace fsd::worker {
namespace {

int ExitStatusOf(const std::function<int()>& data_plane) {
  const auto pid = ForkDataPlane(data_plane);
  return pid.ok() ? AwaitDataPlane(*pid, "test") : -1;
}

TEST(Keeper, HandsTheDataPlanesStatusOn) {
  EXPECT_EQ(ExitStatusOf([] { return 0; }), 0);
  EXPECT_EQ(ExitStatusOf([] { return 3; }), 3);
}

TEST(Keeper, ReportsTheSignalThatKilledTheDataPlane) {
  ::testing::internal::CaptureStderr();
  EXPECT_EQ(ExitStatusOf([] { return ::raise(SIGKILL); }), 128 + SIGKILL);
  const std::string log = ::testing::internal::GetCapturedStderr();
  EXPECT_NE(log.find("export test: the data plane was killed by signal 9 (Killed)"),
            std::string::npos)
      << log;
}

TEST(Keeper, HoldsWhatADeadDataPlaneHadOpen) {
  // Above all that is open, so that the number is known on both sides.
  constexpr int kNumber = 200;
  const int status = ExitStatusOf([] {
    const int counter = ::eventfd(7, 0);
    if (::dup2(counter, kNumber) != kNumber) return 1;
    ::close(counter);
    return ::raise(SIGKILL);
  });
  EXPECT_EQ(status, 128 + SIGKILL);

  uint64_t count = 0;
  EXPECT_EQ(::read(kNumber, &count, sizeof count), static_cast<ssize_t>(sizeof count));
  EXPECT_EQ(count, 7u);
  ::close(kNumber);
}

TEST(Keeper, SharesNoMemoryWithTheDataPlane) {
  int value = 1;
  EXPECT_EQ(ExitStatusOf([&] { return ++value; }), 2);
  EXPECT_EQ(value, 1);
}

TEST(Keeper, TheDataPlaneMayStartThreadsAndAbort) {
  EXPECT_EQ(ExitStatusOf([] {
              int answer = 0;
              std::thread([&] { answer = 42; }).join();
              return answer;
            }),
            42);
  EXPECT_EQ(ExitStatusOf([]() -> int { std::abort(); }), 128 + SIGABRT);
}

}  // namespace
}  // namespace fsd::worker
