#include "server/worker/token_bucket.h"

#include <cstdint>

#include "gtest/gtest.h"

namespace fsd::worker {
namespace {

using std::chrono::hours;
using std::chrono::milliseconds;
using std::chrono::nanoseconds;
using std::chrono::seconds;
using TimePoint = TokenBucket::TimePoint;

constexpr TimePoint kStart = TimePoint(hours(1));

// Takes tokens one by one until there is none; results in their number.
uint64_t TakeAll(TokenBucket& bucket, uint64_t most = 10'000'000) {
  uint64_t taken = 0;
  while (taken < most && bucket.UntilToken() == nanoseconds(0)) {
    bucket.Charge(1);
    ++taken;
  }
  return taken;
}

TEST(TokenBucketTest, BeginsWithItsBurst) {
  TokenBucket bucket(100, 7, kStart);
  EXPECT_EQ(TakeAll(bucket), 7u);
}

TEST(TokenBucketTest, ABurstOfZeroIsOneSecondsWorth) {
  TokenBucket bucket(100, 0, kStart);
  EXPECT_EQ(TakeAll(bucket), 100u);
}

TEST(TokenBucketTest, EarnsEvenly) {
  TokenBucket bucket(100, 1, kStart);
  bucket.Charge(1);
  EXPECT_EQ(bucket.UntilToken(), milliseconds(10));

  bucket.Earn(kStart + milliseconds(10) - nanoseconds(1));
  EXPECT_EQ(bucket.UntilToken(), nanoseconds(1));

  bucket.Earn(kStart + milliseconds(10));
  EXPECT_EQ(bucket.UntilToken(), nanoseconds(0));
}

TEST(TokenBucketTest, LosesNothingBetweenLooksThatEarnLessThanAToken) {
  TokenBucket bucket(1, 1, kStart);
  bucket.Charge(1);
  TimePoint now = kStart;
  for (int i = 0; i < 1'000'000; ++i) bucket.Earn(now += nanoseconds(999));
  EXPECT_EQ(bucket.UntilToken(), nanoseconds(1'000'000));

  bucket.Earn(now + milliseconds(1));
  EXPECT_EQ(TakeAll(bucket), 1u);
}

TEST(TokenBucketTest, KeepsARateThatIsNoPartOfANanosecond) {
  TokenBucket bucket(3, 3, kStart);
  TakeAll(bucket);
  uint64_t taken = 0;
  TimePoint now = kStart;
  while (now < kStart + seconds(1000)) {
    now += bucket.UntilToken();
    bucket.Earn(now);
    taken += TakeAll(bucket);
  }
  EXPECT_EQ(taken, 3000u);
}

TEST(TokenBucketTest, HoldsNoMoreThanItsBurst) {
  TokenBucket bucket(1000, 5, kStart);
  bucket.Earn(kStart + hours(1000));
  EXPECT_EQ(TakeAll(bucket), 5u);
}

TEST(TokenBucketTest, HoldsMoreForWhoCouldNotTakeItInTime) {
  TokenBucket bucket(1000, 1, kStart);
  TakeAll(bucket);
  bucket.Earn(kStart + milliseconds(40), milliseconds(100));
  EXPECT_EQ(TakeAll(bucket), 40u);

  bucket.Earn(kStart + hours(1), milliseconds(100));
  EXPECT_EQ(TakeAll(bucket), 101u);
}

TEST(TokenBucketTest, WhatIsMoreThanTheBurstIsADebtThatIsPaidOff) {
  TokenBucket bucket(1000, 10, kStart);
  bucket.Charge(5010);
  EXPECT_EQ(bucket.UntilToken(), seconds(5) + milliseconds(1));

  bucket.Earn(kStart + seconds(5));
  EXPECT_EQ(bucket.UntilToken(), milliseconds(1));
  bucket.Earn(kStart + seconds(5) + milliseconds(1));
  EXPECT_EQ(TakeAll(bucket), 1u);
}

TEST(TokenBucketTest, ARefundIsAtMostTheBurst) {
  TokenBucket bucket(1000, 10, kStart);
  bucket.Charge(100);
  bucket.Refund(95);
  EXPECT_EQ(TakeAll(bucket), 5u);

  bucket.Charge(10);
  bucket.Refund(UINT64_MAX);
  EXPECT_EQ(TakeAll(bucket), 10u);

  // Nor does it take away what is held beyond it.
  bucket.Earn(kStart + milliseconds(40), seconds(1));
  bucket.Refund(1);
  EXPECT_EQ(TakeAll(bucket), 40u);
}

TEST(TokenBucketTest, ATimeBeforeTheLastChangesNothing) {
  TokenBucket bucket(100, 1, kStart);
  bucket.Charge(1);
  bucket.Earn(kStart - hours(1));
  EXPECT_EQ(bucket.UntilToken(), milliseconds(10));
  bucket.Earn(kStart + milliseconds(10));
  EXPECT_EQ(TakeAll(bucket), 1u);
}

TEST(TokenBucketTest, TheGreatestNumbersDoNotOverflow) {
  TokenBucket bucket(UINT64_MAX, UINT64_MAX, TimePoint::min());
  bucket.Earn(TimePoint::max() - nanoseconds(1), nanoseconds::max());
  bucket.Earn(TimePoint::max());
  EXPECT_EQ(bucket.UntilToken(), nanoseconds(0));

  bucket.Charge(UINT64_MAX);
  EXPECT_EQ(bucket.UntilToken(), nanoseconds(1));
  bucket.Charge(UINT64_MAX);
  EXPECT_EQ(bucket.UntilToken(), seconds(1) + nanoseconds(1));
}

TEST(TokenBucketTest, ADebtWithoutEndStaysADebt) {
  TokenBucket bucket(1, 1, TimePoint::min());
  for (int i = 0; i < 100; ++i) bucket.Charge(UINT64_MAX);
  EXPECT_EQ(bucket.UntilToken(), nanoseconds::max());
  bucket.Earn(TimePoint::max());
  EXPECT_EQ(bucket.UntilToken(), nanoseconds::max());
}

TEST(TokenBucketTest, AChangeForgivesADebt) {
  TokenBucket bucket(1000, 10, kStart);
  bucket.Charge(1'000'000);
  bucket.Change(100, 10);
  EXPECT_EQ(bucket.UntilToken(), milliseconds(10));
}

TEST(TokenBucketTest, AChangeKeepsWhatIsHeldAsFarAsTheBurstAllows) {
  TokenBucket bucket(1000, 10, kStart);
  bucket.Charge(2);
  bucket.Change(1000, 20);
  EXPECT_EQ(TakeAll(bucket), 8u);

  TokenBucket smaller(1000, 10, kStart);
  smaller.Change(1000, 3);
  EXPECT_EQ(TakeAll(smaller), 3u);
}

}  // namespace
}  // namespace fsd::worker
