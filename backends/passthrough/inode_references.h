// InodeReferences: how the inodes of the table are held: by an O_PATH fd while there is room, and
// beyond a budget of fds, the least recently used, by host handle.
//
// An inode held by handle ("demoted") has fd -1 in its record, and its handle in an array of its
// own, by slot. Open() makes it an fd again, through the HandleBroker; while the inode is pinned it
// then stays one. Demote() takes, in batches, inodes that nobody has pinned, in a clock's order.
// Never demoted: the root, an inode that may have no name (its handle would not find it once the
// last fd is closed), and what the host has no handle for.
//
// Without a broker nothing is demoted, and the budget's end is ENFILE.
//
// Any thread. Lock order: the batch's lock, an inode's lock (its shard's), the mounts' lock.
#ifndef FSD_BACKENDS_PASSTHROUGH_INODE_REFERENCES_H_
#define FSD_BACKENDS_PASSTHROUGH_INODE_REFERENCES_H_

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "backends/passthrough/clock_hand.h"
#include "backends/passthrough/component_name.h"
#include "backends/passthrough/handle_broker.h"
#include "backends/passthrough/inode.h"
#include "backends/passthrough/mount_references.h"
#include "backends/passthrough/slot_table.h"
#include "server/errors/errno_or.h"
#include "server/os/mutex.h"
#include "server/os/unique_fd.h"

namespace fsd::passthrough {

class InodeReferences {
 public:
  using Slots = SlotTable<InodeRecord>;
  using Pin = Slots::Pin;
  // The lock under which an inode's record changes.
  using LockOf = std::function<os::Mutex&(const InodeKey&)>;

  // What handles need. `proc_self_fd` is borrowed; `root_mount` is open on the root's mount, so
  // that when there is no fd to be had, room can still be made.
  struct Handles {
    std::unique_ptr<HandleBroker> broker;
    int proc_self_fd;
    os::UniqueFd root_mount;
    SlotMemory memory;
    ClockHand candidates;

    // For a table of `slots` slots.
    static ErrnoOr<Handles> Create(std::unique_ptr<HandleBroker> broker, int proc_self_fd,
                                   os::UniqueFd root_mount, uint32_t slots);
  };

  InodeReferences(Slots& slots, LockOf lock_of, uint64_t max_fds, std::optional<Handles> handles);

  // One fd's share of the budget; given back unless kept.
  class Share {
   public:
    Share() = default;
    explicit Share(InodeReferences* owner) : owner_(owner) {}
    Share(Share&& other) noexcept : owner_(std::exchange(other.owner_, nullptr)) {}
    Share& operator=(Share&& other) noexcept {
      std::swap(owner_, other.owner_);
      return *this;
    }
    ~Share() {
      if (owner_ != nullptr) owner_->fds_.fetch_sub(1, std::memory_order_relaxed);
    }
    explicit operator bool() const { return owner_ != nullptr; }
    void Keep() { owner_ = nullptr; }

   private:
    InodeReferences* owner_ = nullptr;
  };
  // Room for one fd more, made by demoting others if need be; waits a while for it if inodes
  // without a name are about to be forgotten; ENFILE if there is none.
  ErrnoOr<Share> TakeShare();
  // Empty if there is none without more ado.
  Share TryTakeShare();

  // The root's record, always open, has been published.
  void PublishedRoot(const InodeRecord& root);
  // A record with an fd has been published, and its share kept.
  void Published(uint32_t index) {
    FoundRoom();
    if (handles_) handles_->candidates.Add(index);
  }
  // A record is disposed of.
  void Dispose(uint32_t index, InodeRecord& record);

  // Whether the inode is held by an fd. Stays so while it is pinned or under its lock.
  static bool IsOpen(const InodeRecord& record) {
    return std::atomic_ref(const_cast<int32_t&>(record.fd)).load(std::memory_order_acquire) >= 0;
  }
  // Of a demoted inode, under its lock or pinned.
  const HostHandle& HandleAt(uint32_t index) const { return Issued(index).handle; }

