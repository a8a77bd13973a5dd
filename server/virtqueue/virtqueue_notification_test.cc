// When a virtqueue calls, when it asks for kicks, and what it logs.
#include <algorithm>
#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "server/os/mapped_memory.h"
#include "server/os/memory_file.h"
#include "server/virtqueue/dirty_log.h"
#include "server/virtqueue/fake_driver.h"
#include "server/virtqueue/virtqueue.h"

namespace fsd::virtqueue {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

// A driver and its queue.
struct Guest {
  explicit Guest(const FakeDriverOptions& options = {})
      : driver(options), queue(driver.MakeQueue()) {}

  // Publishes chains, pops and completes them.
  void Serve(int count) {
    for (int i = 0; i < count; ++i) {
      driver.Publish(0);
      queue->Complete(queue->Pop().value(), 0, nullptr);
    }
  }

  FakeDriver driver;
  std::unique_ptr<Virtqueue> queue;
};

// ---- Calls

TEST(VirtqueueCall, IsNotNeededWhenNothingWasCompleted) {
  Guest guest;
  EXPECT_FALSE(guest.queue->CallNeeded());
  Guest with_event_index({.event_index = true});
  EXPECT_FALSE(with_event_index.queue->CallNeeded());
}

TEST(VirtqueueCall, ComesForWhatWasToBeShownSoonAndShowsIt) {
  for (const bool event_index : {false, true}) {
    Guest guest({.event_index = event_index});
    guest.queue->Complete(0, 0, nullptr, Virtqueue::Show::kSoon);
    EXPECT_TRUE(guest.queue->CallNeeded());
    EXPECT_EQ(guest.driver.UsedIndex(), 1);
  }
}

TEST(VirtqueueCall, WithoutEventIndexTheFlagDecides) {
  Guest guest;
  guest.Serve(2);
  EXPECT_TRUE(guest.queue->CallNeeded());
  EXPECT_FALSE(guest.queue->CallNeeded()) << "once is enough";
  guest.driver.SetAvailableFlags(kAvailableNoInterrupt);
  guest.Serve(1);
  EXPECT_FALSE(guest.queue->CallNeeded());
  guest.driver.SetAvailableFlags(0);
  guest.Serve(1);
  EXPECT_TRUE(guest.queue->CallNeeded());
}

TEST(VirtqueueCall, WithEventIndexOnlyPassingTheEventCalls) {
  Guest guest({.event_index = true});
  guest.driver.SetUsedEvent(2);
  guest.driver.SetAvailableFlags(kAvailableNoInterrupt);  // means nothing now
  guest.Serve(2);
  EXPECT_FALSE(guest.queue->CallNeeded());
  guest.Serve(1);
  EXPECT_TRUE(guest.queue->CallNeeded());
  guest.Serve(5);
  EXPECT_FALSE(guest.queue->CallNeeded()) << "the event was passed before";
}

TEST(VirtqueueCall, CountsFromTheLastQuestion) {
  Guest guest({.event_index = true});
  guest.driver.SetUsedEvent(1);
  guest.Serve(5);
  EXPECT_TRUE(guest.queue->CallNeeded());
}

TEST(VirtqueueCall, PassesTheEventAcrossIndex65535) {
  Guest guest({.event_index = true, .start_index = 65534});
  guest.driver.SetUsedEvent(0);
  guest.Serve(2);  // used index 0
  EXPECT_FALSE(guest.queue->CallNeeded());
  guest.Serve(1);
  EXPECT_TRUE(guest.queue->CallNeeded());
  guest.driver.SetUsedEvent(65535);
  guest.Serve(3);
  EXPECT_FALSE(guest.queue->CallNeeded());
}

TEST(VirtqueueCall, AWholeRoundWithoutAQuestionIsNotNothing) {
  Guest guest({.event_index = true});
  guest.driver.SetUsedEvent(100);
  guest.Serve(65536);
  EXPECT_TRUE(guest.queue->CallNeeded());
}

// ---- Kicks

TEST(VirtqueueKick, WithEventIndexTheNextChainIsAskedFor) {
  Guest guest({.event_index = true, .start_index = 65535});
  guest.queue->SuppressKicks();
  guest.Serve(1);
  EXPECT_FALSE(guest.queue->RequestKicks());
  EXPECT_EQ(guest.driver.AvailEvent(), 0);
  guest.driver.Publish(0);
  EXPECT_TRUE(guest.driver.KickNeeded(0));
  EXPECT_EQ(guest.driver.UsedFlags(), 0) << "flags stay out of it";
}

// The driver publishes while we are still to ask for kicks: it sees the old event and stays quiet.
TEST(VirtqueueKick, AChainThatCameBeforeTheRequestIsReported) {
  Guest guest({.event_index = true});
  guest.Serve(3);
  ASSERT_FALSE(guest.queue->RequestKicks());
  guest.Serve(1);
  EXPECT_EQ(guest.queue->Pop(), std::nullopt);
  const uint16_t old = guest.driver.available_index();
  guest.driver.Publish(0);
  ASSERT_FALSE(guest.driver.KickNeeded(old));
  EXPECT_TRUE(guest.queue->RequestKicks());
  EXPECT_EQ(guest.queue->Pop(), 0);
}

TEST(VirtqueueKick, WithoutEventIndexTheFlagSuppresses) {
  Guest guest;
  guest.queue->SuppressKicks();
  EXPECT_EQ(guest.driver.UsedFlags(), kUsedNoNotify);
  EXPECT_EQ(guest.queue->Pop(), std::nullopt);
  guest.driver.Publish(0);
  ASSERT_FALSE(guest.driver.KickNeeded(0));
  EXPECT_TRUE(guest.queue->RequestKicks());
  EXPECT_EQ(guest.driver.UsedFlags(), 0);
  EXPECT_EQ(guest.queue->Pop(), 0);
  EXPECT_FALSE(guest.queue->RequestKicks());
}

// The owner looks at Pop's answer for a break; it must not go to sleep first.
TEST(VirtqueueKick, ANonsenseIndexWakesThePopper) {
  Guest guest({.event_index = true});
  EXPECT_EQ(guest.queue->Pop(), std::nullopt);
  guest.driver.SetAvailableIndex(1000);
  EXPECT_TRUE(guest.queue->RequestKicks());
  EXPECT_EQ(guest.queue->Pop(), std::nullopt);
  EXPECT_TRUE(guest.queue->broken());
}

// ---- The dirty log

class VirtqueueLogTest : public testing::Test {
 protected:
  static constexpr uint64_t kPage = 4096;

