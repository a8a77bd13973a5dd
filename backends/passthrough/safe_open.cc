#include "backends/passthrough/safe_open.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <charconv>
#include <iterator>
#include <utility>

#include "backends/passthrough/inode.h"
#include "server/errors/check.h"
#include "server/errors/status_macros.h"
#include "server/os/uncancelled.h"

namespace fsd::passthrough {
namespace {

// Beyond this a directory counts as moved away: a walk has to end.
constexpr int kMaxDepth = 4096;

constexpr int kAllowedFlags = O_ACCMODE | O_TRUNC | O_SYNC | O_DSYNC | O_DIRECT | O_NOATIME;

ErrnoOr<os::UniqueFd> OpenAt(int directory, const char* name, int flags, mode_t mode = 0) {
  os::UniqueFd fd(os::OpenAt(directory, name, flags | O_CLOEXEC, mode));
  if (!fd.valid()) return Errno::Last();
  return fd;
}

ErrnoOr<os::UniqueFd> OpenDotDot(int directory) {
  return OpenAt(directory, "..", O_PATH | O_DIRECTORY | O_NOFOLLOW);
}

ErrnoOr<InodeKey> KeyOfFd(int fd) {
  FSD_ASSIGN_OR_RETURN_ERRNO(const Attributes attributes, StatFd(fd));
  return KeyOf(attributes);
}

}  // namespace

FdName::FdName(int fd) { *std::to_chars(std::begin(text_), std::end(text_) - 1, fd).ptr = '\0'; }

ErrnoOr<os::UniqueFd> OpenChild(int directory, const ComponentName& name) {
  if (name.IsDotDot()) return Errno(EINVAL);
  return OpenAt(directory, name.c_str(), O_PATH | O_NOFOLLOW);
}

ErrnoOr<os::UniqueFd> OpenParent(int directory, int root) {
  FSD_ASSIGN_OR_RETURN_ERRNO(const InodeKey root_key, KeyOfFd(root));
  FSD_ASSIGN_OR_RETURN_ERRNO(InodeKey key, KeyOfFd(directory));
  if (key == root_key) return OpenAt(root, ".", O_PATH | O_DIRECTORY | O_NOFOLLOW);

  FSD_ASSIGN_OR_RETURN_ERRNO(os::UniqueFd parent, OpenDotDot(directory));
  os::UniqueFd ancestor;
  int at = parent.get();
  for (int depth = 0; depth < kMaxDepth; ++depth) {
    const InodeKey below = key;
    FSD_ASSIGN_OR_RETURN_ERRNO(key, KeyOfFd(at));
    if (key == root_key) return parent;
    if (key == below) break;  // the top of everything, and the root was not on the way
    FSD_ASSIGN_OR_RETURN_ERRNO(ancestor, OpenDotDot(at));
    at = ancestor.get();
  }
  return Errno(ENOENT);
}

ErrnoOr<os::UniqueFd> CreateChild(int directory, const ComponentName& name, int flags,
                                  mode_t mode) {
  FSD_CHECK((flags & ~kAllowedFlags) == 0);
  return OpenAt(directory, name.c_str(), (flags & ~O_TRUNC) | O_CREAT | O_EXCL | O_NOFOLLOW, mode);
}

ErrnoOr<os::UniqueFd> CreateUnnamed(int directory, int flags, mode_t mode) {
  FSD_CHECK((flags & ~(kAllowedFlags | O_EXCL)) == 0);
  return OpenAt(directory, ".", (flags & ~O_TRUNC) | O_TMPFILE, mode);
}

ErrnoOr<os::UniqueFd> Reopen(int proc_self_fd, int fd, uint32_t type, int flags) {
  FSD_CHECK((flags & ~(kAllowedFlags | O_APPEND)) == 0);
  if (type == S_IFLNK) return Errno(ELOOP);
  if (type != S_IFREG && type != S_IFDIR) return Errno(ENXIO);
  // Never O_NOFOLLOW here: the magic link itself is what has to be followed, and it leads to the
  // very inode of `fd`, whatever its names are now.
  return OpenAt(proc_self_fd, FdName(fd).c_str(), flags | (type == S_IFDIR ? O_DIRECTORY : 0));
}

ErrnoOr<os::UniqueFd> OpenOnMount(int proc_self_fd, int fd, uint32_t type) {
  if (type != S_IFREG && type != S_IFDIR) return Errno(ENXIO);
  return OpenAt(proc_self_fd, FdName(fd).c_str(), O_RDONLY | O_NONBLOCK | O_NOCTTY);
}

ErrnoOr<os::UniqueFd> ReopenAsPath(int proc_self_fd, int fd) {
  return OpenAt(proc_self_fd, FdName(fd).c_str(), O_PATH);
}

}  // namespace fsd::passthrough
