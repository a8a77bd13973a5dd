// InodeTable: the inodes the guest knows, by NodeId and by identity.
//
// The slots (SlotTable<InodeRecord>) are the truth; the map from identity to slot is derived from
// them. The map holds live slots only: a slot enters and leaves it under its shard's lock, together
// with its lookup count, so a lookup and the last FORGET cannot miss each other.
//
// How an inode is held, by fd or by handle, is InodeReferences' business. One held by handle may be
// gone from the host and its number another's: then a lookup of that other puts it into the map in
// the first one's place, whose slot lives on, for its node, until it is forgotten; it only answers
// ESTALE. A nodeid never comes to mean another inode.
//
// Any thread. Lock order: a shard, then the slot table's own; see also inode_references.h.
#ifndef FSD_BACKENDS_PASSTHROUGH_INODE_TABLE_H_
#define FSD_BACKENDS_PASSTHROUGH_INODE_TABLE_H_

#include <array>
#include <cstdint>
#include <limits>
#include <optional>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/container/flat_hash_set.h"
#include "absl/functional/function_ref.h"
#include "backends/filesystem.h"
#include "backends/passthrough/component_name.h"
#include "backends/passthrough/host_handle.h"
#include "backends/passthrough/inode.h"
#include "backends/passthrough/inode_references.h"
#include "backends/passthrough/slot_table.h"
#include "server/errors/errno_or.h"
#include "server/errors/status_macros.h"
#include "server/os/mutex.h"
#include "server/os/unique_fd.h"

namespace fsd::passthrough {

using backends::NodeId;

class InodeTable {
 public:
  using Slots = SlotTable<InodeRecord>;
  using Pin = Slots::Pin;

  static constexpr uint64_t kUnlimited = std::numeric_limits<uint64_t>::max();

  // `root`, an O_PATH fd whose attributes are `attributes`, becomes backends::kRootNodeId; it is
  // never forgotten and always open. `memory` is fresh, from Slots::Reserve(). Beyond `max_fds`
  // inodes are held by handle, or refused without `handles`.
  InodeTable(SlotMemory memory, os::UniqueFd root, const Attributes& attributes,
             uint64_t max_fds = kUnlimited,
             std::optional<InodeReferences::Handles> handles = std::nullopt);
  ~InodeTable();

  // Nothing if `node` is stale or was never given. The inode may be held by handle.
  Pin Acquire(NodeId node) { return slots_.Acquire(static_cast<uint64_t>(node)); }
  // The same, and `fd` is open for as long as the pin lives. ESTALE also if the inode is gone from
  // the host; ENFILE.
  ErrnoOr<Pin> AcquireOpen(NodeId node) {
    Pin pin = Acquire(node);
    if (!pin) return Errno(ESTALE);
    if (!InodeReferences::IsOpen(*pin)) [[unlikely]] {
      FSD_RETURN_IF_ERRNO(references_.Open(pin));
    }
    return pin;
  }

  // See SlotTable::epoch().
  uint32_t epoch() const { return slots_.epoch(); }

  // The node of the inode with these attributes, if it is known, with one lookup more.
  // `handle`, called at most once, gets the handle of what has them, or had a moment ago; without
  // it, an inode held by handle is not found.
  using HandleSource = absl::FunctionRef<ErrnoOr<HostHandle>()>;
  std::optional<NodeId> AddLookup(const Attributes& attributes, uint32_t epoch,
                                  HandleSource handle);
  std::optional<NodeId> AddLookup(const Attributes& attributes, uint32_t epoch) {
    return AddLookup(attributes, epoch, [] { return ErrnoOr<HostHandle>(Errno(EOPNOTSUPP)); });
  }
  // The same for the inode that `pin` holds; false if it has been forgotten.
  bool AddLookup(const Pin& pin);
  struct Inserted {
    NodeId node;
    bool known_before;
  };
  // Makes what `fd` (O_PATH) holds known, or finds that it is; with one lookup more. ENFILE if the
  // table is full or the budget of fds is spent, ESTALE if `epoch` has passed.
  ErrnoOr<Inserted> Insert(os::UniqueFd fd, const Attributes& attributes, uint32_t epoch);
  // Takes `count` lookups back, or all there are; without any, and once nobody holds a pin, the
  // inode is gone.
  void Forget(NodeId node, uint64_t count);

  // To be held while a name is removed or replaced: should it be the last name of an inode that the
  // guest knows, the inode stays reachable for the guest.
  class NameRemoval {
   public:
    NameRemoval() = default;
    NameRemoval(NameRemoval&& other) noexcept
        : pin_(std::move(other.pin_)), unguarded_(std::exchange(other.unguarded_, nullptr)) {}
    NameRemoval& operator=(NameRemoval&& other) noexcept {
      std::swap(pin_, other.pin_);
      std::swap(unguarded_, other.unguarded_);
      return *this;
    }
    ~NameRemoval() {
      if (unguarded_ != nullptr) unguarded_->EndUnguarded();
    }

   private:
    friend class InodeTable;
    Pin pin_;
    InodeReferences* unguarded_ = nullptr;
  };
  ErrnoOr<NameRemoval> BeginRemoval(int directory, const ComponentName& name);

  // After an EMFILE: closes some fds. False if it cannot.
  bool MakeRoom() { return references_.MakeRoom(); }

  // Forgets all but the root. Pinned inodes are closed when their pins go.
  void Reset();

  // As InodeReferences::WhenRefused().
  void WhenRefused(std::function<void()> tell) { references_.WhenRefused(std::move(tell)); }

  // Known inodes, the root included.
  uint64_t size() const { return slots_.live(); }
  const InodeReferences& references() const { return references_; }
  InodeReferences& references() { return references_; }

 private:
  // The map's entries are indices of slots, told apart by their records' keys.
  struct KeyHash {
    using is_transparent = void;
    size_t operator()(const InodeKey& key) const;
    size_t operator()(uint32_t index) const { return (*this)(slots->LiveRecord(index).key); }
    const Slots* slots;
  };
  struct KeyEqual {
    using is_transparent = void;
    bool operator()(uint32_t a, uint32_t b) const { return a == b; }
    bool operator()(uint32_t index, const InodeKey& key) const {
      return slots->LiveRecord(index).key == key;
    }
    const Slots* slots;
  };
  using Map = absl::flat_hash_set<uint32_t, KeyHash, KeyEqual>;
  struct alignas(64) Shard {
    os::Mutex mutex;
    Map map ABSL_GUARDED_BY(mutex);
  };

  Shard& ShardOf(const InodeKey& key);
  // The slot of what `attributes` say, if it is proved to be that: by being open, or by `handle`.
  bool IsSame(uint32_t index, const Attributes& attributes,
              const std::optional<HostHandle>& handle) const;
  ErrnoOr<NodeId> Publish(Shard& shard, const InodeRecord& record, uint32_t epoch)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(shard.mutex);
  // Takes the slot out of the map if it is in it.
  static void Unmap(Shard& shard, const InodeKey& key, uint32_t index)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(shard.mutex);

  Slots slots_;
  std::array<Shard, 32> shards_;
  InodeReferences references_;
};

}  // namespace fsd::passthrough

#endif  // FSD_BACKENDS_PASSTHROUGH_INODE_TABLE_H_
