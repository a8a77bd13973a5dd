#include "server/worker/keeper.h"

#include <fcntl.h>
#include <sys/eventfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdint>
#include <cstdlib>
#include <functional>
#include <optional>
#include <string>
#include <thread>

#include "gtest/gtest.h"
#include "server/ipc/worker_exit.h"

namespace fsd::worker {
namespace {

int ExitStatusOf(const std::function<int()>& data_plane) {
  const auto pid = ForkDataPlane(data_plane);
  return pid.ok() ? AwaitEnd(*pid, std::nullopt, "test") : -1;
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

// Until a signal.
int WaitForEver() {
  while (true) ::pause();
}

int ExitStatusWith(const std::function<int()>& handle_keeper, const std::function<int()>& other) {
  const auto data_plane = ForkDataPlane(other);
  const auto second = ForkDataPlane(handle_keeper);
  if (!data_plane.ok() || !second.ok()) return -1;
  const int status = AwaitEnd(*data_plane, *second, "test");
  ::kill(*data_plane, SIGKILL);
  ::waitpid(*data_plane, nullptr, 0);
  return status;
}

TEST(Keeper, EndsTheWorkerWhoseHandleKeeperIsKilled) {
  ::testing::internal::CaptureStderr();
  EXPECT_EQ(ExitStatusWith([] { return ::raise(SIGKILL); }, WaitForEver),
            ipc::kWorkerHandleKeeperDied);
  const std::string log = ::testing::internal::GetCapturedStderr();
  EXPECT_NE(log.find("export test: the worker ends, as its handle keeper was killed by signal 9"),
            std::string::npos)
      << log;
}

TEST(Keeper, HandsTheStatusOfAHandleKeeperThatFailsOn) {
  EXPECT_EQ(ExitStatusWith([] { return ipc::kWorkerJailUnavailable; }, WaitForEver),
            ipc::kWorkerJailUnavailable);
}

TEST(Keeper, OutlivesAHandleKeeperThatWasLetGo) {
  const auto handle_keeper = ForkDataPlane([] { return 0; });
  ASSERT_TRUE(handle_keeper.ok());
  siginfo_t ended;
  ASSERT_EQ(::waitid(P_PID, static_cast<id_t>(*handle_keeper), &ended, WEXITED | WNOWAIT), 0);
  const auto data_plane = ForkDataPlane([] { return 3; });
  ASSERT_TRUE(data_plane.ok());
  EXPECT_EQ(AwaitEnd(*data_plane, *handle_keeper, "test"), 3);
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
