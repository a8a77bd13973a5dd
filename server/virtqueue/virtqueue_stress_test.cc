// Driver and device at work on one ring, each in its thread, both asleep whenever they may be. A
// lost kick or call leaves both asleep for good, which shows as a poll that times out; an ordering
// that is missing shows under ThreadSanitizer or as wrong bytes.
#include <poll.h>

#include <cstdint>
#include <deque>
#include <optional>
#include <thread>
#include <vector>

#include "gtest/gtest.h"
#include "server/os/event_fd.h"
#include "server/os/mutex.h"
#include "server/virtqueue/fake_driver.h"
#include "server/virtqueue/virtqueue.h"

namespace fsd::virtqueue {
namespace {

constexpr uint32_t kRequests = 100'000;
constexpr uint64_t kSlotBytes = 64;
constexpr int kLostMs = 30'000;

// False if nothing came for so long that it must be lost.
bool Wait(const os::EventFd& event) {
  pollfd entry{.fd = event.fd(), .events = POLLIN, .revents = 0};
  if (::poll(&entry, 1, kLostMs) != 1) return false;
  event.Drain();
  return true;
}

// The device's answer to a request.
constexpr uint64_t Answer(uint64_t request) { return ~request; }
// Replies vary in length, to tell one used element from another.
constexpr uint32_t AnswerLength(uint64_t request) { return 8 + request % 5; }

class Device {
 public:
  Device(const FakeDriver& driver, const os::EventFd& kick, const os::EventFd& call)
      : memory_(driver.memory()), queue_(driver.MakeQueue()), kick_(kick), call_(call) {}

  // Answers kRequests requests; those of odd heads in another thread, so out of order.
  void Run() {
    std::thread helper([this] { Help(); });
    std::vector<iovec> storage(queue_->max_chain_iovecs());
    for (uint32_t served = 0; served < kRequests;) {
      queue_->SuppressKicks();
      while (const std::optional<uint16_t> head = queue_->Pop()) {
        Take(*head, storage);
        ++served;
      }
      CallIfNeeded();
      if (served == kRequests || queue_->RequestKicks()) continue;
      if (!Wait(kick_)) {
        ADD_FAILURE() << "no kick after " << served << " requests";
        break;
      }
    }
    Hand(std::nullopt);
    helper.join();
    EXPECT_FALSE(queue_->broken());
  }

 private:
  struct Work {
    uint16_t head;
    const uint64_t* request;
    uint64_t* reply;
  };

  void Take(uint16_t head, std::span<iovec> storage) {
    Chain chain;
    ASSERT_TRUE(queue_->Gather(head, *memory_, storage, chain).ok());
    const Work work{.head = head,
                    .request = static_cast<const uint64_t*>(chain.readable[0].iov_base),
                    .reply = static_cast<uint64_t*>(chain.writable[0].iov_base)};
    if (head % 2 == 1) {
      Hand(work);
    } else {
      Serve(work);
    }
  }

  void Serve(const Work& work) {
    const uint64_t request = *work.request;
    *work.reply = Answer(request);
    const os::MutexLock lock(used_mutex_);
    queue_->Complete(work.head, AnswerLength(request), nullptr,
                     request % 3 == 0 ? Virtqueue::Show::kNow : Virtqueue::Show::kSoon);
  }

  void CallIfNeeded() {
    const os::MutexLock lock(used_mutex_);
    if (queue_->CallNeeded()) call_.Signal();
  }

  void Hand(const std::optional<Work>& work) {
    const os::MutexLock lock(mutex_);
    work_.push_back(work);
    ready_.NotifyOne();
  }

  void Help() {
    while (true) {
      std::optional<Work> work;
      {
        const os::MutexLock lock(mutex_);
        while (work_.empty()) ready_.Wait(mutex_);
        work = work_.front();
        work_.pop_front();
      }
      if (!work.has_value()) return;
      Serve(*work);
      CallIfNeeded();
    }
  }

