// The mount jail: the export's tree becomes the worker's whole file system (mount_namespaces(7)).
//
// A tree can only be cloned in a mount namespace that it belongs to, by a process that has
// CAP_SYS_ADMIN over it: from a user namespace of its own, over the new one only. So the working
// directory carries the export over: StepInto, UnshareNamespaces (namespaces.h), CloneTree,
// PivotInto. Single-threaded.
#ifndef FSD_SERVER_SANDBOX_MOUNT_JAIL_H_
#define FSD_SERVER_SANDBOX_MOUNT_JAIL_H_

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "server/os/unique_fd.h"

namespace fsd::sandbox {

// Makes `directory` (O_PATH is enough) the working directory, which a new mount namespace has its
// own copy of, and closes it: through it ".." would always lead to the host's tree.
absl::Status StepInto(os::UniqueFd directory);

// A detached copy of the mounts at and below the working directory.
absl::StatusOr<os::UniqueFd> CloneTree();

// Makes `tree` the root and the working directory and lets go of everything else. Devices in it
// cannot be opened, its symbolic links are not followed, set-user-id bits mean nothing; neither
// changes what a guest sees. Results in the new root, O_PATH.
//
// Mounts that the host makes or removes below the export later appear and disappear in here too,
// with the host's own flags, unless `read_only`: then they stay out, as they might be writable.
//
// `user_namespace`, unless -1, makes every mount of the tree an idmapped one (mount_setattr(2));
// INVALID_ARGUMENT if the file system of one of them cannot be. Later mounts stay out then, too, as
// they would not be.
absl::StatusOr<os::UniqueFd> PivotInto(os::UniqueFd tree, bool read_only, int user_namespace = -1);

// Whether mounts that the host makes may appear in the caller's mount namespace. `proc` is a proc.
absl::StatusOr<bool> TakesInMounts(int proc);

// A proc of the caller's pid namespace that shows processes and nothing else, attached nowhere:
// ".." from its root leads nowhere either. Call while the host's proc can still be seen: in a user
// namespace the kernel makes no other.
enum class ProcAccess { kReadOnly, kWritable };
absl::StatusOr<os::UniqueFd> MountProc(ProcAccess access = ProcAccess::kReadOnly);

}  // namespace fsd::sandbox

#endif  // FSD_SERVER_SANDBOX_MOUNT_JAIL_H_
