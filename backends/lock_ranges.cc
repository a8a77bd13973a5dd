#include "backends/lock_ranges.h"

#include <fcntl.h>

#include <algorithm>
#include <iterator>

namespace fsd::backends {

ErrnoOr<void> CheckLock(const FileLock& lock) {
  if (lock.last > INT64_MAX || lock.first > lock.last) return Errno(EINVAL);
  if (lock.type != F_RDLCK && lock.type != F_WRLCK && lock.type != F_UNLCK) return Errno(EINVAL);
  return {};
}

LockRanges::Ranges::const_iterator LockRanges::Reaching(uint64_t offset) const {
  auto range = ranges_.upper_bound(offset);
  if (range != ranges_.begin() && std::prev(range)->second.last >= offset) --range;
  return range;
}

int64_t LockRanges::GrowthOf(const FileLock& lock) const {
  int64_t growth = lock.type == F_UNLCK ? 0 : 1;
  for (auto range = Reaching(lock.first); range != ranges_.end() && range->first <= lock.last;
       ++range) {
    const bool left = range->first < lock.first;
    const bool right = range->second.last > lock.last;
    growth += (left ? 1 : 0) + (right ? 1 : 0) - 1;
  }
  return growth;
}

void LockRanges::Set(const FileLock& lock) {
  uint64_t first = lock.first;
  uint64_t last = lock.last;
  auto range = Reaching(first);
  while (range != ranges_.end() && range->first <= last) {
    const auto [old_first, old] = *range;
    range = ranges_.erase(range);
    if (old.type == lock.type) {
      first = std::min(first, old_first);
      last = std::max(last, old.last);
      continue;
    }
    if (old_first < first) ranges_[old_first] = {.last = first - 1, .type = old.type};
    if (old.last > last) range = ranges_.insert_or_assign(last + 1, old).first;
  }
  if (lock.type == F_UNLCK) return;
  if (const auto before = ranges_.lower_bound(first); before != ranges_.begin() &&
                                                      std::prev(before)->second.last + 1 == first &&
                                                      std::prev(before)->second.type == lock.type) {
    first = std::prev(before)->first;
    ranges_.erase(std::prev(before));
  }
  if (const auto after = ranges_.find(last + 1);
      after != ranges_.end() && after->second.type == lock.type) {
    last = after->second.last;
    ranges_.erase(after);
  }
  ranges_[first] = {.last = last, .type = lock.type};
}

std::optional<FileLock> LockRanges::FirstConflict(const FileLock& lock) const {
  if (lock.type == F_UNLCK) return std::nullopt;
  for (auto range = Reaching(lock.first); range != ranges_.end() && range->first <= lock.last;
       ++range) {
    if (lock.type == F_RDLCK && range->second.type == F_RDLCK) continue;
    return FileLock{
        .first = range->first, .last = range->second.last, .type = range->second.type, .pid = 0};
  }
  return std::nullopt;
}

}  // namespace fsd::backends
