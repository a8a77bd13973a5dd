// LockRanges: the byte ranges of one file that one owner has locked, as fcntl(2) keeps them:
// setting a range replaces whatever it covers, ranges of one type that touch are one.
//
// Not thread-safe; its owner locks.
#ifndef FSD_BACKENDS_LOCK_RANGES_H_
#define FSD_BACKENDS_LOCK_RANGES_H_

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>

#include "backends/filesystem.h"
#include "server/errors/errno_or.h"

namespace fsd::backends {

// EINVAL for a range that is none or a type that is unknown.
ErrnoOr<void> CheckLock(const FileLock& lock);

class LockRanges {
 public:
  // Locks the range, or unlocks it (F_UNLCK). `lock` has passed CheckLock().
  void Set(const FileLock& lock);
  // By how much Set() would change size(), at most.
  int64_t GrowthOf(const FileLock& lock) const;
  // The first range that `lock`, another owner's, cannot be together with.
  std::optional<FileLock> FirstConflict(const FileLock& lock) const;

  bool empty() const { return ranges_.empty(); }
  size_t size() const { return ranges_.size(); }

 private:
  struct Range {
    uint64_t last;
    uint32_t type;
  };
  using Ranges = std::map<uint64_t, Range>;  // by first byte; never overlapping

  // The first range that ends at or behind `offset`.
  Ranges::const_iterator Reaching(uint64_t offset) const;

  Ranges ranges_;
};

}  // namespace fsd::backends

#endif  // FSD_BACKENDS_LOCK_RANGES_H_
