#include "server/worker/slow_lane.h"

#include <atomic>
#include <filesystem>
#include <iterator>
#include <memory>
#include <thread>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "server/worker/gated_filesystem.h"

namespace fsd::worker {
namespace {

size_t CountThreads() {
  const std::filesystem::directory_iterator entries("/proc/self/task");
  return static_cast<size_t>(std::distance(begin(entries), end(entries)));
}

// Passes a gate and leaves its number.
class TestJob final : public SlowLane::Job {
 public:
  TestJob(Gate& gate, std::vector<int>& ran, int number)
      : gate_(gate), ran_(ran), number_(number) {}
  void Run() override {
    gate_.Pass();
    ran_.push_back(number_);
  }

 private:
  Gate& gate_;
  std::vector<int>& ran_;
  const int number_;
};

class CountingJob final : public SlowLane::Job {
 public:
  explicit CountingJob(Gate& gate) : gate_(gate) {}
  void Run() override {
    gate_.Pass();
    ++runs;
  }
  std::atomic<int> runs = 0;

 private:
  Gate& gate_;
};

TEST(SlowLaneTest, RunsJobsInTheOrderTheyCameAndAllBeforeItEnds) {
  Gate gate;
  gate.Close();
  std::vector<int> ran;
  TestJob first(gate, ran, 1);
  TestJob second(gate, ran, 2);
  TestJob third(gate, ran, 3);
  {
    const std::unique_ptr<SlowLane> lane = *SlowLane::Create("fsd-slow", 1);
    lane->Submit(first);
    lane->Submit(second);
    lane->Submit(third);
    ASSERT_TRUE(gate.AwaitWaiting(1));
    gate.Open();
  }
  EXPECT_THAT(ran, testing::ElementsAre(1, 2, 3));
}

TEST(SlowLaneTest, RunsAsManyAtOnceAsItHasThreadsAndNoMore) {
  const size_t before = CountThreads();
  Gate gate;
  gate.Close();
  std::vector<std::unique_ptr<CountingJob>> jobs;
  const std::unique_ptr<SlowLane> lane = *SlowLane::Create("fsd-slow", 3);
  for (int i = 0; i < 10; ++i) {
    jobs.push_back(std::make_unique<CountingJob>(gate));
    lane->Submit(*jobs.back());
  }
  EXPECT_TRUE(gate.AwaitWaiting(3));
  EXPECT_EQ(CountThreads(), before + 3);
  gate.Open();
}

TEST(SlowLaneTest, HasOneThreadWhileOneIsEnough) {
  const size_t before = CountThreads();
  Gate open;
  CountingJob job(open);
  const std::unique_ptr<SlowLane> lane = *SlowLane::Create("fsd-slow", 4);
  lane->Submit(job);
  EXPECT_EQ(CountThreads(), before + 1);
}

TEST(SlowLaneTest, AJobMaySubmitItselfAgain) {
  class Repeating final : public SlowLane::Job {
   public:
    void Run() override {
      if (++runs < 100) lane->Submit(*this);
    }
    SlowLane* lane = nullptr;
    std::atomic<int> runs = 0;
  };
  Repeating job;
  {
    const std::unique_ptr<SlowLane> lane = *SlowLane::Create("fsd-slow", 2);
    job.lane = lane.get();
    lane->Submit(job);
    while (job.runs < 100) std::this_thread::yield();
  }
  EXPECT_EQ(job.runs, 100);
}

}  // namespace
}  // namespace fsd::worker
