#include "tests/bench/bare_calls.h"

#include <fcntl.h>
#include <linux/fuse.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>

#include "tests/bench/tree.h"

namespace fsd::bench {
namespace {

constexpr unsigned kStatxMask = STATX_BASIC_STATS | STATX_BTIME;

}  // namespace

size_t BareGetattr(BareContext& context) {
  struct stat info;
  return ::fstat(context.file(context.NextLane()), &info) == 0 ? 1 : 0;
}

size_t BareStatfs(BareContext& context) {
  struct statfs info;
  return ::fstatfs(context.data(), &info) == 0 ? 1 : 0;
}

size_t BareLookupKnown(BareContext& context) {
  struct statx info;
  const char* const name = context.name(context.NextLane());
  return ::statx(context.names(), name, AT_SYMLINK_NOFOLLOW, kStatxMask, &info) == 0 ? 1 : 0;
}

size_t BareLookupUnknown(BareContext& context) {
  struct statx info;
  const int fd = ::openat(context.names(), context.NextOther(), O_PATH | O_NOFOLLOW | O_CLOEXEC);
  const bool known = ::statx(fd, "", AT_EMPTY_PATH, kStatxMask, &info) == 0;
  return known && ::close(fd) == 0 ? 1 : 0;
}

size_t BareLookupAbsent(BareContext& context) {
  struct statx info;
  const char* const name = context.absent(context.NextLane());
  return ::statx(context.names(), name, AT_SYMLINK_NOFOLLOW, kStatxMask, &info) != 0 &&
                 errno == ENOENT
             ? 1
             : 0;
}

size_t BareOpen(BareContext& context) {
  const char* const path = context.reopened(context.NextLane());
  const int fd = ::openat(AT_FDCWD, path, O_RDONLY | O_CLOEXEC);
  return fd >= 0 && ::close(fd) == 0 ? 2 : 0;
}

template <size_t kBytes, bool kRandom>
size_t BareRead(BareContext& context) {
  const auto [pieces, offset, lane] = context.NextTransfer(kBytes, kRandom, kFileBytes);
  return ::preadv2(context.data(), pieces.data(), static_cast<int>(pieces.size()), offset, 0) ==
                 ssize_t{kBytes}
             ? 1
             : 0;
}

template <size_t kBytes, bool kRandom>
size_t BareWrite(BareContext& context) {
  const auto [pieces, offset, lane] =
      context.NextTransfer(kBytes, kRandom, kRandom ? kPartBytes : kFileBytes);
  const int fd = kRandom ? context.written_part(PartOf(lane)) : context.written();
  return ::pwritev2(fd, pieces.data(), static_cast<int>(pieces.size()), offset, 0) ==
                 ssize_t{kBytes}
             ? 1
             : 0;
}

// The lanes' requests in their order: all that create, then all that release, then all that unlink.
size_t BareCreate(BareContext& context) {
  constexpr size_t kLanes = BareContext::kLanes;
  // The reply has attributes, and the inode stays known beyond RELEASE: as for a name looked up.
  struct statx info;
  int fds[kLanes];
  int paths[kLanes];
  bool done = true;
  for (size_t lane = 0; lane < kLanes; ++lane) {
    const char* const name = context.created(lane);
    fds[lane] = ::openat(context.names(), name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
    paths[lane] = ::openat(context.names(), name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
    done &= fds[lane] >= 0 && ::statx(paths[lane], "", AT_EMPTY_PATH, kStatxMask, &info) == 0;
  }
  for (const int fd : fds) done &= ::close(fd) == 0;
  for (size_t lane = 0; lane < kLanes; ++lane) {
    done &= ::unlinkat(context.names(), context.created(lane), 0) == 0;
    done &= ::close(paths[lane]) == 0;
  }
  return done ? 3 * kLanes : 0;
}

size_t BareMakeDirectory(BareContext& context) {
  return ::mkdirat(context.names(), "bare", 0755) == 0 &&
                 ::unlinkat(context.names(), "bare", AT_REMOVEDIR) == 0
             ? 2
             : 0;
}

size_t BareRename(BareContext& context) {
  return ::renameat(context.names(), "moved-0", context.names(), "renamed-0") == 0 &&
                 ::renameat(context.names(), "renamed-0", context.names(), "moved-0") == 0
             ? 2
             : 0;
}

size_t BareList(BareContext& context) {
  struct Entry {
    uint64_t inode;
    int64_t offset;
    uint16_t bytes;
    uint8_t type;
    char name[1];
  };
  alignas(8) static char buffer[kListingBytes];
  if (::lseek(context.entries(), 0, SEEK_SET) != 0) return 0;
  while (true) {
    const long bytes = ::syscall(SYS_getdents64, context.entries(), buffer, sizeof buffer);
    if (bytes < 0) return 0;
    if (bytes == 0) break;
    for (long at = 0; at < bytes;) {
      const auto* entry = reinterpret_cast<const Entry*>(buffer + at);
      struct statx info;
      if (::statx(context.entries(), entry->name, AT_SYMLINK_NOFOLLOW, kStatxMask, &info) != 0) {
        return 0;
      }
      at += entry->bytes;
    }
  }
  // The requests that a guest needs for as much.
  constexpr size_t kEntryBytes = FUSE_DIRENT_ALIGN(FUSE_NAME_OFFSET_DIRENTPLUS + 9);
  constexpr size_t kEntriesOfRequest = kListingBytes / kEntryBytes;
  return (kEntries + kEntriesOfRequest - 1) / kEntriesOfRequest;
}

size_t BareXattr(BareContext& context) {
  char value[256];
  const char* const path = context.reopened(context.NextLane());
  return ::setxattr(path, kXattr, kXattrValue, sizeof kXattrValue - 1, 0) == 0 &&
                 ::getxattr(path, kXattr, value, sizeof value) > 0
             ? 2
             : 0;
}

template size_t BareRead<4 * kKiB, true>(BareContext&);
template size_t BareRead<128 * kKiB, false>(BareContext&);
template size_t BareRead<kMiB, false>(BareContext&);
template size_t BareWrite<4 * kKiB, true>(BareContext&);
template size_t BareWrite<128 * kKiB, false>(BareContext&);
template size_t BareWrite<kMiB, false>(BareContext&);

}  // namespace fsd::bench
