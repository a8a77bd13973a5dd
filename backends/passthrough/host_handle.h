// A host handle: the file system's own name of an inode, name_to_handle_at(2), good for as long as
// the inode exists and never given to another. Reading one takes no privilege; opening one does.
#ifndef FSD_BACKENDS_PASSTHROUGH_HOST_HANDLE_H_
#define FSD_BACKENDS_PASSTHROUGH_HOST_HANDLE_H_

#include <cstddef>
#include <cstdint>

#include "backends/passthrough/component_name.h"
#include "server/errors/errno_or.h"

namespace fsd::passthrough {

// Room for what ext4 (8 bytes), tmpfs, XFS, FUSE (12), CephFS (16) and btrfs (20) give, and for
// overlayfs on the first three. An inode with a longer handle (NFS, SMB) has none here.
struct HostHandle {
  static constexpr uint32_t kMaxBytes = 40;

  int32_t type;
  uint32_t size;               // 0: no handle
  std::byte bytes[kMaxBytes];  // zero beyond `size`

  friend bool operator==(const HostHandle&, const HostHandle&) = default;
};
static_assert(sizeof(HostHandle) == 48);

// A handle that may be opened again, with the proof of who has issued it.
struct IssuedHandle {
  HostHandle handle;
  uint64_t proof;
};
static_assert(sizeof(IssuedHandle) == 56);

// EOPNOTSUPP if the file system gives none, EOVERFLOW if it is too long.
ErrnoOr<HostHandle> HandleOf(int fd);
// A symlink is not followed.
ErrnoOr<HostHandle> HandleOfChild(int directory, const ComponentName& name);

}  // namespace fsd::passthrough

#endif  // FSD_BACKENDS_PASSTHROUGH_HOST_HANDLE_H_
