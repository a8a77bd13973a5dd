// LockTable: the POSIX locks that a session holds on the host, so that they exclude those of other
// sessions and of the host's processes.
//
// The locks of one guest owner on one node belong to one open file description of our own (OFD
// locks, fcntl(2) F_OFD_SETLK): the guest's open files cannot stand for its owners, because one
// owner may lock through several of them and several owners through one. A description lives from
// the owner's first lock on the node to its last. What each holds is kept beside it, for GETLK's
// pid and to bound what one guest makes the host's kernel keep.
//
// Any thread. Lock order: a description's mutex, then the table's.
#ifndef FSD_BACKENDS_PASSTHROUGH_LOCK_TABLE_H_
#define FSD_BACKENDS_PASSTHROUGH_LOCK_TABLE_H_

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "backends/filesystem.h"
#include "backends/lock_ranges.h"
#include "server/errors/errno_or.h"
#include "server/os/mutex.h"
#include "server/os/unique_fd.h"

namespace fsd::passthrough {

class LockTable {
 public:
  struct Limits {
    size_t owners = 0;  // descriptions, an fd each
    size_t ranges = 0;  // of all owners together
  };

  explicit LockTable(Limits limits) : limits_(limits) {}

  // Counts Reset()s; see SlotTable::epoch().
  uint32_t epoch() const { return epoch_.load(std::memory_order_acquire); }

  // Who locks what. `file` is the fd of the open regular file `handle`, kept open for the call.
  struct Locker {
    backends::NodeId node{};
    uint64_t owner = 0;
    backends::FileHandle handle{};
    int file = -1;
    // Opens the file once more, in a mode, perhaps with O_APPEND. Not for Get().
    std::function<ErrnoOr<os::UniqueFd>(int flags)> reopen = {};
    // Whether the handle has not been released. One that has been when the lock is taken has had
    // its DropHandle(), so that nothing would drop the lock. Called with a description's mutex
    // held.
    std::function<bool()> is_open = [] { return true; };
  };

  // Takes, changes or drops a lock, without waiting. EAGAIN: another's is in the way; ENOLCK: the
  // limits; EMFILE, ENFILE: no descriptor; EINVAL; EBADF: not open for it, or released; ESTALE:
  // `epoch` has passed.
  ErrnoOr<void> Set(const Locker& locker, const backends::FileLock& lock, uint32_t epoch);
  // As Filesystem::GetLock(). The pid is 0 unless the holder is the session's.
  ErrnoOr<backends::FileLock> Get(const Locker& locker, const backends::FileLock& lock);

  // Whether the owner holds any lock on the node.
  bool Holds(backends::NodeId node, uint64_t owner) const {
    return Find(KeyOf(node, owner)) != nullptr;
  }

  // Drops all that the owner holds on the node.
  void DropOwner(backends::NodeId node, uint64_t owner);
  // Drops all that owners hold whose first lock on the node came through this handle. When a guest
  // releases a handle, an fcntl(2) owner has had its FLUSH before; but the guest's OFD locks are
  // the handle's own and have no other end.
  void DropHandle(backends::NodeId node, backends::FileHandle handle);
  // Drops all.
  void Reset();

  size_t owners() const;

 private:
  using Key = std::pair<uint64_t, uint64_t>;  // node, owner

  struct Description {
    Description(Key its_key, backends::FileHandle first_handle, os::UniqueFd its_fd)
        : key(its_key), handle(first_handle), fd(std::move(its_fd)) {}

    const Key key;
    const backends::FileHandle handle;  // that the first lock came through
    os::Mutex mutex;
    os::UniqueFd fd ABSL_GUARDED_BY(mutex);  // invalid once it is out of the table
    uint32_t pid ABSL_GUARDED_BY(mutex) = 0;
    backends::LockRanges held ABSL_GUARDED_BY(mutex);
  };
  using Reference = std::shared_ptr<Description>;

  static Key KeyOf(backends::NodeId node, uint64_t owner) {
    return {static_cast<uint64_t>(node), owner};
  }

  Reference Find(const Key& key) const;
  std::vector<Reference> OfNode(backends::NodeId node) const;
  ErrnoOr<Reference> Create(const Locker& locker, uint32_t epoch);
  // On a description that is in the table.
  ErrnoOr<void> SetOn(Description& description, const backends::FileLock& lock)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(description.mutex);
  // Closes the description unless it is closed already, and so drops its locks.
  void Close(Description& description) ABSL_EXCLUSIVE_LOCKS_REQUIRED(description.mutex);
  void Drop(Description& description);
  // What of others hinders `lock`.
  ErrnoOr<std::optional<backends::FileLock>> ConflictOf(const Locker& locker,
                                                        const backends::FileLock& lock) const;
  uint32_t PidOfHolder(const Locker& locker, const backends::FileLock& held) const;

  const Limits limits_;
  std::atomic<uint32_t> epoch_{0};
  std::atomic<int64_t> ranges_{0};
  mutable os::Mutex mutex_;
  std::map<Key, Reference> descriptions_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace fsd::passthrough

#endif  // FSD_BACKENDS_PASSTHROUGH_LOCK_TABLE_H_
