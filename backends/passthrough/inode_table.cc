#include "backends/passthrough/inode_table.h"

#include <algorithm>
#include <utility>

#include "absl/hash/hash.h"
#include "server/errors/check.h"
#include "server/errors/status_macros.h"
#include "server/os/close_together.h"

namespace fsd::passthrough {

size_t InodeTable::KeyHash::operator()(const InodeKey& key) const {
  return absl::Hash<InodeKey>()(key);
}

InodeTable::InodeTable(SlotMemory memory, os::UniqueFd root, const Attributes& attributes,
                       uint64_t max_fds, std::optional<InodeReferences::Handles> handles)
    : slots_(std::move(memory),
             [this](uint32_t index, InodeRecord& record) { references_.Dispose(index, record); }),
      references_(
          slots_, [this](const InodeKey& key) -> os::Mutex& { return ShardOf(key).mutex; }, max_fds,
          std::move(handles)) {
  for (Shard& shard : shards_) {
    os::MutexLock lock(shard.mutex);
    shard.map = Map(0, KeyHash{&slots_}, KeyEqual{&slots_});
  }
  const ErrnoOr<Inserted> inserted = Insert(std::move(root), attributes, slots_.epoch());
  FSD_CHECK(inserted.ok() && inserted->node == backends::kRootNodeId);
}

InodeTable::~InodeTable() {
  slots_.BeginReset([this](Pin& pin) { slots_.Retire(pin); });
}

InodeTable::Shard& InodeTable::ShardOf(const InodeKey& key) {
  // The map inside a shard uses the hash's low bits.
  return shards_[(absl::Hash<InodeKey>()(key) >> 32) % shards_.size()];
}

bool InodeTable::IsSame(uint32_t index, const Attributes& attributes,
                        const std::optional<HostHandle>& handle) const {
  const InodeRecord& record = slots_.LiveRecord(index);
  if (!SameInode(record, attributes)) return false;
  // While an fd is held on an inode its number cannot pass to another.
  if (InodeReferences::IsOpen(record)) return true;
  return handle && *handle == references_.HandleAt(index);
}

std::optional<NodeId> InodeTable::AddLookup(const Attributes& attributes, uint32_t epoch,
                                            HandleSource handle) {
  const InodeKey key = KeyOf(attributes);
  Shard& shard = ShardOf(key);
  std::optional<HostHandle> found_handle;
  while (true) {
    {
      os::MutexLock lock(shard.mutex);
      const auto found = shard.map.find(key);
      // A lookup taken for a session that is over would never be given back.
      if (found == shard.map.end() || epoch != slots_.epoch()) return std::nullopt;
      if (IsSame(*found, attributes, found_handle)) {
        ++slots_.LiveRecord(*found).lookups;
        return NodeId{slots_.LiveId(*found)};
      }
      if (found_handle || InodeReferences::IsOpen(slots_.LiveRecord(*found))) return std::nullopt;
    }
    ErrnoOr<HostHandle> read = handle();
    if (!read.ok()) return std::nullopt;
    found_handle = *read;
  }
}

bool InodeTable::AddLookup(const Pin& pin) {
  Shard& shard = ShardOf(pin->key);
  os::MutexLock lock(shard.mutex);
  const auto found = shard.map.find(pin->key);
  if (found == shard.map.end() || *found != pin.index()) return false;
  ++pin->lookups;
  return true;
}

ErrnoOr<NodeId> InodeTable::Publish(Shard& shard, const InodeRecord& record, uint32_t epoch) {
  ErrnoOr<Pin> published = slots_.Publish(record, epoch);
  if (!published.ok()) return published.error();
  shard.map.insert(published->index());
  const NodeId node{published->id()};
  if (node == backends::kRootNodeId) {
    references_.PublishedRoot(record);
  } else {
    references_.Published(published->index());
  }
  return node;
}

void InodeTable::Unmap(Shard& shard, const InodeKey& key, uint32_t index) {
  const auto found = shard.map.find(key);
  if (found != shard.map.end() && *found == index) shard.map.erase(found);
}

ErrnoOr<InodeTable::Inserted> InodeTable::Insert(os::UniqueFd fd, const Attributes& attributes,
                                                 uint32_t epoch) {
  const InodeRecord record = MakeInodeRecord(fd.get(), attributes);
  Shard& shard = ShardOf(record.key);
  InodeReferences::Share share = references_.TryTakeShare();
  std::optional<HostHandle> handle;
  // What has to be done outside the lock is done between two rounds.
  while (true) {
    Pin doubtful;
    bool known = false;
    std::optional<Errno> unpublished;
    {
      os::MutexLock lock(shard.mutex);
      const auto found = shard.map.find(record.key);
      known = found != shard.map.end();
      if (known) {
        if (epoch != slots_.epoch()) return Errno(ESTALE);
        InodeRecord& present = slots_.LiveRecord(*found);
        // If both are open now the two cannot be different inodes, whatever their attributes.
        if (InodeReferences::IsOpen(present) || IsSame(*found, attributes, handle)) {
          ++present.lookups;
          return Inserted{.node = NodeId{slots_.LiveId(*found)}, .known_before = true};
        }
        if (handle) doubtful = slots_.Acquire(slots_.LiveId(*found));
      } else if (share) {
        const ErrnoOr<NodeId> node = Publish(shard, record, epoch);
        if (node.ok()) {
          share.Keep();
          (void)fd.release();
          return Inserted{.node = *node, .known_before = false};
        }
        unpublished = node.error();
      }
    }
    if (unpublished) {
      if (*unpublished == Errno(ENFILE)) references_.Refuse();
      return *unpublished;
    }
    if (!known) {
      FSD_ASSIGN_OR_RETURN_ERRNO(share, references_.TakeShare());
    } else if (!handle) {
      const ErrnoOr<HostHandle> read = HandleOf(fd.get());
      handle = read.ok() ? *read : HostHandle{};
    } else if (doubtful && !references_.Open(doubtful, InodeReferences::Budget::kIgnored).ok()) {
      // Another inode under the number of one that is gone.
      os::MutexLock lock(shard.mutex);
      Unmap(shard, record.key, doubtful.index());
    }
  }
}

void InodeTable::Forget(NodeId node, uint64_t count) {
  if (node == backends::kRootNodeId) return;
  const Pin pin = Acquire(node);  // dropped, and the inode closed, after the lock
  if (!pin) return;
  Shard& shard = ShardOf(pin->key);
  os::MutexLock lock(shard.mutex);
  pin->lookups -= std::min(count, pin->lookups);
  if (pin->lookups == 0 && slots_.Retire(pin)) Unmap(shard, pin->key, pin.index());
}

ErrnoOr<InodeTable::NameRemoval> InodeTable::BeginRemoval(int directory,
                                                          const ComponentName& name) {
  NameRemoval removal;
  if (!references_.CanDemote()) return removal;
  if (references_.BeginUnguarded()) {
    removal.unguarded_ = &references_;
    return removal;
  }
  const ErrnoOr<Attributes> attributes = StatChild(directory, name);
  if (!attributes.ok()) return removal;  // the removal itself will say it
  const InodeKey key = KeyOf(*attributes);
  Shard& shard = ShardOf(key);
  {
    os::MutexLock lock(shard.mutex);
    const auto found = shard.map.find(key);
    if (found == shard.map.end()) return removal;
    removal.pin_ = slots_.Acquire(slots_.LiveId(*found));
  }
  if (!removal.pin_) return removal;
  const ErrnoOr<void> opened = references_.Open(removal.pin_, InodeReferences::Budget::kIgnored);
  // One that is gone is not what the name leads to.
  if (!opened.ok() && opened.error() != Errno(ESTALE)) return opened.error();
  return removal;
}

void InodeTable::Reset() {
  const os::CloseTogether together;
  slots_.BeginReset([this](Pin& pin) {
    if (NodeId{pin.id()} == backends::kRootNodeId) return;
    Shard& shard = ShardOf(pin->key);
    os::MutexLock lock(shard.mutex);
    if (slots_.Retire(pin)) Unmap(shard, pin->key, pin.index());
  });
}

}  // namespace fsd::passthrough
