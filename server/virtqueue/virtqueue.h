// Virtqueue: the device side of one running split virtqueue (virtio 1.2 §2.7).
//
// Knows rings, descriptors and notification suppression; nothing of vhost-user or FUSE. Everything
// the driver writes is fetched once and checked before use. A driver that breaks the ring's rules
// makes the queue `broken`: it yields nothing more until it is made anew.
//
// Threads: Pop, Gather, in_flight and the Kick functions belong to the one thread that runs the
// queue. Complete, ShowCompleted, CallNeeded and unanswered() may be called from any thread, but by
// one at a time: their caller has a lock around them anyway, and a second one would cost each
// request 20 ns.
#ifndef FSD_SERVER_VIRTQUEUE_VIRTQUEUE_H_
#define FSD_SERVER_VIRTQUEUE_VIRTQUEUE_H_

#include <sys/uio.h>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>

#include "absl/status/statusor.h"
#include "server/errors/errno_or.h"
#include "server/os/prefetch.h"
#include "server/virtqueue/dirty_log.h"
#include "server/virtqueue/guest_memory.h"
#include "server/virtqueue/guest_word.h"
#include "server/virtqueue/split_ring.h"

namespace fsd::virtqueue {

// Where a ring lies and how it is to be run.
struct VirtqueueSetup {
  uint16_t size = 0;  // descriptors; a power of two, 1 … 32768
  // In the VMM's addresses (vhost-user, SET_VRING_ADDR).
  uint64_t descriptor_address = 0;
  uint64_t available_address = 0;
  uint64_t used_address = 0;
  uint16_t next_available = 0;  // SET_VRING_BASE
  bool event_index = false;     // VIRTIO_RING_F_EVENT_IDX
  bool indirect = false;        // VIRTIO_RING_F_INDIRECT_DESC
  // VHOST_VRING_F_LOG: the used ring's writes are logged at this guest address.
  std::optional<uint64_t> used_log_address = std::nullopt;
};

// One request's buffers, in the host's addresses.
struct Chain {
  std::span<const iovec> readable;  // device-readable, first
  std::span<const iovec> writable;  // device-writable
};

// The longest chain that is accepted, in descriptors, whatever the queue's size: four times what
// the largest request takes, of 256 pages. A ring keeps room for so many for each of its heads, and
// a guest that makes the most of it shall not get more memory than this. Linux limits indirect
// tables to its own maximum, not to the ring's size.
inline constexpr size_t kMaxChainDescriptors = 1024;

class Virtqueue {
 public:
  // INVALID_ARGUMENT: a size that is no power of two, misaligned rings, or rings outside `memory`.
  static absl::StatusOr<std::unique_ptr<Virtqueue>> Create(
      const VirtqueueSetup& setup, std::shared_ptr<const GuestMemory> memory);

  uint16_t size() const { return size_; }
  // iovecs that a chain may need; what Gather's storage must hold. One a descriptor, and one more
  // for each border between regions.
  size_t max_chain_iovecs() const;

  // The next available chain's head, 0 … size - 1. Nothing if there is none or the queue is broken.
  std::optional<uint16_t> Pop();
  // Whether there is a next one: for who would rather look again than be kicked.
  bool AnyAvailable() const;
  // About how many chains the driver keeps in flight: the most that Pop has seen when it looked for
  // more, one less for each look since.
  uint16_t in_flight() const { return in_flight_; }
  // Collects the chain at `head`, translated by `memory`, into `storage`: `chain`, only if that
  // succeeds. On an errno the caller completes the head with length 0: EINVAL for a loop, a chain
  // too long, a writable descriptor before a readable one, an indirect table inside another or of a
  // wrong size; EFAULT for buffers that are not shared with us.
  ErrnoOr<void> Gather(uint16_t head, const GuestMemory& memory, std::span<iovec> storage,
                       Chain& chain) const;

