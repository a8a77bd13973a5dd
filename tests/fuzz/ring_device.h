// RingDevice: a vhost-user device for the fuzzer, which looks into the rings that it is given.
//
// It answers at once or, while `defers`, when AnswerNext is called. It pops what a started ring
// offers, gathers it and hands it back, on the caller's thread; unless the memory may have shrunk,
// as only a whole worker may die of that.
#ifndef FSD_TESTS_FUZZ_RING_DEVICE_H_
#define FSD_TESTS_FUZZ_RING_DEVICE_H_

#include <sys/uio.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <span>
#include <utility>
#include <vector>

#include "server/os/unique_fd.h"
#include "server/vhost_user/device.h"
#include "server/virtqueue/dirty_log.h"
#include "server/virtqueue/guest_memory.h"
#include "server/virtqueue/virtqueue.h"

namespace fsd::fuzz {

class RingDevice : public vhost_user::Device {
 public:
  size_t queue_count() const override { return rings_.size(); }
  std::span<const std::byte> config() const override { return config_; }
  void SetMemory(std::shared_ptr<const virtqueue::GuestMemory> memory,
                 std::function<void()> done) override;
  void SetDirtyLog(std::shared_ptr<const virtqueue::DirtyLog> log) override;
  absl::Status StartVring(size_t index, vhost_user::VringStart start) override;
  void StopVring(size_t index, std::function<void(uint16_t)> done) override;
  void SetVringEnabled(size_t index, bool enabled) override;
  void SetVringCall(size_t index, os::UniqueFd call) override;
  void SetVringError(size_t index, os::UniqueFd error) override;
  void Reset(std::function<void()> done) override;

  // Gives the answer that has been owed the longest. False if none is.
  bool AnswerNext();
  // Serves what the started rings offer.
  void RunRings();

  bool defers = false;
  bool memory_may_have_shrunk = false;

 private:
  struct Ring {
    std::unique_ptr<virtqueue::Virtqueue> queue;  // while it is started
    uint16_t next_available = 0;
    bool enabled = false;
    os::UniqueFd kick;
    os::UniqueFd call;
    os::UniqueFd error;
  };

  void Answer(std::function<void()> answer);
  void Run(Ring& ring);

  std::array<Ring, 3> rings_;
  std::array<std::byte, 40> config_{};
  std::shared_ptr<const virtqueue::GuestMemory> memory_ =
      std::make_shared<const virtqueue::GuestMemory>();
  std::shared_ptr<const virtqueue::DirtyLog> log_;
  std::deque<std::function<void()>> owed_;
  std::vector<iovec> storage_;
};

}  // namespace fsd::fuzz

#endif  // FSD_TESTS_FUZZ_RING_DEVICE_H_
