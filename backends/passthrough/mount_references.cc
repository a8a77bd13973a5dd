#include "backends/passthrough/mount_references.h"

#include <utility>

namespace fsd::passthrough {

std::optional<int> MountReferences::Add(uint64_t mount) {
  os::MutexLock lock(mutex_);
  const auto found = mounts_.find(mount);
  if (found == mounts_.end()) return std::nullopt;
  ++found->second.references;
  return found->second.fd.get();
}

void MountReferences::Add(uint64_t mount, os::UniqueFd fd) {
  os::MutexLock lock(mutex_);
  Mount& entry = mounts_[mount];
  if (entry.references++ == 0) entry.fd = std::move(fd);
}

void MountReferences::Release(uint64_t mount) {
  os::UniqueFd last;  // closed after the lock
  os::MutexLock lock(mutex_);
  const auto found = mounts_.find(mount);
  if (found == mounts_.end() || --found->second.references != 0) return;
  last = std::move(found->second.fd);
  mounts_.erase(found);
}

}  // namespace fsd::passthrough
