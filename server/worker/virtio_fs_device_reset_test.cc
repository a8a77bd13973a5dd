// How a VirtioFsDevice ends a guest's life, again and again.

#include <sys/eventfd.h>
#include <unistd.h>

#include <filesystem>
#include <iterator>
#include <utility>

#include "gtest/gtest.h"
#include "server/os/event_fd.h"
#include "server/os/thread.h"
#include "server/worker/virtio_fs_device_fixture.h"

namespace fsd::worker {
namespace {

constexpr auto kRoot = static_cast<uint64_t>(backends::kRootNodeId);
constexpr auto kPending = static_cast<uint64_t>(GatedFilesystem::kPendingNode);

size_t CountEntries(const char* directory) {
  const std::filesystem::directory_iterator entries(directory);
  return static_cast<size_t>(std::distance(begin(entries), end(entries)));
}

using VirtioFsDeviceResetTest = VirtioFsDeviceFixture;

TEST_F(VirtioFsDeviceResetTest, StopsEveryRingAndEndsTheSession) {
  StartMounted();
  const size_t resets = filesystem_.resets;

  ASSERT_TRUE(Reset());

  EXPECT_EQ(filesystem_.resets, resets + 1);
  // Stopped, and disabled: it starts again but serves nothing.
  ring_.OfferGetAttributes(2, kRoot);
  ASSERT_TRUE(Start(1).ok());
  ASSERT_TRUE(AwaitOneLook());
  EXPECT_EQ(ring_.UsedIndex(), 1u);
}

TEST_F(VirtioFsDeviceResetTest, DoesNotEndTheSessionBeforeItsRequestsAreDone) {
  StartMounted();
  ring_.OfferGetAttributes(2, kPending);
  ring_.Kick();
  ASSERT_TRUE(filesystem_.AwaitPending(1002));
  const size_t resets = filesystem_.resets;

  bool done = false;
  device_->Reset([&done] { done = true; });
  tasks_->Run();
  EXPECT_FALSE(done);
  EXPECT_EQ(filesystem_.resets, resets);

  ASSERT_TRUE(filesystem_.CompletePending(1002));
  ASSERT_TRUE(Pump([&done] { return done; }));
  EXPECT_EQ(filesystem_.resets, resets + 1);
}

TEST_F(VirtioFsDeviceResetTest, ASessionThatIsSlowToEndDoesNotBlockTheControlThread) {
  filesystem_.reset_gate.Close();
  bool done = false;

  device_->Reset([&done] { done = true; });
  ASSERT_TRUE(filesystem_.reset_gate.AwaitWaiting(1));
  tasks_->Run();
  EXPECT_FALSE(done);
  EXPECT_EQ(Start().code(), absl::StatusCode::kFailedPrecondition);

  filesystem_.reset_gate.Open();
  EXPECT_TRUE(Pump([&done] { return done; }));
}

TEST_F(VirtioFsDeviceResetTest, DropsTheFunctionsOfEarlierCalls) {
  StartMounted();
  ring_.OfferGetAttributes(2, kPending);
  ring_.Kick();
  ASSERT_TRUE(filesystem_.AwaitPending(1002));
  bool called = false;
  device_->SetMemory(guest_.MapAgain(), [&called] { called = true; });
  device_->StopVring(kRequestQueue, [&called](uint16_t) { called = true; });
  device_->StopVring(2, [&called](uint16_t) { called = true; });
  device_->Reset([&called] { called = true; });

  bool done = false;
  device_->Reset([&done] { done = true; });
  ASSERT_TRUE(filesystem_.CompletePending(1002));

  ASSERT_TRUE(Pump([&done] { return done; }));
  EXPECT_FALSE(called);
}

TEST_F(VirtioFsDeviceResetTest, KeepsTheCallForARingThatStartsAgain) {
  StartMounted();
  ASSERT_TRUE(Reset());
  os::EventFd::DrainFd(ring_.call_fd());

  // As QEMU after RESET_DEVICE: fresh rings, but no eventfds.
  FakeRing fresh(guest_, 1);
  device_->SetVringEnabled(kRequestQueue, true);
  ASSERT_TRUE(
      device_->StartVring(kRequestQueue, {.setup = fresh.setup(), .kick = fresh.GiveKick()}).ok());
  fresh.OfferInit(0);
  fresh.Kick();

  EXPECT_TRUE(AwaitReadable(ring_.call_fd()));
}

TEST_F(VirtioFsDeviceResetTest, AThousandStartsAndStopsLeaveNothingBehind) {
  StartMounted();
  ASSERT_TRUE(Stop().has_value());
  const size_t fds = CountEntries("/proc/self/fd");
  const size_t threads = CountEntries("/proc/self/task");

  for (uint16_t cycle = 1; cycle <= 1000; ++cycle) {
    ring_.OfferGetAttributes(2, kRoot);
    ASSERT_TRUE(Start(cycle).ok());
    ASSERT_TRUE(ring_.AwaitUsed(static_cast<uint16_t>(cycle + 1)));
    ASSERT_EQ(Stop(), cycle + 1);
  }

  EXPECT_EQ(CountEntries("/proc/self/fd"), fds);
  // A ring that starts while the last run's thread is on its way back takes a spare one.
  EXPECT_LE(CountEntries("/proc/self/task"), threads + 6);
  ASSERT_TRUE(Reset());
  EXPECT_LT(CountEntries("/proc/self/task"), threads);
}

TEST_F(VirtioFsDeviceResetTest, RingsThatStopWhileRequestsCompleteElsewhereLoseNone) {
  StartMounted();
  for (uint16_t round = 0; round < 200; ++round) {
    for (uint16_t head = 2; head < 10; head += 2) ring_.OfferGetAttributes(head, kPending);
    ring_.Kick();
    ASSERT_TRUE(filesystem_.AwaitPending(1008));
    ErrnoOr<os::Thread> completer = os::Thread::Start("completer", [this] {
      for (uint16_t head = 8; head > 0; head -= 2) {
        if (!filesystem_.CompletePending(1000U + head)) return;
      }
    });

    const std::optional<uint16_t> next = Stop();
    ASSERT_TRUE(next.has_value());
    EXPECT_EQ(ring_.UsedIndex(), *next);
    ASSERT_TRUE(Start(*next).ok());
    ASSERT_TRUE(ring_.AwaitUsed(static_cast<uint16_t>(1 + 4 * (round + 1))));
  }
}

}  // namespace
}  // namespace fsd::worker
