#include "server/worker/task_queue.h"

#include <poll.h>

#include <memory>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "server/os/thread.h"

namespace fsd::worker {
namespace {

bool Readable(int fd) {
  pollfd entry{.fd = fd, .events = POLLIN, .revents = 0};
  return ::poll(&entry, 1, 0) == 1;
}

TEST(TaskQueueTest, IsReadableWhileTasksWait) {
  const std::unique_ptr<TaskQueue> tasks = *TaskQueue::Create();
  EXPECT_FALSE(Readable(tasks->fd()));
  tasks->Post([] {});
  EXPECT_TRUE(Readable(tasks->fd()));
  tasks->Run();
  EXPECT_FALSE(Readable(tasks->fd()));
}

TEST(TaskQueueTest, RunsTasksInTheOrderOfTheirPosts) {
  const std::unique_ptr<TaskQueue> tasks = *TaskQueue::Create();
  std::vector<int> ran;
  tasks->Post([&ran] { ran.push_back(1); });
  tasks->Post([&ran] { ran.push_back(2); });
  tasks->Run();
  EXPECT_THAT(ran, testing::ElementsAre(1, 2));
}

TEST(TaskQueueTest, ATaskPostedByATaskRunsTheNextTime) {
  const std::unique_ptr<TaskQueue> tasks = *TaskQueue::Create();
  int ran = 0;
  tasks->Post([&] { tasks->Post([&ran] { ++ran; }); });
  tasks->Run();
  EXPECT_EQ(ran, 0);
  EXPECT_TRUE(Readable(tasks->fd()));
  tasks->Run();
  EXPECT_EQ(ran, 1);
}

TEST(TaskQueueTest, TakesTasksFromOtherThreads) {
  const std::unique_ptr<TaskQueue> tasks = *TaskQueue::Create();
  int ran = 0;
  {
    std::vector<os::Thread> threads;
    for (int i = 0; i < 4; ++i) {
      threads.push_back(*os::Thread::Start("poster", [&] {
        for (int task = 0; task < 100; ++task) tasks->Post([&ran] { ++ran; });
      }));
    }
  }
  tasks->Run();
  EXPECT_EQ(ran, 400);
}

}  // namespace
}  // namespace fsd::worker
