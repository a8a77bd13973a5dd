// A file system that is full (ENOSPC) and a user whose quota is used up (EDQUOT): what is refused,
// what still works, and that space comes back.
#include <fcntl.h>
#include <ftw.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <functional>
#include <string>
#include <utility>

#include "tests/semantics/files.h"
#include "tests/semantics/limit_parts.h"
#include "tests/semantics/process.h"

namespace posix_check {
namespace {

// More than a place for these checks can hold.
constexpr off_t kMaxFill = off_t{256} << 20;
constexpr int kMaxNames = 20000;
constexpr useconds_t kRetryUs = 10000;
constexpr int kMaxRetries = 500;

const User kQuotaUser = {"quota", 1001, 1001, {}};

// The user that the checks run as, and what it gets when there is no more.
struct Bound {
  std::string name;
  std::string place;
  int error;
  User user;
};

// A file system may free what was deleted only a moment later.
bool Eventually(const std::function<bool()>& holds) {
  for (int i = 0; i < kMaxRetries; ++i) {
    if (holds()) return true;
    usleep(kRetryUs);
  }
  return false;
}

// Truncated first: a guest gives back the space of a file that it removed only with its FORGET,
// which follows in its own time. (A file system that copies on write may refuse that for want of
// space.)
int RemoveEntry(const char* path, const struct stat* status, int, struct FTW*) {
  if (S_ISREG(status->st_mode) && truncate(path, 0) != 0 && errno != EDQUOT) return -1;
  return remove(path);
}

// A new directory in a place that belongs to the user and is the working directory for as long as
// this lives. It is removed, so that the next check finds the place empty.
class PlaceDirectory {
 public:
  PlaceDirectory(Report& r, const Bound& bound) {
    const bool made = Eventually([&] {
      path_ = bound.place + "/posix_check.XXXXXX";
      return mkdtemp(path_.data()) != nullptr;
    });
    if (!made) path_.clear();
    ready_ = r.True("a directory of the place", made) &&
             r.Call("chown", chown(path_.c_str(), bound.user.uid, bound.user.gid)) &&
             r.Call("chdir", chdir(path_.c_str()));
  }
  ~PlaceDirectory() {
    if (path_.empty() || chdir("/") != 0) return;
    nftw(path_.c_str(), RemoveEntry, 16, FTW_DEPTH | FTW_PHYS);
  }
  PlaceDirectory(const PlaceDirectory&) = delete;
  PlaceDirectory& operator=(const PlaceDirectory&) = delete;

  bool ready() const { return ready_; }

