#include "server/worker/request_limits.h"

#include <atomic>
#include <cstdint>
#include <vector>

#include "gtest/gtest.h"
#include "server/fuse/abi.h"
#include "server/os/thread.h"

namespace fsd::worker {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using TimePoint = RequestLimits::TimePoint;

std::atomic<int64_t> now_ns;
TimePoint Now() { return TimePoint(std::chrono::nanoseconds(now_ns.load())); }
void Pass(std::chrono::nanoseconds time) { now_ns += time.count(); }

class FakeRing final : public RequestLimits::Ring {
 public:
  void OnTurn() override { ++turns; }
  std::atomic<int> turns = 0;
};

class RequestLimitsTest : public testing::Test {
 protected:
  // As a queue thread that is not in a batch: asks, and takes a request if it may.
  bool Take(FakeRing& ring, RequestKind kind = RequestKind::kOther, uint64_t bytes = 0) {
    if (limits_.Ask(ring, false).has_value()) return false;
    limits_.ChargeOperation(kind);
    limits_.ChargeBytes(kind, bytes);
    return true;
  }
  int TakeAll(FakeRing& ring, RequestKind kind, uint64_t bytes = 0) {
    int taken = 0;
    while (Take(ring, kind, bytes)) ++taken;
    return taken;
  }

