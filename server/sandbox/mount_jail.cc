#include "server/sandbox/mount_jail.h"

#include <fcntl.h>
#include <sys/mount.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <string>

#include "server/errors/status_macros.h"

namespace fsd::sandbox {

absl::Status StepInto(os::UniqueFd directory) {
  if (::fchdir(directory.get()) != 0) {
    const Errno error = Errno::Last();
    return ErrnoStatus(error, error == Errno(EACCES)
                                  ? "fchdir to the export's directory (the user that the worker "
                                    "runs as may not search it)"
                                  : "fchdir to the export's directory");
  }
  return absl::OkStatus();
}

absl::StatusOr<os::UniqueFd> CloneTree() {
  os::UniqueFd tree(::open_tree(AT_FDCWD, ".", OPEN_TREE_CLONE | AT_RECURSIVE | OPEN_TREE_CLOEXEC));
  if (!tree.valid()) return ErrnoStatus(Errno::Last(), "open_tree of the export's directory");
  return tree;
}

absl::StatusOr<os::UniqueFd> PivotInto(os::UniqueFd tree, bool read_only, int user_namespace) {
  if (user_namespace >= 0) {
    // All or none: in a mount without it the guest's root would be the host's.
    mount_attr idmap{};
    idmap.attr_set = MOUNT_ATTR_IDMAP;
    idmap.userns_fd = static_cast<__u64>(user_namespace);
    if (::mount_setattr(tree.get(), "", AT_EMPTY_PATH | AT_RECURSIVE, &idmap, sizeof idmap) != 0) {
      const Errno error = Errno::Last();
      return ErrnoStatus(error, error == Errno(EINVAL)
                                    ? "mount_setattr(MOUNT_ATTR_IDMAP) of the export's tree (its "
                                      "file system, or one mounted below it, cannot translate ids)"
                                    : "mount_setattr(MOUNT_ATTR_IDMAP) of the export's tree");
    }
  }
  // NODEV: a worker may make device nodes for its guest (CAP_MKNOD), never open one. NOEXEC is left
  // out because access(2) would report it. A mount that arrives by propagation has the flags it has
  // on the host, hence no propagation where read-only was promised, and no CAP_MKNOD with it unless
  // there is another wall (TakesInMounts).
  mount_attr attributes{};
  attributes.attr_set = MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOSYMFOLLOW;
  if (read_only) attributes.attr_set |= MOUNT_ATTR_RDONLY;
  attributes.propagation = read_only || user_namespace >= 0 ? MS_PRIVATE : MS_SLAVE;
  if (::mount_setattr(tree.get(), "", AT_EMPTY_PATH | AT_RECURSIVE, &attributes,
                      sizeof attributes) != 0) {
    return ErrnoStatus(Errno::Last(), "mount_setattr of the export's tree");
  }
  // Over "/" itself, so that no directory of the host has to serve as a mount point.
  if (::move_mount(tree.get(), "", AT_FDCWD, "/", MOVE_MOUNT_F_EMPTY_PATH) != 0) {
    return ErrnoStatus(Errno::Last(), "move_mount of the export's tree");
  }
  if (::fchdir(tree.get()) != 0) return ErrnoStatus(Errno::Last(), "fchdir to the export's tree");
  // The old root ends up on top of the new one (pivot_root(2), "pivot_root(".", ".")").
  if (::syscall(SYS_pivot_root, ".", ".") != 0) {
    const Errno error = Errno::Last();
    return ErrnoStatus(error, error == Errno(EINVAL)
                                  ? "pivot_root (impossible while the host's root is an initramfs)"
                                  : "pivot_root");
  }
  if (::umount2(".", MNT_DETACH) != 0) return ErrnoStatus(Errno::Last(), "umount of the old root");
  if (::chdir("/") != 0) return ErrnoStatus(Errno::Last(), "chdir to the new root");
  os::UniqueFd root(::open("/", O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (!root.valid()) return ErrnoStatus(Errno::Last(), "open of the new root");
  return root;
}

absl::StatusOr<bool> TakesInMounts(int proc) {
  const os::UniqueFd file(::openat(proc, "self/mountinfo", O_RDONLY | O_CLOEXEC));
  if (!file.valid()) return ErrnoStatus(Errno::Last(), "open of self/mountinfo in proc");
  std::string mounts;
  char buffer[4096];
  ssize_t got;
  while ((got = ::read(file.get(), buffer, sizeof buffer)) > 0) {
    mounts.append(buffer, static_cast<size_t>(got));
  }
  if (got < 0) return ErrnoStatus(Errno::Last(), "read of self/mountinfo in proc");
  // Optional fields (proc(5)); in every other one blanks are written as \040.
  return mounts.find(" master:") != mounts.npos || mounts.find(" shared:") != mounts.npos;
}

absl::StatusOr<os::UniqueFd> MountProc(ProcAccess access) {
  const os::UniqueFd context(::fsopen("proc", FSOPEN_CLOEXEC));
  if (!context.valid()) return ErrnoStatus(Errno::Last(), "fsopen of proc");
  if (::fsconfig(context.get(), FSCONFIG_SET_STRING, "subset", "pid", 0) != 0) {
    return ErrnoStatus(Errno::Last(), "fsconfig of proc (subset=pid needs Linux 5.8)");
  }
  if (::fsconfig(context.get(), FSCONFIG_CMD_CREATE, nullptr, nullptr, 0) != 0) {
    return ErrnoStatus(Errno::Last(), "fsconfig of proc");
  }
  const unsigned attributes = MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC |
                              (access == ProcAccess::kReadOnly ? MOUNT_ATTR_RDONLY : 0);
  os::UniqueFd proc(::fsmount(context.get(), FSMOUNT_CLOEXEC, attributes));
  if (!proc.valid()) {
    const Errno error = Errno::Last();
    return ErrnoStatus(error, error == Errno(EPERM)
                                  ? "fsmount of proc (impossible in a user namespace while parts "
                                    "of the host's proc are hidden, as containers do)"
                                  : "fsmount of proc");
  }
  return proc;
}

}  // namespace fsd::sandbox
