#include "server/supervisor/event_loop.h"

#include <sys/epoll.h>

#include <thread>
#include <vector>

#include "gmock/gmock.h"
#include "server/os/event_fd.h"

namespace fsd::supervisor {
namespace {

using ::testing::ElementsAre;

class EventLoopTest : public ::testing::Test {
 protected:
  void RunUntil(const bool& condition) {
    while (!condition) loop_->RunOnce();
  }

  const std::unique_ptr<EventLoop> loop_ = *EventLoop::Create();
};

TEST_F(EventLoopTest, TasksOfOtherThreadsRunInOrderOnTheLoopsThread) {
  std::vector<int> ran;
  bool done = false;
  std::thread poster([&] {
    for (int i = 0; i < 3; ++i) loop_->queue()->Post([&ran, i] { ran.push_back(i); });
    loop_->queue()->Post([&done] { done = true; });
  });
  RunUntil(done);
  poster.join();
  EXPECT_THAT(ran, ElementsAre(0, 1, 2));
}

TEST_F(EventLoopTest, ATaskMayPostAnother) {
  bool done = false;
  loop_->queue()->Post([&] { loop_->queue()->Post([&done] { done = true; }); });
  RunUntil(done);
}

TEST_F(EventLoopTest, AClosedQueueRunsWhatItTookAndTakesNoMore) {
  bool ran = false;
  EXPECT_TRUE(loop_->queue()->Post([&ran] { ran = true; }));
  loop_->queue()->Close();
  EXPECT_TRUE(ran);
  EXPECT_FALSE(loop_->queue()->Post([] {}));
}

TEST_F(EventLoopTest, TimersRunInTheOrderOfTheirTimes) {
  std::vector<int> ran;
  bool done = false;
  loop_->CallAfter(absl::Milliseconds(20), [&] { done = true; });
  loop_->CallAfter(absl::Milliseconds(10), [&] { ran.push_back(2); });
  loop_->CallAfter(absl::Milliseconds(5), [&] { ran.push_back(1); });
  RunUntil(done);
  EXPECT_THAT(ran, ElementsAre(1, 2));
}

TEST_F(EventLoopTest, ACancelledTimerDoesNotRun) {
  bool done = false;
  bool cancelled_ran = false;
  TimerId cancelled = loop_->CallAfter(absl::ZeroDuration(), [&] { cancelled_ran = true; });
  loop_->Cancel(cancelled);
  EXPECT_EQ(cancelled, kNoTimer);
  loop_->Cancel(cancelled);
  loop_->CallAfter(absl::Milliseconds(1), [&] { done = true; });
  RunUntil(done);
  EXPECT_FALSE(cancelled_ran);
}

TEST_F(EventLoopTest, ATimerMayCancelOneThatIsDueToo) {
  bool done = false;
  bool cancelled_ran = false;
  TimerId second;
  loop_->CallAfter(absl::ZeroDuration(), [&] { loop_->Cancel(second); });
  second = loop_->CallAfter(absl::ZeroDuration(), [&] { cancelled_ran = true; });
  loop_->CallAfter(absl::Milliseconds(1), [&] { done = true; });
  RunUntil(done);
  EXPECT_FALSE(cancelled_ran);
}

TEST_F(EventLoopTest, ATimerThatSetsItselfAgainDoesNotStarveTheRest) {
  bool done = false;
  std::function<void()> again = [&] { loop_->CallAfter(absl::ZeroDuration(), again); };
  again();
  loop_->queue()->Post([&done] { done = true; });
  RunUntil(done);
}

}  // namespace
}  // namespace fsd::supervisor