  std::unique_ptr<Virtqueue> MakeQueue(std::optional<uint64_t> used_log_address) const {
    VirtqueueSetup setup = driver_.setup();
    setup.used_log_address = used_log_address;
    return *Virtqueue::Create(setup, driver_.memory());
  }
  // The pages marked since this was last asked.
  std::vector<size_t> TakeMarked() const {
    std::vector<size_t> pages;
    for (size_t page = 0; page < view_.size() * 8; ++page) {
      if ((std::to_integer<int>(view_.data()[page / 8]) >> (page % 8)) & 1) pages.push_back(page);
    }
    std::fill_n(view_.data(), view_.size(), std::byte{0});
    return pages;
  }

  const FakeDriver driver_{{.size = 1024, .event_index = true, .start_index = 1022}};
  const os::UniqueFd file_ = *os::CreateMemoryFile("log", kPage);
  const os::MappedMemory view_ = *os::MappedMemory::MapShared(file_.get(), 0, kPage);
  const std::shared_ptr<const DirtyLog> log_ = *DirtyLog::Map(file_.get(), 0, kPage);
};

TEST_F(VirtqueueLogTest, MarksTheElementAndTheIndex) {
  const auto queue = MakeQueue(10 * kPage);
  queue->Complete(0, 0, log_.get());  // element 1022, at byte 8180 … 8187
  EXPECT_THAT(TakeMarked(), ElementsAre(10, 11));
  queue->Complete(0, 0, log_.get());  // element 1023, at byte 8188 … 8195
  EXPECT_THAT(TakeMarked(), ElementsAre(10, 11, 12));
  queue->Complete(0, 0, log_.get());  // element 0
  EXPECT_THAT(TakeMarked(), ElementsAre(10));
}

TEST_F(VirtqueueLogTest, WhatIsMarkedIsShownAtOnce) {
  const auto queue = MakeQueue(10 * kPage);
  queue->Complete(0, 0, log_.get(), Virtqueue::Show::kSoon);
  EXPECT_EQ(driver_.UsedIndex(), 1023);
}

TEST_F(VirtqueueLogTest, CountsFromTheExactLogAddress) {
  // The ring's index, bytes 2 and 3, is the last word of page 9; element 0 lies in page 10.
  const auto queue = MakeQueue(10 * kPage - 4);
  queue->Complete(0, 0, nullptr);
  queue->Complete(0, 0, nullptr);
  queue->Complete(0, 0, log_.get());
  EXPECT_THAT(TakeMarked(), ElementsAre(9, 10));
}

TEST_F(VirtqueueLogTest, MarksTheWishForKicks) {
  const auto queue = MakeQueue(10 * kPage);
  queue->RequestKicks(log_.get());  // avail_event, at byte 8196
  EXPECT_THAT(TakeMarked(), ElementsAre(12));
  queue->SuppressKicks(log_.get());  // writes nothing
  EXPECT_THAT(TakeMarked(), IsEmpty());
}

TEST_F(VirtqueueLogTest, MarksTheFlagsWithoutEventIndex) {
  VirtqueueSetup setup = driver_.setup();
  setup.event_index = false;
  setup.used_log_address = 20 * kPage;
  const auto queue = *Virtqueue::Create(setup, driver_.memory());
  queue->SuppressKicks(log_.get());
  EXPECT_THAT(TakeMarked(), ElementsAre(20));
  queue->RequestKicks(log_.get());
  EXPECT_THAT(TakeMarked(), ElementsAre(20));
}

TEST_F(VirtqueueLogTest, MarksNothingWithoutALogAddress) {
  const auto queue = MakeQueue(std::nullopt);
  queue->Complete(0, 0, log_.get());
  queue->RequestKicks(log_.get());
  EXPECT_THAT(TakeMarked(), IsEmpty());
}

}  // namespace
}  // namespace fsd::virtqueue
