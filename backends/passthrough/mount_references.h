// MountReferences: for each mount that inodes are referred to by handle on, an fd to open them
// through. It is held for as long as there are such inodes: that keeps the mount's id from passing
// to another mount, and no longer than that keeps the host from unmounting it.
//
// Any thread.
#ifndef FSD_BACKENDS_PASSTHROUGH_MOUNT_REFERENCES_H_
#define FSD_BACKENDS_PASSTHROUGH_MOUNT_REFERENCES_H_

#include <cstdint>
#include <optional>

#include "absl/base/thread_annotations.h"
#include "absl/container/flat_hash_map.h"
#include "server/os/mutex.h"
#include "server/os/unique_fd.h"

namespace fsd::passthrough {

class MountReferences {
 public:
  // One reference more, and the mount's fd; nothing if the mount has none.
  std::optional<int> Add(uint64_t mount);
  // The same for a mount that had none: `fd`, not O_PATH, is anything on it.
  void Add(uint64_t mount, os::UniqueFd fd);
  // Gives one reference back; the last one closes the fd.
  void Release(uint64_t mount);

 private:
  struct Mount {
    os::UniqueFd fd;
    uint64_t references = 0;
  };

  os::Mutex mutex_;
  absl::flat_hash_map<uint64_t, Mount> mounts_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace fsd::passthrough

#endif  // FSD_BACKENDS_PASSTHROUGH_MOUNT_REFERENCES_H_
