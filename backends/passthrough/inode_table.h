// InodeTable: the inodes the guest knows, by NodeId and by identity.
//
// The slots (SlotTable<InodeRecord>) are the truth; the map from identity to slot is derived from
// them. The map holds live slots only: a slot enters and leaves it under its shard's lock, together
// with its lookup count, so a lookup and the last FORGET cannot miss each other.
//
// Any thread. Lock order: a shard, then the slot table's own.
#ifndef FSD_BACKENDS_PASSTHROUGH_INODE_TABLE_H_
#define FSD_BACKENDS_PASSTHROUGH_INODE_TABLE_H_

#include <array>
#include <cstdint>
#include <optional>

#include "absl/base/thread_annotations.h"
#include "absl/container/flat_hash_map.h"
#include "backends/filesystem.h"
#include "backends/passthrough/inode.h"
#include "backends/passthrough/slot_table.h"
#include "server/errors/errno_or.h"
#include "server/os/mutex.h"
#include "server/os/unique_fd.h"

namespace fsd::passthrough {

using backends::NodeId;

class InodeTable {
 public:
  using Slots = SlotTable<InodeRecord>;
  using Pin = Slots::Pin;

  // `root`, an O_PATH fd whose attributes are `attributes`, becomes backends::kRootNodeId; it is
  // never forgotten. `memory` is fresh, from Slots::Reserve().
  InodeTable(SlotMemory memory, os::UniqueFd root, const Attributes& attributes);
  ~InodeTable();

  // Nothing if `node` is stale or was never given.
  Pin Acquire(NodeId node) { return slots_.Acquire(static_cast<uint64_t>(node)); }

  // See SlotTable::epoch().
  uint32_t epoch() const { return slots_.epoch(); }

  // The node of the inode with these attributes, if it is known, with one lookup more.
  std::optional<NodeId> AddLookup(const Attributes& attributes, uint32_t epoch);
  // The same for the inode that `pin` holds; false if it has been forgotten.
  bool AddLookup(const Pin& pin);
  // Makes what `fd` (O_PATH) holds known, or finds that it is; with one lookup more. ENFILE if the
  // table is full, ESTALE if `epoch` has passed.
  ErrnoOr<NodeId> Insert(os::UniqueFd fd, const Attributes& attributes, uint32_t epoch);
  // Takes `count` lookups back, or all there are; without any, and once nobody holds a pin, the
  // inode is gone.
  void Forget(NodeId node, uint64_t count);

  // Forgets all but the root. Pinned inodes are closed when their pins go.
  void Reset();

  // Known inodes, the root included.
  uint64_t size() const { return slots_.live(); }

 private:
  struct alignas(64) Shard {
    os::Mutex mutex;
    absl::flat_hash_map<InodeKey, uint64_t> ids ABSL_GUARDED_BY(mutex);
  };

  Shard& ShardOf(const InodeKey& key);

  Slots slots_;
  std::array<Shard, 32> shards_;
};

}  // namespace fsd::passthrough

#endif  // FSD_BACKENDS_PASSTHROUGH_INODE_TABLE_H_