 private:
  std::string path_;
  bool ready_ = false;
};

// Appends to the file until that fails, and returns with what. Data that a cache has taken is
// flushed, so that the failure is seen here. 0 when there is no end.
int Fill(const std::string& path) {
  const Fd fd = Open(path, O_WRONLY | O_CREAT | O_APPEND);
  if (fd.get() < 0) return errno;
  const std::string bytes = Pattern(65536);
  for (const size_t size : {bytes.size(), size_t{4096}, size_t{512}}) {
    for (off_t sum = 0; sum < kMaxFill;) {
      const ssize_t count = write(fd.get(), bytes.data(), size);
      if (count < 0) break;
      sum += count;
      if (sum % (1 << 20) < count && fsync(fd.get()) != 0) return errno;
      if (sum >= kMaxFill) return 0;
    }
  }
  const int error = errno;
  fsync(fd.get());
  return error;
}

// Puts `size` bytes into `path`: 0 when they are all in the file system.
int Put(const char* path, int flags, off_t offset, size_t size) {
  const Fd fd = Open(path, flags);
  if (fd.get() < 0) return -1;
  const std::string bytes = Pattern(size);
  const ssize_t count = pwrite(fd.get(), bytes.data(), size, offset);
  if (count < 0 || fsync(fd.get()) != 0) return -1;
  if (count == static_cast<ssize_t>(size)) return 0;
  errno = ENODATA;
  return -1;
}

int Allocate(const char* path, off_t size) {
  const Fd fd = Open(path, O_WRONLY | O_CREAT);
  return fd.get() < 0 ? -1 : fallocate(fd.get(), 0, 0, size);
}

bool PutNew() { return Put("another", O_WRONLY | O_CREAT, 0, 65536) == 0; }

constexpr int kNoSpace = -1;    // the bound's error
constexpr int kEitherWay = -2;  // as it needs a block or not

// With the place full of `fill`; `file` has 65536 bytes and `sparse` a hole of 1 MiB.
struct WhenFull {
  const char* name;
  int (*run)();
  int want;
};

const WhenFull kWhenFull[] = {
    {"write at the end", [] { return Put("file", O_WRONLY, 65536, 65536); }, kNoSpace},
    {"append", [] { return Put("fill", O_WRONLY | O_APPEND, 0, 65536); }, kNoSpace},
    {"write far beyond the end", [] { return Put("file", O_WRONLY, 1 << 20, 65536); }, kNoSpace},
    {"write into a hole", [] { return Put("sparse", O_WRONLY, 65536, 65536); }, kNoSpace},
    {"write with O_SYNC", [] { return Put("file", O_WRONLY | O_SYNC, 65536, 65536); }, kNoSpace},
    {"fallocate", [] { return Allocate("file", 1 << 20); }, kNoSpace},
    {"fallocate of a new file", [] { return Allocate("new", 1 << 20); }, kNoSpace},
    {"copy_file_range",
     [] {
       const Fd from = Open("file", O_RDONLY);
       const Fd to = Open("file", O_WRONLY);
       off_t offset = 65536;
       if (copy_file_range(from.get(), nullptr, to.get(), &offset, 65536, 0) < 0) return -1;
       return fsync(to.get());
     },
     kNoSpace},
    {"create", [] { return Open("new", O_WRONLY | O_CREAT).get() < 0 ? -1 : 0; }, kEitherWay},
    {"mkdir", [] { return mkdir("new", 0755); }, kEitherWay},
    {"symlink", [] { return symlink(std::string(200, 'x').c_str(), "new"); }, kEitherWay},
    {"read", [] { return ReadFile("file") == Pattern(65536) ? 0 : -1; }, 0},
    {"truncate to less", [] { return truncate("file", 10); }, 0},
    {"chmod", [] { return chmod("file", 0600); }, 0},
    {"rename", [] { return rename("file", "sparse"); }, 0},
    {"unlink", [] { return unlink("file"); }, 0},
    {"statfs",
     [] {
       struct statfs status;
       return statfs(".", &status);
     },
     0},
};

// Ways to let the space of `fill` go.
const WhenFull kReleases[] = {
    {"unlink", [] { return unlink("fill"); }, 0},
    {"truncate", [] { return truncate("fill", 0); }, 0},
    {"open with O_TRUNC", [] { return Open("fill", O_WRONLY | O_TRUNC).get() < 0 ? -1 : 0; }, 0},
    {"rename onto it", [] { return rename("file", "fill"); }, 0},
    {"punch a hole",
     [] {
       const Fd fd = Open("fill", O_WRONLY);
       return fallocate(fd.get(), FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, 1 << 20);
     },
     0},
};

// "name, 3 of 7000 blocks and 500 of 512 inodes free".
std::string WithFreeSpace(const std::string& name, const std::string& place) {
  struct statfs status;
  if (statfs(place.c_str(), &status) != 0) return name;
  return name + ", " + std::to_string(status.f_bfree) + " of " + std::to_string(status.f_blocks) +
         " blocks and " + std::to_string(status.f_ffree) + " of " + std::to_string(status.f_files) +
         " inodes free";
}

// Runs `work` as the bound's user in a new directory of its place.
void AddIn(Registry& registry, const Bound& bound, const std::string& name,
           std::function<int(const Bound&)> work) {
  registry.Add("limit/" + bound.name + "/" + name,
               [bound, work = std::move(work), name](Report& r) {
                 const PlaceDirectory directory(r, bound);
                 if (!directory.ready()) return;
                 const std::string before = WithFreeSpace(name, bound.place);
                 const int error = RunAs(bound.user, [&] { return work(bound); });
                 if (error == EOPNOTSUPP) return r.Unsupported("not of this file system");
                 r.Errno(before, error, 0);
               });
}

// The errors that the children of these checks return besides those of system calls.
constexpr int kNeverFull = ENOTRECOVERABLE;
constexpr int kWrongContent = EBADMSG;

// A file system that copies on write (btrfs) charges the user for what a truncation or a rename
// writes anew, and may refuse those too.
bool MayRefuse(const Bound& bound, int error) { return error == EDQUOT && bound.error == EDQUOT; }

// Makes the place full; 0 when it is.
int Prepare(const Bound& bound) {
  if (!Eventually([] { return Put("file", O_WRONLY | O_CREAT, 0, 65536) == 0; })) return errno;
  if (Put("sparse", O_WRONLY | O_CREAT, 0, 1) != 0 || truncate("sparse", 1 << 20) != 0) {
    return errno;
  }
  const int error = Fill("fill");
  return error == 0 ? kNeverFull : error == bound.error ? 0 : error;
}

void AddFull(Registry& registry, const Bound& bound) {
  for (const WhenFull& one : kWhenFull) {
    AddIn(registry, bound, std::string("full/") + one.name, [&one](const Bound& here) {
      if (const int error = Prepare(here); error != 0) return error;
      const int got = ErrnoOf(one.run());
      const bool refused = got == here.error;
      if (one.want == kEitherWay) return got == 0 || refused ? 0 : got;
      if (one.want == 0) return MayRefuse(here, got) ? 0 : got;
      return refused ? 0 : got == 0 ? kNeverFull : got;
    });
  }
  for (const WhenFull& one : kReleases) {
    AddIn(registry, bound, std::string("space comes back/") + one.name, [&one](const Bound& here) {
      if (const int error = Prepare(here); error != 0) return error;
      const int error = ErrnoOf(one.run());
      if (error != 0 && !MayRefuse(here, error)) return error;
      if (error != 0 && unlink("fill") != 0) return errno;
      return Eventually(PutNew) ? 0 : here.error;
    });
  }
  AddIn(registry, bound, "space comes back/the last close of an unlinked file",
        [](const Bound& here) {
          if (const int error = Prepare(here); error != 0) return error;
          Fd fd = Open("fill", O_RDONLY);
          if (unlink("fill") != 0) return errno;
          if (PutNew()) return kNeverFull;
          fd.Close();
          return Eventually(PutNew) ? 0 : here.error;
        });
}

void AddData(Registry& registry, const Bound& bound) {
  AddIn(registry, bound, "data/what was written before is whole", [](const Bound& here) {
    if (const int error = Prepare(here); error != 0) return error;
    if (ReadFile("file") != Pattern(65536)) return kWrongContent;
    const std::string content = ReadFile("fill");
    return content.compare(0, 65536, Pattern(65536)) == 0 ? 0 : kWrongContent;
  });
  AddIn(registry, bound, "data/a write that fits in part is short", [](const Bound&) {
    struct statfs status;
    if (statfs(".", &status) != 0) return errno;
    const std::string bytes = Pattern(status.f_blocks * status.f_bsize + (1 << 20));
    const Fd fd = Open("file", O_RDWR | O_CREAT);
    const ssize_t count = write(fd.get(), bytes.data(), bytes.size());
    if (count < 0) return errno;
    if (count == 0 || count == static_cast<ssize_t>(bytes.size())) return kNeverFull;
    return ReadFile("file") == bytes.substr(0, count) ? 0 : kWrongContent;
  });
  AddIn(registry, bound, "data/fallocate until it is full", [](const Bound& here) {
    const Fd fd = Open("file", O_RDWR | O_CREAT);
    off_t size = 0;
    while (fallocate(fd.get(), 0, size, 1 << 18) == 0) {
      size += 1 << 18;
      if (size > kMaxFill) return kNeverFull;
    }
    if (errno != here.error) return errno;
    // What was granted can be written.
    for (off_t at = 0; at < size; at += 65536) {
      if (Put("file", O_WRONLY, at, 65536) != 0) return errno;
    }
    if (unlink("file") != 0) return errno;
    return 0;
  });
  AddIn(registry, bound, "data/fallocate of more than there is", [](const Bound& here) {
    struct statfs status;
    if (statfs(".", &status) != 0) return errno;
    const int error = ErrnoOf(Allocate("file", 2 * status.f_blocks * status.f_bsize));
    if (error != here.error) return error == 0 ? kNeverFull : error;
    if (unlink("file") != 0) return errno;
    return Eventually(PutNew) ? 0 : error;
  });
}

// All of it, or -1 with the error that a short write is followed by.
int MakeWithContent(const char* path) {
  const Fd fd = Open(path, O_WRONLY | O_CREAT | O_EXCL);
  if (fd.get() < 0) return -1;
  const std::string bytes = Pattern(9000);
  for (size_t sum = 0; sum < bytes.size();) {
    const ssize_t count = write(fd.get(), bytes.data() + sum, bytes.size() - sum);
    if (count < 0) return -1;
    sum += count;
  }
  // Where writes are cached, a close may be the first to fail.
  return close(dup(fd.get()));
}

struct Maker {
  const char* name;
  int (*run)(const char* path);
  bool takes_blocks = false;  // of its own: every quota bounds it
};

const Maker kMakers[] = {
    {"mkdir", [](const char* path) { return mkdir(path, 0755); }},
    {"create", [](const char* path) { return MakeFile(path); }},
    {"create with content", MakeWithContent, true},
    {"long symlink", [](const char* path) { return symlink(std::string(500, 'x').c_str(), path); }},
    {"mkfifo", [](const char* path) { return mkfifo(path, 0644); }},
};

void AddNames(Registry& registry, const Bound& bound) {
  for (const Maker& maker : kMakers) {
    if (bound.error == EDQUOT && !maker.takes_blocks) continue;
    AddIn(registry, bound, std::string("names/") + maker.name, [&maker](const Bound& here) {
      int made = 0;
      int error = 0;
      while (made < kMaxNames) {
        const std::string name = std::to_string(made);
        if (maker.run(name.c_str()) != 0) {
          error = errno;
          // A file that could be made but not written.
          if (Exists(name)) ++made;
          break;
        }
        ++made;
      }
      // Not every file system bounds them.
      if (error == 0) return EOPNOTSUPP;
      if (error != here.error) return error;
      if (Names(".").size() != static_cast<size_t>(made)) return kWrongContent;
      for (int i = 0; i < made / 2; ++i) {
        if (remove(std::to_string(i).c_str()) != 0) return errno;
      }
      return Eventually([&] { return maker.run("again") == 0 || errno == EEXIST; }) ? 0 : error;
    });
  }
}

}  // namespace

void AddSpaceLimitChecks(Registry& registry) {
  const Bound bounds[] = {
      {"full file system", registry.places().small_fs, ENOSPC, kRoot},
      {"quota", registry.places().quota_fs, EDQUOT, kQuotaUser},
  };
  for (const Bound& bound : bounds) {
    if (bound.place.empty()) continue;
    AddFull(registry, bound);
    AddData(registry, bound);
    AddNames(registry, bound);
  }
}

}  // namespace posix_check
