// Times: which operation changes which, what utimensat sets, and to the nanosecond.
#include <fcntl.h>
#include <linux/fs.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <string>

#include "tests/semantics/areas.h"
#include "tests/semantics/files.h"

namespace posix_check {
namespace {

constexpr timespec kOld = {.tv_sec = 1000000000, .tv_nsec = 0};

struct statx Status(const std::string& path) {
  struct statx status = {};
  if (statx(AT_FDCWD, path.c_str(), AT_SYMLINK_NOFOLLOW | AT_STATX_FORCE_SYNC,
            STATX_BASIC_STATS | STATX_BTIME, &status) != 0) {
    return {};
  }
  return status;
}

bool Later(const statx_timestamp& one, const statx_timestamp& other) {
  return one.tv_sec != other.tv_sec ? one.tv_sec > other.tv_sec : one.tv_nsec > other.tv_nsec;
}

// Returns when the file system's clock shows a later time than when it was called: a kernel's clock
// for files may move in steps of 10 ms.
void AwaitNextTick(Report& r) {
  // Where a client keeps times of change itself, a new file still has those of the server's clock.
  if (!r.Call("clock file", WriteFile("clock", "")) || !r.Call("chmod", chmod("clock", 0600))) return;
  const statx_timestamp first = Status("clock").stx_ctime;
  for (int attempt = 0; attempt < 1000000; ++attempt) {
    if (chmod("clock", attempt % 2 == 0 ? 0644 : 0600) != 0) break;
    if (Later(Status("clock").stx_ctime, first)) return;
  }
  r.Fail("the file system's clock", "standing still", "moving");
}

// Which of atime, mtime and ctime moved: "am", "c", "-".
std::string Moved(const struct statx& before, const struct statx& after) {
  std::string moved;
  if (Later(after.stx_atime, before.stx_atime)) moved += 'a';
  if (Later(after.stx_mtime, before.stx_mtime)) moved += 'm';
  if (Later(after.stx_ctime, before.stx_ctime)) moved += 'c';
  return moved.empty() ? "-" : moved;
}

// On the file `d/f` of "0123456789", the directory `d/sub`, the symlink `d/link` and the fifo
// `d/fifo`.
struct Operation {
  const char* name;
  int (*run)();
  const char* object;  // whose times `of_object` are, or null
  const char* of_object;
  const char* of_directory;  // d's
};

int OnOpen(int flags, std::int64_t (*run)(int fd)) {
  Fd fd = Open("d/f", flags);
  return fd.get() >= 0 && run(fd.get()) != -1 ? 0 : -1;
}

int ReadDirectory(const char* path) { return Names(path).empty() ? -1 : 0; }

const Operation kOperations[] = {
    {"stat",
     [] {
       struct stat status;
       return stat("d/f", &status);
     },
     "d/f", "-", "-"},
    {"access", [] { return access("d/f", R_OK); }, "d/f", "-", "-"},
    {"open to read", [] { return OnOpen(O_RDONLY, [](int) -> std::int64_t { return 0; }); }, "d/f",
     "-", "-"},
    {"open to write", [] { return OnOpen(O_WRONLY, [](int) -> std::int64_t { return 0; }); }, "d/f",
     "-", "-"},
    {"read",
     [] {
       return OnOpen(O_RDONLY, [](int fd) -> std::int64_t {
         char c;
         return read(fd, &c, 1);
       });
     },
     "d/f", "a", "-"},
    {"read at the end",
     [] {
       return OnOpen(O_RDONLY, [](int fd) -> std::int64_t {
         char c;
         return pread(fd, &c, 1, 99);
       });
     },
     "d/f", nullptr, "-"},
    {"read with O_NOATIME",
     [] {
       return OnOpen(O_RDONLY | O_NOATIME, [](int fd) -> std::int64_t {
         char c;
         return read(fd, &c, 1);
       });
     },
     "d/f", "-", "-"},
    {"write",
     [] { return OnOpen(O_WRONLY, [](int fd) -> std::int64_t { return write(fd, "x", 1); }); },
     "d/f", "mc", "-"},
    {"append",
     [] {
       return OnOpen(O_WRONLY | O_APPEND, [](int fd) -> std::int64_t { return write(fd, "x", 1); });
     },
     "d/f", "mc", "-"},
    {"write nothing",
     [] { return OnOpen(O_WRONLY, [](int fd) -> std::int64_t { return write(fd, "", 0); }); },
     "d/f", "-", "-"},
    {"truncate to less", [] { return truncate("d/f", 3); }, "d/f", "mc", "-"},
    {"truncate to more", [] { return truncate("d/f", 30); }, "d/f", "mc", "-"},
    {"truncate to the same", [] { return truncate("d/f", 10); }, "d/f", "mc", "-"},
    {"ftruncate",
     [] { return OnOpen(O_WRONLY, [](int fd) -> std::int64_t { return ftruncate(fd, 3); }); },
     "d/f", "mc", "-"},
    {"open with O_TRUNC",
     [] { return OnOpen(O_WRONLY | O_TRUNC, [](int) -> std::int64_t { return 0; }); }, "d/f", "mc",
     "-"},
    {"fallocate that grows",
     [] {
       return OnOpen(O_WRONLY, [](int fd) -> std::int64_t { return fallocate(fd, 0, 0, 9000); });
     },
     "d/f", "mc", "-"},
    {"chmod", [] { return chmod("d/f", 0600); }, "d/f", "c", "-"},
    {"chmod to the same", [] { return chmod("d/f", 0644); }, "d/f", "c", "-"},
    {"chown", [] { return chown("d/f", 5, 6); }, "d/f", "c", "-"},
    {"setxattr", [] { return setxattr("d/f", "user.x", "1", 1, 0); }, "d/f", "c", "-"},
    {"getxattr",
     [] { return getxattr("d/f", "user.y", nullptr, 0) < 0 && errno != ENODATA ? -1 : 0; }, "d/f",
     "-", "-"},
    {"utimens to now", [] { return utimensat(AT_FDCWD, "d/f", nullptr, 0); }, "d/f", "amc", "-"},
    {"fsync", [] { return OnOpen(O_RDONLY, [](int fd) -> std::int64_t { return fsync(fd); }); },
     "d/f", "-", "-"},
    {"link", [] { return link("d/f", "d/new"); }, "d/f", "c", "mc"},
    {"unlink of one of two names", [] { return unlink("d/f"); }, "second", "c", "mc"},
    {"rename in place", [] { return rename("d/f", "d/new"); }, "second", "c", "mc"},
    {"rename out", [] { return rename("d/f", "new"); }, "second", "c", "mc"},
    {"rename over a file", [] { return rename("other", "d/f"); }, "second", "c", "mc"},
    {"rename of a directory", [] { return rename("d/sub", "d/new"); }, nullptr, nullptr, "mc"},
    {"exchange", [] { return renameat2(AT_FDCWD, "d/f", AT_FDCWD, "d/fifo", RENAME_EXCHANGE); },
     "second", "c", "mc"},
    {"create", [] { return MakeFile("d/new"); }, nullptr, nullptr, "mc"},
    {"open with O_CREAT of what is there",
     [] { return Open("d/f", O_WRONLY | O_CREAT).get() < 0 ? -1 : 0; }, "d/f", "-", "-"},
    {"mkdir", [] { return mkdir("d/new", 0755); }, nullptr, nullptr, "mc"},
    {"symlink", [] { return symlink("x", "d/new"); }, nullptr, nullptr, "mc"},
    {"mkfifo", [] { return mknod("d/new", S_IFIFO | 0644, 0); }, nullptr, nullptr, "mc"},
    {"rmdir", [] { return rmdir("d/sub"); }, nullptr, nullptr, "mc"},
    {"unlink of a symlink", [] { return unlink("d/link"); }, nullptr, nullptr, "mc"},
    {"readlink", [] { return LinkText("d/link") == "f" ? 0 : -1; }, "d/link", "a", "-"},
    {"through a symlink", [] { return truncate("d/link", 3); }, "d/f", "mc", "-"},
    {"lchown of a symlink", [] { return lchown("d/link", 5, 6); }, "d/link", "c", "-"},
    {"readdir", [] { return ReadDirectory("d"); }, nullptr, nullptr, "a"},
    {"create below", [] { return MakeFile("d/sub/new"); }, "d/sub", "mc", "-"},
    {"chmod of the directory", [] { return chmod("d", 0700); }, nullptr, nullptr, "c"},
    {"copy_file_range into it",
     [] {
       Fd from = Open("other", O_RDONLY);
       Fd to = Open("d/f", O_WRONLY);
       return copy_file_range(from.get(), nullptr, to.get(), nullptr, 4, 0) == 4 ? 0 : -1;
     },
     "d/f", "mc", "-"},
    {"failed create", [] { return Open("d/f", O_WRONLY | O_CREAT | O_EXCL).get() < 0 ? 0 : -1; },
     "d/f", "-", "-"},
    {"failed unlink", [] { return unlink("d/absent") != 0 ? 0 : -1; }, nullptr, nullptr, "-"},
    {"failed rmdir", [] { return rmdir("d") != 0 ? 0 : -1; }, nullptr, nullptr, "-"},
};

void MakeScene(Report& r) {
  r.Call("d", mkdir("d", 0755));
  r.Call("f", MakeFile("d/f", "0123456789"));
  r.Call("second", link("d/f", "second"));
  r.Call("other", MakeFile("other", "other"));
  r.Call("sub", mkdir("d/sub", 0755));
  r.Call("link", symlink("f", "d/link"));
  r.Call("fifo", mknod("d/fifo", S_IFIFO | 0644, 0));
  // Old times: a read shows in atime even where that is kept lazily.
  const timespec times[2] = {kOld, kOld};
  for (const char* path : {"d/f", "d/sub", "d/link", "d/fifo", "other", "d"}) {
    r.Call("utimens", utimensat(AT_FDCWD, path, times, AT_SYMLINK_NOFOLLOW));
  }
}

void AddMatrix(Registry& registry) {
  for (const Operation& operation : kOperations) {
    registry.Add(std::string("times/moved by/") + operation.name, [&operation](Report& r) {
      MakeScene(r);
      // The other name of a file shows its times when the first is gone.
      const std::string object = operation.object != nullptr ? operation.object : "second";
      const struct statx object_before =
          Status(operation.name == std::string("rename over a file") ? "second" : object);
      const struct statx directory_before = Status("d");
      AwaitNextTick(r);
      const int got = ErrnoOf(operation.run());
      if (got == EOPNOTSUPP) return r.Unsupported("not on this file system");
      r.Errno(operation.name, got, 0);
      if (operation.of_object != nullptr) {
        r.Equal("of the object", Moved(object_before, Status(object)), operation.of_object);
      }
      r.Equal("of the directory", Moved(directory_before, Status("d")), operation.of_directory);
    });
  }
  registry.Add("times/moved by/rename into another directory", [](Report& r) {
    MakeScene(r);
    const struct statx before = Status("d/sub");
    AwaitNextTick(r);
    r.Call("rename", rename("d/f", "d/sub/f"));
    r.Equal("of the new directory", Moved(before, Status("d/sub")), "mc");
  });
  registry.Add("times/moved by/mapped write", [](Report& r) {
    MakeScene(r);
    Fd fd = Open("d/f", O_RDWR);
    const struct statx before = Status("d/f");
    void* mapped = mmap(nullptr, 10, PROT_READ | PROT_WRITE, MAP_SHARED, fd.get(), 0);
    if (mapped == MAP_FAILED && errno == ENODEV) return r.Unsupported("no shared mappings");
    if (!r.True("mmap", mapped != MAP_FAILED)) return;
    AwaitNextTick(r);
    static_cast<char*>(mapped)[3] = 'x';
    r.Call("msync", msync(mapped, 10, MS_SYNC));
    munmap(mapped, 10);
    const std::string moved = Moved(before, Status("d/f"));
    r.True("mtime and ctime", moved == "mc" || moved == "amc");
  });
}

struct Setting {
  const char* name;
  timespec atime;
  timespec mtime;
};

constexpr timespec kNow = {.tv_sec = 0, .tv_nsec = UTIME_NOW};
constexpr timespec kOmit = {.tv_sec = 0, .tv_nsec = UTIME_OMIT};

const Setting kSettings[] = {
    {"nanoseconds", {.tv_sec = 5, .tv_nsec = 123456789}, {.tv_sec = 7, .tv_nsec = 987654321}},
    {"the last nanosecond", {.tv_sec = 5, .tv_nsec = 999999999}, {.tv_sec = 7, .tv_nsec = 1}},
    {"the epoch", {.tv_sec = 0, .tv_nsec = 0}, {.tv_sec = 0, .tv_nsec = 0}},
    {"before the epoch", {.tv_sec = -5, .tv_nsec = 500}, {.tv_sec = -1, .tv_nsec = 999999999}},
    {"1902", {.tv_sec = -2147000000, .tv_nsec = 1}, {.tv_sec = -2147000000, .tv_nsec = 2}},
    {"after 2038", {.tv_sec = 4000000000, .tv_nsec = 1}, {.tv_sec = 4000000000, .tv_nsec = 2}},
    {"after 2106", {.tv_sec = 5000000000, .tv_nsec = 1}, {.tv_sec = 5000000001, .tv_nsec = 2}},
    {"only atime", {.tv_sec = 5, .tv_nsec = 6}, kOmit},
    {"only mtime", kOmit, {.tv_sec = 7, .tv_nsec = 8}},
    {"neither", kOmit, kOmit},
    {"atime now", kNow, kOmit},
    {"mtime now", kOmit, kNow},
    {"both now", kNow, kNow},
    {"atime now, mtime given", kNow, {.tv_sec = 7, .tv_nsec = 8}},
    {"atime given, mtime now", {.tv_sec = 5, .tv_nsec = 6}, kNow},
};

void CheckTime(Report& r, const char* what, const statx_timestamp& got, const timespec& set,
               const statx_timestamp& before) {
  if (set.tv_nsec == UTIME_NOW) {
    r.True(std::string(what) + " is now", Later(got, before));
    return;
  }
  const bool omitted = set.tv_nsec == UTIME_OMIT;
  r.Equal(what, got.tv_sec, omitted ? before.tv_sec : set.tv_sec);
  r.Equal(std::string(what) + "'s nanoseconds", got.tv_nsec,
          omitted ? before.tv_nsec : set.tv_nsec);
}

void AddSettings(Registry& registry) {
  static const struct {
    const char* name;
    int (*make)();
  } kKinds[] = {
      {"file", [] { return MakeFile("x"); }},
      {"directory", [] { return mkdir("x", 0755); }},
      {"symlink", [] { return symlink("y", "x"); }},
      {"fifo", [] { return mknod("x", S_IFIFO | 0644, 0); }},
      {"open file", [] { return MakeFile("x"); }},
  };
  for (const auto& kind : kKinds) {
    for (const Setting& setting : kSettings) {
      registry.Add(std::string("times/set/") + kind.name + "/" + setting.name,
                   [&kind, &setting](Report& r) {
                     r.Call("make", kind.make());
                     const timespec old[2] = {kOld, kOld};
                     r.Call("old", utimensat(AT_FDCWD, "x", old, AT_SYMLINK_NOFOLLOW));
                     const struct statx before = Status("x");
                     const timespec times[2] = {setting.atime, setting.mtime};
                     if (kind.name == std::string("open file")) {
                       r.Call("futimens", futimens(Open("x", O_RDONLY).get(), times));
                     } else {
                       r.Call("utimensat", utimensat(AT_FDCWD, "x", times, AT_SYMLINK_NOFOLLOW));
                     }
                     const struct statx after = Status("x");
                     CheckTime(r, "atime", after.stx_atime, setting.atime, before.stx_atime);
                     CheckTime(r, "mtime", after.stx_mtime, setting.mtime, before.stx_mtime);
                   });
    }
  }
  for (const long nanoseconds : {-1L, 1000000000L, (1L << 30) - 3}) {
    registry.Add("times/set/refused nanoseconds " + std::to_string(nanoseconds),
                 [nanoseconds](Report& r) {
                   r.Call("make", MakeFile("x"));
                   const timespec times[2] = {{.tv_sec = 1, .tv_nsec = nanoseconds}, kOmit};
                   r.Call("utimensat", utimensat(AT_FDCWD, "x", times, 0), EINVAL);
                 });
  }
}

void AddBirth(Registry& registry) {
  registry.Add("times/birth/stays when all else changes", [](Report& r) {
    r.Call("make", MakeFile("x", "text"));
    const struct statx before = Status("x");
    if ((before.stx_mask & STATX_BTIME) == 0) return r.Unsupported("no birth time");
    r.True("not after ctime", !Later(before.stx_btime, before.stx_ctime));
    AwaitNextTick(r);
    r.Call("write", WriteFile("x", "other"));
    r.Call("chmod", chmod("x", 0600));
    r.Call("rename", rename("x", "y"));
    const struct statx after = Status("y");
    r.Equal("seconds", after.stx_btime.tv_sec, before.stx_btime.tv_sec);
    r.Equal("nanoseconds", after.stx_btime.tv_nsec, before.stx_btime.tv_nsec);
  });
  registry.Add("times/birth/a later file is born later", [](Report& r) {
    r.Call("make", MakeFile("x"));
    AwaitNextTick(r);
    r.Call("make", MakeFile("y"));
    const struct statx first = Status("x");
    if ((first.stx_mask & STATX_BTIME) == 0) return r.Unsupported("no birth time");
    r.True("later", Later(Status("y").stx_btime, first.stx_btime));
  });
}

}  // namespace

void AddTimeChecks(Registry& registry) {
  AddMatrix(registry);
  AddSettings(registry);
  AddBirth(registry);
}

}  // namespace posix_check
