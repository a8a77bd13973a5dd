#include "backends/passthrough/lock_waiter.h"

#include <fcntl.h>

#include <atomic>
#include <chrono>
#include <functional>
#include <future>
#include <memory>
#include <utility>
#include <vector>

#include "backends/errno_expectations.h"
#include "backends/filesystem_driver.h"
#include "gmock/gmock.h"
#include "server/os/thread.h"

namespace fsd::passthrough {
namespace {

using backends::NodeId;
using backends::StartedCall;
using Waiting = std::unique_ptr<StartedCall<void>>;

constexpr NodeId kFile{7};
constexpr absl::Duration kLong = absl::Hours(1);

using Try = std::function<ErrnoOr<void>()>;

Waiting StartClaim(LockWaiter& waiter, LockWaiter::Claim claim) {
  return std::make_unique<StartedCall<void>>(backends::Caller{}, [&](auto call) {
    return waiter.Wait(call, std::move(claim), waiter.epoch());
  });
}

// A reader, who need not wait for other readers.
Waiting Start(LockWaiter& waiter, Try attempt, NodeId file = kFile) {
  return StartClaim(waiter,
                    {.file = file, .lock = {.type = F_RDLCK}, .attempt = std::move(attempt)});
}

Try Never() {
  return [] { return Errno(EAGAIN); };
}

// A try on a file system that does not answer until it is told to. May be made once.
class HangingTry {
 public:
  Try attempt() {
    return [this] {
      begun_.set_value();
      ErrnoOr<void> result = result_.get_future().get();
      over_ = true;
      return result;
    };
  }
  void AwaitBegin() { begun_.get_future().wait(); }
  void End(ErrnoOr<void> result) { result_.set_value(result); }
  bool over() const { return over_; }