  const std::shared_ptr<const GuestMemory> memory_;
  const std::unique_ptr<Virtqueue> queue_;
  os::Mutex used_mutex_;
  const os::EventFd& kick_;
  const os::EventFd& call_;
  os::Mutex mutex_;
  os::CondVar ready_;
  std::deque<std::optional<Work>> work_ ABSL_GUARDED_BY(mutex_);
};

// Drives the ring as Linux does: fills it, kicks if asked to, takes what is used, sleeps.
class Driver {
 public:
  Driver(FakeDriver& ring, const FakeDriverOptions& options, const os::EventFd& kick,
         const os::EventFd& call)
      : ring_(ring),
        event_index_(options.event_index),
        kick_(kick),
        call_(call),
        next_used_(options.start_index) {
    for (int slot = 0; slot < options.size / 2; ++slot) {
      const auto head = static_cast<uint16_t>(2 * slot + slot % 2);  // even and odd ones
      const uint64_t data = Data(head);
      const auto other = static_cast<uint16_t>(head ^ 1);
      ring_.SetDescriptor(head,
                          {.address = data, .length = 8, .flags = kDescriptorNext, .next = other});
      ring_.SetDescriptor(other, {.address = data + 8, .length = 56, .flags = kDescriptorWrite});
      free_.push_back(head);
    }
  }

  void Run() {
    uint32_t sent = 0;
    for (uint32_t done = 0; done < kRequests;) {
      const uint16_t old = ring_.available_index();
      while (!free_.empty() && sent < kRequests) Send(sent++);
      if (old != ring_.available_index() && ring_.KickNeeded(old)) kick_.Signal();
      const uint32_t taken = TakeUsed();
      done += taken;
      if (taken > 0 || done == kRequests) continue;
      if (AskForCalls()) continue;
      if (!Wait(call_)) {
        ADD_FAILURE() << "no call after " << done << " requests";
        return;
      }
      if (!event_index_) ring_.SetAvailableFlags(kAvailableNoInterrupt);
    }
  }

 private:
  static uint64_t Data(uint16_t head) { return FakeDriver::kData + head * kSlotBytes; }

  void Send(uint32_t number) {
    const uint16_t head = free_.front();
    free_.pop_front();
    *ring_.At<uint64_t>(Data(head)) = number;
    ring_.Publish(head);
  }

  uint32_t TakeUsed() {
    uint32_t taken = 0;
    for (; next_used_ != ring_.UsedIndex(); ++next_used_, ++taken) {
      const UsedElement used = ring_.UsedAt(next_used_);
      const auto head = static_cast<uint16_t>(used.id);
      const uint64_t request = *ring_.At<uint64_t>(Data(head));
      EXPECT_EQ(*ring_.At<uint64_t>(Data(head) + 8), Answer(request));
      EXPECT_EQ(used.length, AnswerLength(request));
      free_.push_back(head);
    }
    return taken;
  }

  // True if something was used meanwhile.
  bool AskForCalls() {
    if (event_index_) {
      ring_.SetUsedEvent(next_used_);
    } else {
      ring_.SetAvailableFlags(0);
    }
    return ring_.UsedIndex() != next_used_;
  }

  FakeDriver& ring_;
  const bool event_index_;
  const os::EventFd& kick_;
  const os::EventFd& call_;
  uint16_t next_used_;
  std::deque<uint16_t> free_;
};

class VirtqueueStressTest : public testing::TestWithParam<FakeDriverOptions> {};

TEST_P(VirtqueueStressTest, EveryRequestIsAnsweredOnceAndNobodySleepsForever) {
  const os::EventFd kick = *os::EventFd::Create();
  const os::EventFd call = *os::EventFd::Create();
  FakeDriver ring(GetParam());
  Device device(ring, kick, call);
  Driver driver(ring, GetParam(), kick, call);

  std::thread device_thread([&device] { device.Run(); });
  driver.Run();
  device_thread.join();
}

INSTANTIATE_TEST_SUITE_P(
    Rings, VirtqueueStressTest,
    testing::Values(FakeDriverOptions{.size = 2, .event_index = true, .start_index = 65000},
                    FakeDriverOptions{.size = 64, .event_index = true, .start_index = 65000},
                    FakeDriverOptions{.size = 2, .event_index = false, .start_index = 65000},
                    FakeDriverOptions{.size = 64, .event_index = false, .start_index = 65000}));

}  // namespace
}  // namespace fsd::virtqueue