  RequestLimits limits_{Now};
  FakeRing ring_;
  FakeRing other_;
  FakeRing third_;
};

TEST_F(RequestLimitsTest, AreOffWithoutARate) {
  EXPECT_FALSE(limits_.on());
  limits_.Set({.write = {.bytes_per_second = 1}});
  EXPECT_TRUE(limits_.on());
  limits_.Set({});
  EXPECT_FALSE(limits_.on());
}

TEST_F(RequestLimitsTest, ReadsTakeOfReadsAndOfTheTotal) {
  limits_.Set({.read = {.operations_per_second = 10}, .total = {.operations_per_second = 15}});
  EXPECT_EQ(TakeAll(ring_, RequestKind::kRead), 10);
  limits_.Set({.total = {.operations_per_second = 15}});
  EXPECT_EQ(TakeAll(ring_, RequestKind::kWrite), 5);
}

TEST_F(RequestLimitsTest, WritesTakeOfWritesAndOfTheTotal) {
  limits_.Set({.write = {.operations_per_second = 10}, .total = {.operations_per_second = 15}});
  EXPECT_EQ(TakeAll(ring_, RequestKind::kWrite), 10);
  limits_.Set({.total = {.operations_per_second = 15}});
  EXPECT_EQ(TakeAll(ring_, RequestKind::kOther), 5);
}

TEST_F(RequestLimitsTest, BytesAreOfTheirKindAndOfTheTotal) {
  limits_.Set({.read = {.bytes_per_second = 1000}, .total = {.bytes_per_second = 3000}});
  EXPECT_EQ(TakeAll(ring_, RequestKind::kRead, 100), 10);
  limits_.Set({.write = {.bytes_per_second = 500}, .total = {.bytes_per_second = 3000}});
  EXPECT_EQ(TakeAll(ring_, RequestKind::kWrite, 100), 5);
  limits_.Set({.total = {.bytes_per_second = 3000}});
  EXPECT_EQ(TakeAll(ring_, RequestKind::kRead, 100), 15);
}

TEST_F(RequestLimitsTest, WhatWasChargedTooMuchIsGivenBackAndWhoWaitsIsToldSo) {
  limits_.Set({.write = {.bytes_per_second = 1000}, .total = {.bytes_per_second = 1000}});
  ASSERT_TRUE(Take(ring_, RequestKind::kWrite, 1'000'000));
  ASSERT_FALSE(Take(ring_));

  limits_.Settle(RequestKind::kWrite, 1'000'000, 900);
  EXPECT_EQ(ring_.turns, 1);
  EXPECT_TRUE(Take(ring_));

  limits_.Settle(RequestKind::kWrite, 0, 100);
  EXPECT_EQ(ring_.turns, 1);
  EXPECT_FALSE(Take(ring_));
}

TEST_F(RequestLimitsTest, OtherRequestsMoveNoBytes) {
  limits_.Set({.total = {.bytes_per_second = 1}});
  for (int i = 0; i < 1000; ++i) EXPECT_TRUE(Take(ring_, RequestKind::kOther, 4096));
}

TEST_F(RequestLimitsTest, TheBeginningAndTheEndOfASessionAreFree) {
  limits_.Set({.total = {.operations_per_second = 1}});
  for (int i = 0; i < 10; ++i) EXPECT_TRUE(Take(ring_, RequestKind::kFree));
  EXPECT_EQ(RequestKindOf(FUSE_INIT), RequestKind::kFree);
  EXPECT_EQ(RequestKindOf(FUSE_DESTROY), RequestKind::kFree);
  EXPECT_EQ(RequestKindOf(FUSE_READ), RequestKind::kRead);
  EXPECT_EQ(RequestKindOf(FUSE_WRITE), RequestKind::kWrite);
  EXPECT_EQ(RequestKindOf(FUSE_COPY_FILE_RANGE), RequestKind::kWrite);
  EXPECT_EQ(RequestKindOf(fuse::kOpcodeCopyFileRange64), RequestKind::kWrite);
  EXPECT_EQ(RequestKindOf(FUSE_READDIRPLUS), RequestKind::kOther);
  EXPECT_EQ(RequestKindOf(FUSE_FALLOCATE), RequestKind::kOther);
}

TEST_F(RequestLimitsTest, SaysWhenToAskAgain) {
  limits_.Set({.read = {.operations_per_second = 10, .burst_operations = 1},
               .total = {.operations_per_second = 100, .burst_operations = 1}});
  ASSERT_TRUE(Take(ring_, RequestKind::kRead));
  EXPECT_EQ(limits_.Ask(ring_, false), Now() + milliseconds(100));

  Pass(milliseconds(99));
  EXPECT_EQ(limits_.Ask(ring_, false), Now() + milliseconds(1));
  Pass(milliseconds(1));
  EXPECT_TRUE(Take(ring_, RequestKind::kRead));
}

TEST_F(RequestLimitsTest, WhoWaitsFirstGoesFirstAndWakesTheNext) {
  limits_.Set({.total = {.operations_per_second = 10, .burst_operations = 1}});
  ASSERT_TRUE(Take(third_));
  ASSERT_FALSE(Take(ring_));
  ASSERT_FALSE(Take(other_));
  EXPECT_EQ(limits_.Ask(other_, false), TimePoint::max());
  Pass(milliseconds(100));

  EXPECT_FALSE(Take(other_));
  EXPECT_FALSE(Take(third_));
  EXPECT_EQ(other_.turns, 0);
  EXPECT_TRUE(Take(ring_));
  EXPECT_EQ(other_.turns, 1);
  EXPECT_EQ(third_.turns, 0);

  Pass(milliseconds(100));
  EXPECT_FALSE(Take(ring_));
  EXPECT_TRUE(Take(other_));
  EXPECT_EQ(third_.turns, 1);
}

TEST_F(RequestLimitsTest, NoRingStarves) {
  limits_.Set({.total = {.operations_per_second = 300, .burst_operations = 1}});
  std::vector<FakeRing*> rings = {&ring_, &other_, &third_};
  std::vector<int> taken(3);
  for (int i = 0; i < 3000; ++i) {
    Pass(milliseconds(1));
    // The first is always the quickest.
    for (size_t ring = 0; ring < rings.size(); ++ring) taken[ring] += Take(*rings[ring]) ? 1 : 0;
  }
  for (const int of_one : taken) EXPECT_NEAR(of_one, 300, 2);
}

TEST_F(RequestLimitsTest, ABatchGoesOnWhileOthersWaitAndTheNextDoesNot) {
  limits_.Set({.total = {.operations_per_second = 10, .burst_operations = 10}});
  ASSERT_EQ(TakeAll(ring_, RequestKind::kOther), 10);
  ASSERT_FALSE(Take(other_));
  Pass(seconds(1));
  ASSERT_TRUE(Take(ring_));

  EXPECT_FALSE(limits_.Ask(ring_, true).has_value());
  EXPECT_TRUE(limits_.Ask(ring_, false).has_value());
  EXPECT_TRUE(Take(other_));
}

TEST_F(RequestLimitsTest, WhoLeavesLetsTheNextThrough) {
  limits_.Set({.total = {.operations_per_second = 10, .burst_operations = 1}});
  ASSERT_TRUE(Take(ring_));
  ASSERT_FALSE(Take(ring_));
  ASSERT_FALSE(Take(other_));
  limits_.Leave(ring_);
  EXPECT_EQ(other_.turns, 1);
  EXPECT_EQ(limits_.waiting(), 1u);
  Pass(milliseconds(100));
  EXPECT_TRUE(Take(other_));

  limits_.Leave(ring_);
  EXPECT_EQ(limits_.waiting(), 0u);
}

TEST_F(RequestLimitsTest, AChangeWakesAllThatWait) {
  limits_.Set({.read = {.bytes_per_second = 1000}});
  ASSERT_TRUE(Take(ring_, RequestKind::kRead, 1'000'000));
  ASSERT_FALSE(Take(ring_));
  ASSERT_FALSE(Take(other_));

  limits_.Set({.read = {.bytes_per_second = 100}});
  EXPECT_EQ(ring_.turns, 1);
  EXPECT_EQ(other_.turns, 1);
  // The debt is forgiven.
  EXPECT_EQ(limits_.Ask(ring_, false), Now() + milliseconds(10));

  limits_.Set({});
  EXPECT_EQ(ring_.turns, 2);
  EXPECT_EQ(other_.turns, 2);
  EXPECT_EQ(limits_.waiting(), 0u);
}

TEST_F(RequestLimitsTest, AChangeOfOneRateLeavesTheOthers) {
  limits_.Set({.read = {.operations_per_second = 10}, .write = {.operations_per_second = 10}});
  ASSERT_EQ(TakeAll(ring_, RequestKind::kRead), 10);
  limits_.Set({.read = {.operations_per_second = 10}, .write = {.operations_per_second = 20}});
  EXPECT_FALSE(Take(ring_, RequestKind::kRead));
}

TEST_F(RequestLimitsTest, WhoWakesLateLosesNothing) {
  limits_.Set({.total = {.operations_per_second = 1000, .burst_operations = 1}});
  ASSERT_EQ(TakeAll(ring_, RequestKind::kOther), 1);
  Pass(milliseconds(20));
  EXPECT_EQ(TakeAll(ring_, RequestKind::kOther), 20);

  // Unless it did not wait.
  limits_.Leave(ring_);
  Pass(milliseconds(20));
  EXPECT_EQ(TakeAll(ring_, RequestKind::kOther), 1);
}

TEST_F(RequestLimitsTest, ThreadsShareThem) {
  constexpr uint64_t kBurst = 20'000;
  limits_.Set({.total = {.operations_per_second = 1, .burst_operations = kBurst}});
  std::atomic<uint64_t> taken = 0;
  const auto take = [&] {
    FakeRing ring;
    while (!limits_.Ask(ring, true).has_value()) {
      limits_.ChargeOperation(RequestKind::kOther);
      ++taken;
    }
    limits_.Leave(ring);
  };
  {
    os::Thread one = *os::Thread::Start("one", take);
    os::Thread two = *os::Thread::Start("two", take);
    limits_.Set({.total = {.operations_per_second = 1, .burst_operations = kBurst}});
    one.Join();
    two.Join();
  }
  // Both may have asked before the other was charged.
  EXPECT_GE(taken, kBurst);
  EXPECT_LE(taken, kBurst + 1);
}

}  // namespace
}  // namespace fsd::worker
