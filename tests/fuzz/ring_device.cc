#include "tests/fuzz/ring_device.h"

#include "server/errors/check.h"
#include "server/errors/status_macros.h"

namespace fsd::fuzz {
namespace {

// Of one ring at one time: a ring that is always full shall not stop the fuzzer.
constexpr int kMaxChains = 16;

// Whether the mapping's first and last byte are the guest's.
void CheckShared(const virtqueue::GuestMemory& memory, std::span<const iovec> pieces) {
  for (const iovec& piece : pieces) {
    if (piece.iov_len == 0) continue;
    const auto* const begin = static_cast<const std::byte*>(piece.iov_base);
    uint64_t address;
    FSD_CHECK(memory.GuestAddressOf(begin, address));
    FSD_CHECK(memory.GuestAddressOf(begin + piece.iov_len - 1, address));
  }
}

}  // namespace

void RingDevice::Answer(std::function<void()> answer) {
  if (defers) {
    owed_.push_back(std::move(answer));
  } else {
    answer();
  }
}

bool RingDevice::AnswerNext() {
  if (owed_.empty()) return false;
  const std::function<void()> answer = std::move(owed_.front());
  owed_.pop_front();
  answer();
  return true;
}

void RingDevice::SetMemory(std::shared_ptr<const virtqueue::GuestMemory> memory,
                           std::function<void()> done) {
  memory_ = std::move(memory);
  Answer(std::move(done));
}

void RingDevice::SetDirtyLog(std::shared_ptr<const virtqueue::DirtyLog> log) {
  log_ = std::move(log);
}

absl::Status RingDevice::StartVring(size_t index, vhost_user::VringStart start) {
  Ring& ring = rings_.at(index);
  FSD_CHECK(ring.queue == nullptr);
  // Making one reads the used index.
  if (memory_may_have_shrunk) return absl::FailedPreconditionError("the memory is gone");
  FSD_ASSIGN_OR_RETURN(ring.queue, virtqueue::Virtqueue::Create(start.setup, memory_));
  FSD_CHECK(ring.queue->next_available() == start.setup.next_available);
  ring.kick = std::move(start.kick);
  return absl::OkStatus();
}

void RingDevice::StopVring(size_t index, std::function<void(uint16_t)> done) {
  Ring& ring = rings_.at(index);
  FSD_CHECK(ring.queue != nullptr);
  ring.next_available = ring.queue->next_available();
  ring.queue.reset();
  ring.kick.reset();
  Answer([done = std::move(done), next = ring.next_available] { done(next); });
}

void RingDevice::SetVringEnabled(size_t index, bool enabled) {
  FSD_CHECK(rings_.at(index).enabled != enabled);
  rings_.at(index).enabled = enabled;
}

void RingDevice::SetVringCall(size_t index, os::UniqueFd call) {
  rings_.at(index).call = std::move(call);
}

void RingDevice::SetVringError(size_t index, os::UniqueFd error) {
  rings_.at(index).error = std::move(error);
}

void RingDevice::Reset(std::function<void()> done) {
  for (Ring& ring : rings_) {
    ring.queue.reset();
    ring.kick.reset();
    ring.enabled = false;
  }
  Answer(std::move(done));
}

void RingDevice::RunRings() {
  if (memory_may_have_shrunk) return;
  for (Ring& ring : rings_) {
    if (ring.queue != nullptr && ring.enabled) Run(ring);
  }
}

void RingDevice::Run(Ring& ring) {
  virtqueue::Virtqueue& queue = *ring.queue;
  queue.SuppressKicks(log_.get());
  storage_.resize(queue.max_chain_iovecs());
  for (int i = 0; i < kMaxChains; ++i) {
    const std::optional<uint16_t> head = queue.Pop();
    if (!head) break;
    FSD_CHECK(*head < queue.size());
    uint32_t written = 0;
    virtqueue::Chain chain;
    if (queue.Gather(*head, *memory_, storage_, chain).ok()) {
      CheckShared(*memory_, chain.readable);
      CheckShared(*memory_, chain.writable);
      written = static_cast<uint32_t>(chain.writable.size());
    }
    queue.Complete(*head, written, log_.get());
  }
  (void)queue.CallNeeded();
  (void)queue.RequestKicks(log_.get());
}

}  // namespace fsd::fuzz