  enum class Budget : bool { kKept, kIgnored };
  // Sees to it that the inode is held by an fd. ESTALE if it is gone; ENFILE.
  [[gnu::cold]] ErrnoOr<void> Open(const Pin& pin, Budget budget = Budget::kKept);

  // For an inode that is held by an fd opened by handle, and that we are refused for that (see
  // handle_broker.h): opens it for I/O by its handle. `flags` as HandleBroker::OpenForIo(). EACCES
  // if it has no handle, or is no regular file.
  ErrnoOr<os::UniqueFd> OpenForIo(const Pin& pin, int flags);
  // The same for another name. `refused`, what we were told, if it has no handle.
  ErrnoOr<void> Link(const Pin& pin, int directory, const ComponentName& name, Errno refused);

  // Demotes some. False if that is not possible, and nobody else has made room meanwhile.
  bool MakeRoom();

  // An operation that may take an inode its last name. While a guarded one holds a pin on that
  // inode, it cannot be demoted; an unguarded one, begun when nothing was near to being demoted,
  // puts demotion off.
  bool CanDemote() const { return handles_.has_value(); }
  bool BeginUnguarded();
  void EndUnguarded() { unguarded_.fetch_sub(1); }

  uint64_t fds() const { return fds_.load(std::memory_order_relaxed); }
  uint64_t demoted() const { return demoted_.load(std::memory_order_relaxed); }
  // How many of those held by fd were found to have no name, or to have it unknown.
  uint64_t nameless() const { return nameless_.load(std::memory_order_relaxed); }
  // Has `tell` called when there is no room, and then again when there has been some in between.
  // Before the first TakeShare().
  void WhenRefused(std::function<void()> tell) { when_refused_ = std::move(tell); }
  // There is no room in the table of slots.
  void Refuse();
  // How often there was no room.
  uint64_t refused() const { return refused_.load(std::memory_order_relaxed); }
  // Whether there was no room the last time, and there still is none.
  bool spent() const {
    return spent_.load(std::memory_order_relaxed) && (fds() >= max_fds_ || slots_.full());
  }

 private:
  struct Victim;

  void FoundRoom() {
    if (spent_.load(std::memory_order_relaxed)) spent_.store(false, std::memory_order_relaxed);
  }
  IssuedHandle& Issued(uint32_t index) const {
    return reinterpret_cast<IssuedHandle*>(handles_->memory.mapping.data())[index];
  }
  size_t DemoteBatch() ABSL_EXCLUSIVE_LOCKS_REQUIRED(batch_);
  size_t ChooseVictims(std::span<Victim> victims) ABSL_EXCLUSIVE_LOCKS_REQUIRED(batch_);
  void FindHandles(std::span<Victim> victims);
  bool ReferenceMount(const InodeRecord& record) ABSL_EXCLUSIVE_LOCKS_REQUIRED(batch_);
  ErrnoOr<os::UniqueFd> OpenAnythingOn(uint64_t mount) ABSL_EXCLUSIVE_LOCKS_REQUIRED(batch_);
  bool Demote(Victim& victim) ABSL_EXCLUSIVE_LOCKS_REQUIRED(batch_);
  ErrnoOr<os::UniqueFd> OpenHandle(const Pin& pin);
  // The handle that it was held by once; of size 0 if it never was.
  IssuedHandle FormerHandle(const Pin& pin);
  // Something on the mount, and a reference to be given back.
  ErrnoOr<int> AddMount(uint64_t mount);

  Slots& slots_;
  const LockOf lock_of_;
  const uint64_t max_fds_;
  std::optional<Handles> handles_;
  std::function<void()> when_refused_ = [] {};
  MountReferences mounts_;
  std::atomic<uint64_t> fds_{0};
  std::atomic<uint64_t> demoted_{0};
  std::atomic<uint64_t> refused_{0};
  std::atomic<bool> spent_{false};     // refused, and none made known or opened since
  std::atomic<uint64_t> nameless_{0};  // found so by DemoteBatch()
  std::atomic<bool> near_budget_{false};
  std::atomic<uint64_t> unguarded_{0};
  os::Mutex batch_;
};

}  // namespace fsd::passthrough

#endif  // FSD_BACKENDS_PASSTHROUGH_INODE_REFERENCES_H_