 private:
  std::promise<void> begun_;
  std::promise<ErrnoOr<void>> result_;
  std::atomic<bool> over_ = false;
};

TEST(LockWaiter, CompletesWithWhatTheTryComesTo) {
  LockWaiter waiter(kLong, 10);
  std::atomic<int> tries = 0;
  const Waiting granted = Start(
      waiter, [&]() -> ErrnoOr<void> { return ++tries < 5 ? Errno(EAGAIN) : ErrnoOr<void>(); });
  const Waiting failed = Start(waiter, [] { return Errno(EBADF); });
  EXPECT_SUCCESS(granted->Wait());
  EXPECT_ERRNO(failed->Wait(), EBADF);
  EXPECT_EQ(tries, 5);
  EXPECT_EQ(waiter.waiting(), 0u);
}

TEST(LockWaiter, WhoHasWaitedLongEnoughTimesOut) {
  LockWaiter waiter(absl::Milliseconds(5), 10);
  std::atomic<int> tries = 0;
  const Waiting call = Start(waiter, [&] {
    ++tries;
    return Errno(EAGAIN);
  });
  EXPECT_ERRNO(call->Wait(), ETIMEDOUT);
  EXPECT_GE(tries, 1);
}

TEST(LockWaiter, WithoutAThreadNobodyWaits) {
  int threads_left = 0;
  LockWaiter waiter(kLong, 10, [&](std::function<void()> body) -> ErrnoOr<os::Thread> {
    if (threads_left == 0) return Errno(EAGAIN);
    --threads_left;
    return os::Thread::Start("test", std::move(body));
  });
  EXPECT_ERRNO(Start(waiter, Never())->Wait(), ENOLCK);
  EXPECT_EQ(waiter.waiting(), 0u);
  threads_left = 1;
  EXPECT_SUCCESS(Start(waiter, [] { return ErrnoOr<void>(); })->Wait());
}

TEST(LockWaiter, TriesInTheOrderOfArrival) {
  LockWaiter waiter(kLong, 10);
  std::atomic<bool> free = false;
  std::vector<int> order;  // only the waiter's thread writes it
  std::vector<Waiting> calls;
  for (int i = 0; i < 5; ++i) {
    calls.push_back(Start(waiter, [&free, &order, i]() -> ErrnoOr<void> {
      if (!free) return Errno(EAGAIN);
      order.push_back(i);
      return {};
    }));
  }
  free = true;
  waiter.Retry(kFile);
  for (const Waiting& call : calls) EXPECT_SUCCESS(call->Wait());
  EXPECT_THAT(order, ::testing::ElementsAre(0, 1, 2, 3, 4));
}

TEST(LockWaiter, FilesDoNotWaitForEachOther) {
  LockWaiter waiter(kLong, 10);
  const Waiting stuck = Start(waiter, Never());
  std::atomic<bool> free = false;
  const Waiting other = Start(
      waiter, [&]() -> ErrnoOr<void> { return free ? ErrnoOr<void>() : Errno(EAGAIN); }, NodeId{8});
  free = true;
  EXPECT_SUCCESS(other->Wait());
  EXPECT_FALSE(stuck->completed());
  waiter.Reset();
  EXPECT_ERRNO(stuck->Wait(), EINTR);
}

TEST(LockWaiter, ResetInterruptsAllAndLeavesItUsable) {
  LockWaiter waiter(kLong, 100);
  std::vector<Waiting> calls;
  for (int i = 0; i < 100; ++i) calls.push_back(Start(waiter, Never(), NodeId{i % 10ull}));
  const uint32_t old = waiter.epoch();
  waiter.Reset();
  for (const Waiting& call : calls) EXPECT_ERRNO(call->Wait(), EINTR);
  const auto late = std::make_unique<StartedCall<void>>(backends::Caller{}, [&](auto call) {
    return waiter.Wait(call, {.file = kFile, .attempt = Never()}, old);
  });
  EXPECT_ERRNO(late->Wait(), EINTR);
  EXPECT_SUCCESS(Start(waiter, [] { return ErrnoOr<void>(); })->Wait());
}

TEST(LockWaiter, TheEndOfWaitsDoesNotWaitForATry) {
  HangingTry hanging;
  LockWaiter waiter(kLong, 10);
  const Waiting tried = Start(waiter, hanging.attempt());
  hanging.AwaitBegin();
  const Waiting behind = Start(waiter, Never());
  const Waiting elsewhere = Start(waiter, Never(), NodeId{8});

  waiter.EndAll(Errno(EAGAIN));
  EXPECT_ERRNO(behind->Wait(), EAGAIN);
  EXPECT_ERRNO(elsewhere->Wait(), EAGAIN);
  EXPECT_FALSE(tried->completed());
  EXPECT_EQ(waiter.waiting(), 1u);

  hanging.End(Errno(EAGAIN));
  EXPECT_ERRNO(tried->Wait(), EAGAIN);
  EXPECT_EQ(waiter.waiting(), 0u);
}

TEST(LockWaiter, WhoGetsTheLockAfterTheEndOfWaitsIsToldSo) {
  HangingTry hanging;
  LockWaiter waiter(kLong, 10);
  const Waiting tried = Start(waiter, hanging.attempt());
  hanging.AwaitBegin();
  waiter.EndAll(Errno(EAGAIN));
  hanging.End(ErrnoOr<void>());
  EXPECT_SUCCESS(tried->Wait());
  EXPECT_EQ(waiter.waiting(), 0u);
}

TEST(LockWaiter, WhoIsEndedDuringATryDoesNotTimeOut) {
  HangingTry hanging;
  LockWaiter waiter(absl::ZeroDuration(), 10);
  const Waiting tried = Start(waiter, hanging.attempt());
  hanging.AwaitBegin();
  waiter.EndAll(Errno(EAGAIN));
  hanging.End(Errno(EAGAIN));
  EXPECT_ERRNO(tried->Wait(), EAGAIN);
}

TEST(LockWaiter, WaitsMayBeginAndEndDuringATry) {
  HangingTry hanging;
  LockWaiter waiter(kLong, 10);
  const Waiting tried = Start(waiter, hanging.attempt());
  hanging.AwaitBegin();
  waiter.EndAll(Errno(EAGAIN));
  const Waiting ended = Start(waiter, Never());
  waiter.EndAll(Errno(EAGAIN));
  EXPECT_ERRNO(ended->Wait(), EAGAIN);
  const Waiting same = Start(waiter, [] { return ErrnoOr<void>(); });
  const Waiting elsewhere = Start(
      waiter, [] { return ErrnoOr<void>(); }, NodeId{8});
  EXPECT_EQ(waiter.waiting(), 3u);

  hanging.End(Errno(EAGAIN));
  EXPECT_ERRNO(tried->Wait(), EAGAIN);
  EXPECT_SUCCESS(same->Wait());
  EXPECT_SUCCESS(elsewhere->Wait());
}

TEST(LockWaiter, ResetWaitsForATryThatTheEndOfWaitsHasLeft) {
  HangingTry hanging;
  LockWaiter waiter(kLong, 10);
  const Waiting tried = Start(waiter, hanging.attempt());
  hanging.AwaitBegin();
  waiter.EndAll(Errno(EAGAIN));
  std::future<bool> over_after_reset = std::async(std::launch::async, [&] {
    waiter.Reset();
    return hanging.over();
  });
  EXPECT_EQ(over_after_reset.wait_for(std::chrono::milliseconds(20)), std::future_status::timeout);
  hanging.End(Errno(EAGAIN));
  EXPECT_TRUE(over_after_reset.get());
  EXPECT_FALSE(tried->Wait().ok());
}

TEST(LockWaiter, TheEndAnswersWhomTheEndOfWaitsHasLeft) {
  HangingTry hanging;
  Waiting tried;
  {
    LockWaiter waiter(kLong, 10);
    tried = Start(waiter, hanging.attempt());
    hanging.AwaitBegin();
    waiter.EndAll(Errno(EAGAIN));
    hanging.End(Errno(EAGAIN));
  }
  EXPECT_ERRNO(tried->Wait(), EAGAIN);
}

TEST(LockWaiter, TheEndInterruptsAll) {
  std::vector<Waiting> calls;
  {
    LockWaiter waiter(kLong, 10);
    for (int i = 0; i < 10; ++i) calls.push_back(Start(waiter, Never()));
  }
  for (const Waiting& call : calls) EXPECT_ERRNO(call->Wait(), EINTR);
}

TEST(LockWaiter, MoreThanItsLimitDoNotWait) {
  LockWaiter waiter(kLong, 1);
  const Waiting first = Start(waiter, Never());
  EXPECT_ERRNO(Start(waiter, Never())->Wait(), ENOLCK);
  waiter.Reset();
  EXPECT_ERRNO(first->Wait(), EINTR);
}

TEST(LockWaiter, WritersTakeTurnsInTheOrderOfArrival) {
  constexpr int kWaiters = 300;
  LockWaiter waiter(kLong, kWaiters);
  std::atomic<bool> taken = true;
  std::vector<Waiting> calls;
  for (int i = 0; i < kWaiters; ++i) {
    calls.push_back(StartClaim(
        waiter, {.file = kFile, .lock = {.type = F_WRLCK}, .attempt = [&taken]() -> ErrnoOr<void> {
                   return taken.exchange(true) ? Errno(EAGAIN) : ErrnoOr<void>();
                 }}));
  }
  for (const Waiting& call : calls) {
    taken = false;
    waiter.Retry(kFile);
    EXPECT_SUCCESS(call->Wait());
  }
  EXPECT_EQ(waiter.waiting(), 0u);
}

TEST(LockWaiter, AWriterIsNotTriedBeforeThoseWhoCameFirstAreDone) {
  LockWaiter waiter(kLong, 2);
  std::atomic<int> firsts_tries = 0;
  int seconds_turn = 0;  // only the waiter's thread writes it
  const Waiting first = StartClaim(
      waiter,
      {.file = kFile, .lock = {.type = F_WRLCK}, .attempt = [&firsts_tries]() -> ErrnoOr<void> {
         return ++firsts_tries < 6 ? ErrnoOr<void>(Errno(EAGAIN)) : ErrnoOr<void>();
       }});
  const Waiting second =
      StartClaim(waiter, {.file = kFile, .lock = {.type = F_WRLCK}, .attempt = [&] {
                            seconds_turn = firsts_tries;
                            return ErrnoOr<void>();
                          }});
  EXPECT_SUCCESS(first->Wait());
  EXPECT_SUCCESS(second->Wait());
  EXPECT_EQ(seconds_turn, 6);
}

TEST(LockWaiter, ReadersAndOtherRangesAndKindsAreTriedWhateverCameFirst) {
  LockWaiter waiter(kLong, 10);
  const Waiting first =
      StartClaim(waiter, {.file = kFile, .lock = {.last = 9, .type = F_RDLCK}, .attempt = Never()});
  const auto succeed = [] { return ErrnoOr<void>(); };
  EXPECT_SUCCESS(
      StartClaim(waiter, {.file = kFile, .lock = {.last = 9, .type = F_RDLCK}, .attempt = succeed})
          ->Wait());
  const backends::FileLock behind{.first = 10, .last = 19, .type = F_WRLCK};
  EXPECT_SUCCESS(StartClaim(waiter, {.file = kFile, .lock = behind, .attempt = succeed})->Wait());
  EXPECT_SUCCESS(
      StartClaim(
          waiter,
          {.file = kFile, .lock = {.last = 9, .type = F_WRLCK}, .flock = true, .attempt = succeed})
          ->Wait());
  waiter.Reset();
  EXPECT_ERRNO(first->Wait(), EINTR);
}

TEST(LockWaiter, WhoHoldsWhatTheFirstWaitsForIsNotMadeToWaitForIt) {
  LockWaiter waiter(kLong, 10);
  const Waiting first =
      StartClaim(waiter, {.file = kFile, .lock = {.type = F_WRLCK}, .attempt = Never()});
  const Waiting holder = StartClaim(
      waiter, {.file = kFile, .lock = {.type = F_WRLCK}, .holds_others = true, .attempt = [] {
                 return ErrnoOr<void>();
               }});
  EXPECT_SUCCESS(holder->Wait());
  waiter.Reset();
  EXPECT_ERRNO(first->Wait(), EINTR);
}

}  // namespace
}  // namespace fsd::passthrough
