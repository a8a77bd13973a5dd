// How a VirtioFsDevice goes on while a thread closes what FORGETs have let go, and that hangs.

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <array>
#include <utility>

#include "gtest/gtest.h"
#include "server/os/unique_fd.h"
#include "server/worker/virtio_fs_device_fixture.h"

namespace fsd::worker {
namespace {

// A descriptor whose last close(2) waits until what was sent is taken.
class HangingDescriptor {
 public:
  HangingDescriptor() {
    const os::UniqueFd listener(::socket(AF_INET, SOCK_STREAM, 0));
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t bytes = sizeof address;
    auto* const raw = reinterpret_cast<sockaddr*>(&address);
    os::UniqueFd sender(::socket(AF_INET, SOCK_STREAM, 0));
    const linger for_a_minute{.l_onoff = 1, .l_linger = 60};
    EXPECT_TRUE(
        ::bind(listener.get(), raw, bytes) == 0 && ::listen(listener.get(), 1) == 0 &&
        ::getsockname(listener.get(), raw, &bytes) == 0 &&
        ::connect(sender.get(), raw, bytes) == 0 &&
        ::setsockopt(sender.get(), SOL_SOCKET, SO_LINGER, &for_a_minute, sizeof for_a_minute) == 0);
    receiver_.reset(::accept(listener.get(), nullptr, nullptr));
    static constexpr std::array<char, 65536> kData{};
    while (::send(sender.get(), kData.data(), kData.size(), MSG_DONTWAIT) > 0) continue;
    fd_ = sender.release();
  }

  // To be closed by another.
  int fd() const { return fd_; }
  bool closed() const { return ::fcntl(fd_, F_GETFD) < 0; }
  void EndTheHang() { receiver_.reset(); }

 private:
  os::UniqueFd receiver_;
  int fd_ = -1;
};

class VirtioFsDeviceClosingTest : public VirtioFsDeviceFixture {
 protected:
  void SetUp() override {
    drain_patience_ = absl::Milliseconds(20);
    VirtioFsDeviceFixture::SetUp();
    // What is revoked is not to be the driver's own mapping.
    ASSERT_TRUE(SetMemory(guest_.MapAgain()));
    StartMounted();
    device_->SetVringEnabled(kHighPriorityQueue, true);
    ASSERT_TRUE(Start(kHighPriorityQueue, high_, 0).ok());
    filesystem_.to_close = hanging_.fd();
  }
  void TearDown() override {
    hanging_.EndTheHang();
    VirtioFsDeviceFixture::TearDown();
  }

  void OfferForget(uint16_t head) {
    high_.Offer(head, FUSE_FORGET, 7, fuse_forget_in{.nlookup = 1}, 0);
  }
  // False after a minute.
  [[nodiscard]] bool AwaitClosing() {
    for (int i = 0; i < 6000 && !hanging_.closed(); ++i) static_cast<void>(RunOnce(10));
    return hanging_.closed();
  }
  // Serves one FORGET, and hangs after it.
  void HangAfterOne() {
    OfferForget(0);
    high_.Kick();
    ASSERT_TRUE(PumpUsed(high_, 1));
    ASSERT_TRUE(AwaitClosing());
  }

  FakeRing high_{guest_, 1};
  HangingDescriptor hanging_;
};

TEST_F(VirtioFsDeviceClosingTest, AnotherThreadServesTheRing) {
  HangAfterOne();

  OfferForget(2);
  high_.Kick();

  EXPECT_TRUE(PumpUsed(high_, 2));
}

TEST_F(VirtioFsDeviceClosingTest, AStopIsAnsweredAndTheRingStartsAgain) {
  HangAfterOne();

  ASSERT_EQ(Stop(kHighPriorityQueue), 1);
  ASSERT_TRUE(Start(kHighPriorityQueue, high_, 1).ok());
  OfferForget(2);
  high_.Kick();

  EXPECT_TRUE(PumpUsed(high_, 2));
  EXPECT_EQ(Stop(kHighPriorityQueue), 2);
}

TEST_F(VirtioFsDeviceClosingTest, AResetIsDone) {
  HangAfterOne();

  EXPECT_TRUE(Reset());
  EXPECT_TRUE(device_->stuck());

  hanging_.EndTheHang();
  EXPECT_TRUE(Pump([this] { return !device_->stuck(); }));
}

TEST_F(VirtioFsDeviceClosingTest, AThreadThatHasLostItsRingIsWaitedForUntilItHasClosed) {
  filesystem_.blocking_gate.Close();
  OfferForget(0);
  high_.OfferGetAttributes(2, static_cast<uint64_t>(GatedFilesystem::kBlockingNode));
  high_.Kick();
  ASSERT_TRUE(filesystem_.blocking_gate.AwaitWaiting(1));
  ASSERT_EQ(Stop(kHighPriorityQueue), 2);

  ASSERT_TRUE(Reset());
  filesystem_.blocking_gate.Open();
  ASSERT_TRUE(AwaitClosing());
  static_cast<void>(RunOnce(100));

  EXPECT_TRUE(device_->stuck());
  hanging_.EndTheHang();
  EXPECT_TRUE(Pump([this] { return !device_->stuck(); }));
}

}  // namespace
}  // namespace fsd::worker
