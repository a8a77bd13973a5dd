// Landlock: a wall of the calling thread's own around the export's tree (landlock(7)).
//
// It holds where the mount jail has a hole or is not there: what is opened, made, removed or linked
// lies below the tree's root as the host's directories are at that moment, and nothing is ever
// executed. Two things pass that other walls look at: an O_PATH fd, and what is not addressed by a
// place in the tree (attributes, fds that are open already).
//
// An inode that was opened by its handle while no name of it was cached is in no place at all, as
// far as the kernel knows. Landlock refuses to link it (EXDEV) and to open it for I/O (EACCES;
// since Linux 6.18 only if the tree is not its mount's root); the handle keeper, outside of this
// wall, does that (server/worker/handle_keeper.h).
#ifndef FSD_SERVER_SANDBOX_LANDLOCK_H_
#define FSD_SERVER_SANDBOX_LANDLOCK_H_

#include "absl/status/statusor.h"

namespace fsd::sandbox {

// The version of the kernel's Landlock; 0 if it has none, or it may not be used.
int LandlockAbi();

// Confines the calling thread, and the threads and processes it will make, to reading and, unless
// `read_only`, changing what lies below `root` (O_PATH); also keeps it from TCP and, as far as the
// kernel can, from abstract unix sockets of others, from signalling others and from device ioctls.
// False, and nothing done, if the kernel has no Landlock or only its first version (Linux 5.13 to
// 5.18), which would forbid to rename from one directory to another. Needs no_new_privs; for good.
absl::StatusOr<bool> ConfineToTree(int root, bool read_only);

}  // namespace fsd::sandbox

#endif  // FSD_SERVER_SANDBOX_LANDLOCK_H_
