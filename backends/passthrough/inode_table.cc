#include "backends/passthrough/inode_table.h"

#include <algorithm>
#include <utility>

#include "absl/hash/hash.h"
#include "server/errors/check.h"

namespace fsd::passthrough {

InodeTable::InodeTable(SlotMemory memory, os::UniqueFd root, const Attributes& attributes)
    : slots_(std::move(memory)) {
  ErrnoOr<NodeId> node = Insert(std::move(root), attributes, slots_.epoch());
  FSD_CHECK(node.ok() && *node == backends::kRootNodeId);
}

InodeTable::~InodeTable() {
  slots_.BeginReset([this](Pin& pin) { slots_.Retire(pin); });
}

InodeTable::Shard& InodeTable::ShardOf(const InodeKey& key) {
  // The map inside a shard uses the hash's low bits.
  return shards_[(absl::Hash<InodeKey>()(key) >> 32) % shards_.size()];
}

std::optional<NodeId> InodeTable::AddLookup(const Attributes& attributes, uint32_t epoch) {
  const InodeKey key = KeyOf(attributes);
  Shard& shard = ShardOf(key);
  os::MutexLock lock(shard.mutex);
  const auto found = shard.ids.find(key);
  // A lookup taken for a session that is over would never be given back.
  if (found == shard.ids.end() || epoch != slots_.epoch()) return std::nullopt;
  InodeRecord& record = slots_.LiveRecord(found->second);
  if (!SameInode(record, attributes)) return std::nullopt;
  ++record.lookups;
  return NodeId{found->second};
}

bool InodeTable::AddLookup(const Pin& pin) {
  Shard& shard = ShardOf(pin->key);
  os::MutexLock lock(shard.mutex);
  const auto found = shard.ids.find(pin->key);
  if (found == shard.ids.end() || found->second != pin.id()) return false;
  ++pin->lookups;
  return true;
}

ErrnoOr<NodeId> InodeTable::Insert(os::UniqueFd fd, const Attributes& attributes, uint32_t epoch) {
  const InodeRecord record = MakeInodeRecord(fd.get(), attributes);
  Shard& shard = ShardOf(record.key);
  os::MutexLock lock(shard.mutex);
  const auto [entry, inserted] = shard.ids.try_emplace(record.key, 0);
  if (!inserted) {
    if (epoch != slots_.epoch()) return Errno(ESTALE);
    // Both fds are open now, so the two cannot be different inodes.
    ++slots_.LiveRecord(entry->second).lookups;
    return NodeId{entry->second};
  }
  ErrnoOr<Pin> published = slots_.Publish(record, epoch);
  if (!published.ok()) {
    shard.ids.erase(entry);
    return published.error();
  }
  (void)fd.release();
  entry->second = published->id();
  return NodeId{entry->second};
}

void InodeTable::Forget(NodeId node, uint64_t count) {
  if (node == backends::kRootNodeId) return;
  const Pin pin = Acquire(node);  // dropped, and the inode closed, after the lock
  if (!pin) return;
  Shard& shard = ShardOf(pin->key);
  os::MutexLock lock(shard.mutex);
  pin->lookups -= std::min(count, pin->lookups);
  if (pin->lookups == 0 && slots_.Retire(pin)) shard.ids.erase(pin->key);
}

void InodeTable::Reset() {
  slots_.BeginReset([this](Pin& pin) {
    if (NodeId{pin.id()} == backends::kRootNodeId) return;
    Shard& shard = ShardOf(pin->key);
    os::MutexLock lock(shard.mutex);
    if (slots_.Retire(pin)) shard.ids.erase(pin->key);
  });
}

}  // namespace fsd::passthrough