  // Hands `head` back with `written` bytes in its writable part, and marks those rings' bytes in
  // `log` if there is one. (The payload's pages are marked by whoever wrote them.)
  //
  // The driver sees it now or, if there is no log, soon: with the next one that it sees now, or
  // when CallNeeded is asked. A driver that watches the index takes its line from us at each look,
  // and to get it back costs: a GETATTR 0.59 µs instead of 0.57, or, if the driver's processor is
  // far away, 0.78 instead of 0.68.
  enum class Show : bool { kNow, kSoon };
  void Complete(uint16_t head, uint32_t written, const DirtyLog* log, Show show = Show::kNow);
  // Shows the driver everything that was completed.
  void ShowCompleted();
  // One of the chains that were popped will be completed soon: fetches the used element's place.
  void PrefetchCompletion() const;
  // Whether the driver wants a call for what was completed since the last time this was asked.
  bool CallNeeded();

  // The driver need not kick while the queue is being drained. Marks what it writes in `log`.
  void SuppressKicks(const DirtyLog* log = nullptr);
  // The driver shall kick again. True if chains arrived meanwhile: pop on, no kick will come.
  bool RequestKicks(const DirtyLog* log = nullptr);

  // These may be asked from any thread.
  bool broken() const { return broken_reason() != nullptr; }
  // What the driver did wrong, for the log; nullptr while the queue is whole.
  const char* broken_reason() const { return broken_reason_.load(std::memory_order_relaxed); }
  // Popped, by this queue or one before it in the same ring, and not used yet.
  uint16_t unanswered() const;
  // What GET_VRING_BASE reports: the index of the next chain that has not been popped.
  uint16_t next_available() const { return next_available_.load(std::memory_order_relaxed); }

 private:
  // The three areas in the host's addresses (split_ring.h).
  struct Areas {
    const std::byte* descriptors;
    const std::byte* available;
    std::byte* used;
  };

  Virtqueue(const VirtqueueSetup& setup, const Areas& areas,
            std::shared_ptr<const GuestMemory> memory);

  // Looks at the driver's index again. Whether there is a chain to be popped.
  bool LookForMore(uint16_t next);
  void Break(const char* reason);
  void MarkUsed(const DirtyLog* log, size_t offset, size_t length) const;

  const std::shared_ptr<const GuestMemory> memory_;  // keeps the areas mapped
  const uint16_t size_;
  const bool event_index_;
  const bool indirect_;
  const std::optional<uint64_t> used_log_address_;

  const std::span<const Descriptor> descriptors_;
  const uint16_t* const available_flags_;
  const uint16_t* const available_index_;
  const uint16_t* const available_heads_;
  const uint16_t* const used_event_;  // only with event_index_
  uint16_t* const used_flags_;
  uint16_t* const used_index_;
  UsedElement* const used_elements_;
  uint16_t* const avail_event_;  // only with event_index_

  // Written by the queue's thread alone.
  std::atomic<uint16_t> next_available_;
  std::atomic<const char*> broken_reason_ = nullptr;
  uint16_t known_available_;  // the driver's index when it was last fetched
  uint16_t in_flight_ = 0;

  std::atomic<uint16_t> next_used_;  // read by PrefetchCompletion at any time
  // Completed since CallNeeded was last asked. Wider than an index: a whole round of the ring
  // without a question must not look like nothing.
  uint32_t uncalled_ = 0;
};

// Inline: as a function of its own it would put its result together in memory, and who loads that
// at once waits for its parts' stores.
[[gnu::always_inline]] inline std::optional<uint16_t> Virtqueue::Pop() {
  if (broken()) return std::nullopt;
  const uint16_t next = next_available();
  if (next == known_available_ && !LookForMore(next)) return std::nullopt;
  const uint16_t head = Fetch(&available_heads_[next & (size_ - 1)]);
  if (head >= size_) [[unlikely]] {
    Break("available head lies outside the descriptor table");
    return std::nullopt;
  }
  const auto after = static_cast<uint16_t>(next + 1);
  next_available_.store(after, std::memory_order_relaxed);
  if (after != known_available_) {
    // By the time this one is served the next one's descriptor is here.
    const uint16_t following = Fetch(&available_heads_[after & (size_ - 1)]);
    os::PrefetchToRead(&descriptors_[following & (size_ - 1)]);
  }
  return head;
}

}  // namespace fsd::virtqueue

#endif  // FSD_SERVER_VIRTQUEUE_VIRTQUEUE_H_
