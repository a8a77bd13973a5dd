// VirtioFsDeviceFixture: a device with one guest of two rings, its test being the control thread.
#ifndef FSD_SERVER_WORKER_VIRTIO_FS_DEVICE_FIXTURE_H_
#define FSD_SERVER_WORKER_VIRTIO_FS_DEVICE_FIXTURE_H_

#include <poll.h>

#include <array>
#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <thread>
#include <utility>

#include "absl/time/time.h"
#include "gtest/gtest.h"
#include "server/fuse/session.h"
#include "server/os/cycle_clock.h"
#include "server/virtqueue/split_ring.h"
#include "server/worker/fake_guest.h"
#include "server/worker/gated_filesystem.h"
#include "server/worker/task_queue.h"
#include "server/worker/virtio_fs_device.h"

namespace fsd::worker {

class VirtioFsDeviceFixture : public ::testing::Test {
 protected:
  static constexpr size_t kHighPriorityQueue = 0;
  static constexpr size_t kRequestQueue = 1;
  // One for each of the device's rings, and those to spare.
  static constexpr uint16_t kMostThreads = 3 + 4;

  void SetUp() override {
    device_ = *VirtioFsDevice::Create({.export_name = "test",
                                       .tag = "myfs",
                                       .request_queues = 2,
                                       .drain_patience = drain_patience_,
                                       .clock = clock_,
                                       .limits_clock = limits_clock_,
                                       .on_session_ended = [] {}},
                                      session_, *tasks_);
    ASSERT_TRUE(SetMemory(guest_.memory()));
  }
  void TearDown() override {
    filesystem_.blocking_gate.Open();
    filesystem_.other_gate.Open();
    filesystem_.fsync_gate.Open();
    filesystem_.reset_gate.Open();
    ASSERT_TRUE(Reset());
  }

  // Before SetUp.
  absl::Duration drain_patience_ = absl::Hours(1);
  std::optional<os::CycleClock> clock_;
  RequestLimits::Clock limits_clock_ = std::chrono::steady_clock::now;

  // Runs the control thread's tasks until `reached`. False after a minute without a task.
  [[nodiscard]] bool Pump(const std::function<bool()>& reached) {
    while (!reached()) {
      if (!RunOnce()) return false;
    }
    return true;
  }
  // Waits for a task or a tick and does what is due. False after the timeout.
  [[nodiscard]] bool RunOnce(int timeout_ms = 60'000) {
    std::array<pollfd, 2> fds{{{.fd = tasks_->fd(), .events = POLLIN, .revents = 0},
                               {.fd = device_->tick_fd(), .events = POLLIN, .revents = 0}}};
    if (::poll(fds.data(), fds.size(), timeout_ms) <= 0) return false;
    if (fds[0].revents != 0) tasks_->Run();
    if (fds[1].revents != 0) device_->OnTick();
    return true;
  }
  // As AwaitUsed of the ring, while the control thread works.
  [[nodiscard]] bool PumpUsed(uint16_t count) { return PumpUsed(ring_, count); }
  [[nodiscard]] bool PumpUsed(const FakeRing& ring, uint16_t count) {
    for (int i = 0; i < 6000 && ring.UsedIndex() != count; ++i) static_cast<void>(RunOnce(10));
    return ring.UsedIndex() == count;
  }
  // The same until it calls.
  [[nodiscard]] bool PumpCall() {
    pollfd call{.fd = ring_.call_fd(), .events = POLLIN, .revents = 0};
    for (int i = 0; i < 6000 && ::poll(&call, 1, 0) == 0; ++i) static_cast<void>(RunOnce(10));
    return ::poll(&call, 1, 0) == 1;
  }
  // Until it is in use alone.
  [[nodiscard]] bool SetMemory(std::shared_ptr<const virtqueue::GuestMemory> memory) {
    bool done = false;
    device_->SetMemory(std::move(memory), [&done] { done = true; });
    return Pump([&done] { return done; });
  }
  [[nodiscard]] bool Reset() {
    bool done = false;
    device_->Reset([&done] { done = true; });
    return Pump([&done] { return done; });
  }

  // Starts the request queue with the ring's kick and call.
  absl::Status Start(uint16_t next_available = 0) {
    return Start(kRequestQueue, ring_, next_available);
  }
  absl::Status Start(size_t queue, const FakeRing& ring, uint16_t next_available) {
    vhost_user::VringStart start{.setup = ring.setup(), .kick = ring.GiveKick()};
    start.setup.next_available = next_available;
    device_->SetVringCall(queue, ring.GiveCall());
    return device_->StartVring(queue, std::move(start));
  }
  // The same, enabled, with a guest that has mounted (head 0).
  void StartMounted() {
    device_->SetVringEnabled(kRequestQueue, true);
    ASSERT_TRUE(Start().ok());
    ring_.OfferInit(0);
    ring_.Kick();
    ASSERT_TRUE(ring_.AwaitUsed(1));
  }
  // Waits until the ring's thread has gone to sleep: what is offered then is one batch.
  void AwaitRest() {
    const std::atomic_ref flags(*guest_.At<uint16_t>(ring_.used_address()));
    while (flags.load() == virtqueue::kUsedNoNotify) std::this_thread::yield();
  }
  // Stops a queue and waits for it; results in the index of the next chain.
  std::optional<uint16_t> Stop(size_t queue = kRequestQueue) {
    std::optional<uint16_t> next;
    device_->StopVring(queue, [&next](uint16_t index) { next = index; });
    if (!Pump([&next] { return next.has_value(); })) return std::nullopt;
    return next;
  }
  // Returns once a queue thread that has served before has looked at its ring again, if it may.
  [[nodiscard]] bool AwaitOneLook() {
    for (int i = 0; i < 2; ++i) {
      if (!SetMemory(guest_.MapAgain())) return false;
    }
    return true;
  }

  const std::unique_ptr<TaskQueue> tasks_ = *TaskQueue::Create();
  FakeGuest guest_;
  FakeRing ring_{guest_, 0};
  GatedFilesystem filesystem_;
  fuse::Session session_{filesystem_, {.export_name = "test"}, nullptr, nullptr};
  std::unique_ptr<VirtioFsDevice> device_;
};

}  // namespace fsd::worker

#endif  // FSD_SERVER_WORKER_VIRTIO_FS_DEVICE_FIXTURE_H_
