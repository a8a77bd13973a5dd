// Bringing data to the disk, and what is told of the file system as a whole. That the data outlives
// a crash cannot be seen here; that the calls are accepted, or refused as they must be, can.
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/statvfs.h>
#include <sys/uio.h>
#include <unistd.h>

#include <cerrno>
#include <iterator>
#include <set>
#include <string>

#include "tests/semantics/areas.h"
#include "tests/semantics/files.h"

namespace posix_check {
namespace {

struct Call {
  const char* name;
  int (*run)(int fd);
};

const Call kCalls[] = {
    {"fsync", [](int fd) { return fsync(fd); }},
    {"fdatasync", [](int fd) { return fdatasync(fd); }},
    {"syncfs", [](int fd) { return syncfs(fd); }},
    {"sync_file_range", [](int fd) { return sync_file_range(fd, 0, 0, SYNC_FILE_RANGE_WRITE); }},
};
constexpr size_t kSyncfs = 2;
constexpr size_t kSyncFileRange = 3;

// The file `file` of "0123456789", the directories `.` and `d`, the fifo `fifo`.
struct Object {
  const char* name;
  const char* path;
  int flags;
  int want;
  int want_of_sync_file_range;
  int want_of_syncfs;
};

const Object kObjects[] = {
    {"a file open for writing", "file", O_WRONLY, 0, 0, 0},
    {"a file open for reading", "file", O_RDONLY, 0, 0, 0},
    {"a file open for both", "file", O_RDWR, 0, 0, 0},
    {"a file that appends", "file", O_WRONLY | O_APPEND, 0, 0, 0},
    {"a directory", ".", O_RDONLY | O_DIRECTORY, 0, 0, 0},
    {"an empty directory", "d", O_RDONLY, 0, 0, 0},
    {"a fifo", "fifo", O_RDWR, EINVAL, ESPIPE, 0},
    {"a path descriptor", "file", O_PATH, EBADF, EBADF, EBADF},
    {"no descriptor", "absent", O_RDONLY, EBADF, EBADF, EBADF},
};

int WantOf(const Object& object, size_t call) {
  if (call == kSyncFileRange) return object.want_of_sync_file_range;
  return call == kSyncfs ? object.want_of_syncfs : object.want;
}

void AddObjects(Registry& registry) {
  for (size_t call = 0; call < std::size(kCalls); ++call) {
    for (const Object& object : kObjects) {
      const int want = WantOf(object, call);
      registry.Add(std::string("sync/") + kCalls[call].name + "/" + object.name,
                   [call, &object, want](Report& r) {
                     r.Call("file", MakeFile("file", "0123456789"));
                     r.Call("d", mkdir("d", 0755));
                     r.Call("fifo", mkfifo("fifo", 0644));
                     const Fd fd = Open(object.path, object.flags);
                     r.Call(kCalls[call].name, kCalls[call].run(fd.get()), want);
                     r.Equal("content", ReadFile("file"), "0123456789");
                   });
    }
  }
}

// A change that is then synced by the descriptor of `file` that made it.
struct Change {
  const char* name;
  int (*run)(int fd);
  const char* content;
};

const Change kChanges[] = {
    {"write", [](int fd) { return pwrite(fd, "abc", 3, 8) == 3 ? 0 : -1; }, "01234567abc"},
    {"truncate to less", [](int fd) { return ftruncate(fd, 3); }, "012"},
    {"truncate and write",
     [](int fd) { return ftruncate(fd, 0) == 0 && pwrite(fd, "abc", 3, 0) == 3 ? 0 : -1; }, "abc"},
    {"chmod", [](int fd) { return fchmod(fd, 0600); }, "0123456789"},
    {"rename", [](int) { return rename("file", "renamed"); }, "0123456789"},
    {"unlink", [](int) { return unlink("file"); }, "0123456789"},
    {"another open's write",
     [](int) {
       const Fd other = Open("file", O_WRONLY);
       return pwrite(other.get(), "abc", 3, 0) == 3 ? 0 : -1;
     },
     "abc3456789"},
};

struct RangeCall {
  const char* name;
  off_t offset;
  off_t size;
  unsigned flags;
  int want;
};

constexpr unsigned kAllFlags =
    SYNC_FILE_RANGE_WAIT_BEFORE | SYNC_FILE_RANGE_WRITE | SYNC_FILE_RANGE_WAIT_AFTER;

const RangeCall kRangeCalls[] = {
    {"all flags", 0, 4096, kAllFlags, 0},        {"no flags", 0, 4096, 0, 0},
    {"a part that waits", 5, 10, kAllFlags, 0},  {"beyond the end", 1 << 20, 4096, kAllFlags, 0},
    {"unknown flags", 0, 4096, 1 << 10, EINVAL}, {"negative offset", -1, 4096, kAllFlags, EINVAL},
    {"negative size", 0, -1, kAllFlags, EINVAL},
};

void AddChanges(Registry& registry) {
  for (const Change& one : kChanges) {
    registry.Add(std::string("sync/after/") + one.name, [&one](Report& r) {
      r.Call("make", MakeFile("file", "0123456789"));
      const Fd fd = Open("file", O_RDWR);
      r.Call(one.name, one.run(fd.get()));
      r.Call("fdatasync", fdatasync(fd.get()));
      r.Call("fsync", fsync(fd.get()));
      r.Equal("content", ReadAt(fd.get(), 100, 0), one.content);
    });
  }
  for (const RangeCall& one : kRangeCalls) {
    registry.Add(std::string("sync/range/") + one.name, [&one](Report& r) {
      r.Call("make", MakeFile("file"));
      const Fd fd = Open("file", O_RDWR);
      const std::string bytes = Pattern(10000);
      r.Equal("write", write(fd.get(), bytes.data(), bytes.size()), bytes.size());
      r.Call("sync_file_range", sync_file_range(fd.get(), one.offset, one.size, one.flags),
             one.want);
    });
  }
  registry.Add("sync/after/a megabyte", [](Report& r) {
    const std::string bytes = Pattern(1 << 20);
    const Fd fd = Open("file", O_RDWR | O_CREAT);
    r.Equal("write", write(fd.get(), bytes.data(), bytes.size()), bytes.size());
    r.Call("fsync", fsync(fd.get()));
    r.True("content", ReadFile("file") == bytes);
  });
  registry.Add("sync/after/changes of a directory", [](Report& r) {
    r.Call("mkdir", mkdir("d", 0755));
    const Fd fd = Open("d", O_RDONLY | O_DIRECTORY);
    r.Call("create", MakeFile("d/a"));
    r.Call("fsync", fsync(fd.get()));
    r.Call("rename", rename("d/a", "d/b"));
    r.Call("fsync", fsync(fd.get()));
    r.True("names", Names("d") == std::set<std::string>{"b"});
    r.Call("unlink", unlink("d/b"));
    r.Call("rmdir", rmdir("d"));
    r.Call("fsync of the removed directory", fsync(fd.get()));
  });
}

struct Flags {
  const char* name;
  int flags;
};

const Flags kFlags[] = {
    {"O_SYNC", O_SYNC},
    {"O_DSYNC", O_DSYNC},
    {"O_SYNC and O_APPEND", O_SYNC | O_APPEND},
    {"O_DSYNC and O_TRUNC", O_DSYNC | O_TRUNC},
};

void AddFlags(Registry& registry) {
  for (const Flags& one : kFlags) {
    registry.Add(std::string("sync/flag/") + one.name, [&one](Report& r) {
      const Fd fd = Open("file", O_RDWR | O_CREAT | one.flags);
      const int kept = one.flags & (O_SYNC | O_DSYNC | O_APPEND);
      r.Equal("F_GETFL", fcntl(fd.get(), F_GETFL) & (O_SYNC | O_DSYNC | O_APPEND), kept);
      const std::string bytes = Pattern(10000);
      r.Equal("write", write(fd.get(), bytes.data(), bytes.size()), bytes.size());
      r.Equal("write", write(fd.get(), "end", 3), 3);
      r.True("content", ReadFile("file") == bytes + "end");
    });
  }
  static constexpr Flags kWriteFlags[] = {{"RWF_SYNC", RWF_SYNC}, {"RWF_DSYNC", RWF_DSYNC}};
  for (const Flags& one : kWriteFlags) {
    registry.Add(std::string("sync/flag/") + one.name, [one](Report& r) {
      const Fd fd = Open("file", O_RDWR | O_CREAT);
      char bytes[] = "abc";
      const iovec part = {.iov_base = bytes, .iov_len = 3};
      r.Equal("pwritev2", pwritev2(fd.get(), &part, 1, 5, one.flags), 3);
      r.Equal("content", ReadFile("file"), std::string("\0\0\0\0\0abc", 8));
    });
  }
  registry.Add("sync/flag/F_SETFL does not set it", [](Report& r) {
    const Fd fd = Open("file", O_RDWR | O_CREAT);
    r.Call("F_SETFL", fcntl(fd.get(), F_SETFL, O_SYNC));
    r.Equal("F_GETFL", fcntl(fd.get(), F_GETFL) & O_SYNC, 0);
  });
}

void CheckSane(Report& r, const struct statfs& status) {
  r.True("a block size", status.f_bsize > 0);
  r.True("fragments are no larger than blocks",
         status.f_frsize > 0 && status.f_frsize <= status.f_bsize);
  r.True("blocks", status.f_blocks > 0);
  r.True("free blocks are no more than all", status.f_bfree <= status.f_blocks);
  r.True("available blocks are no more than the free", status.f_bavail <= status.f_bfree);
  // Zero of both is said where inodes are not counted.
  r.True("free inodes are no more than all", status.f_ffree <= status.f_files);
  r.Equal("longest name", status.f_namelen, 255);
}

struct statfs StatusOf(Report& r, const char* path) {
  struct statfs status = {};
  r.Call("statfs", statfs(path, &status));
  return status;
}

// All that does not change when others write to the same file system.
bool SameFileSystem(const struct statfs& a, const struct statfs& b) {
  return a.f_type == b.f_type && a.f_bsize == b.f_bsize && a.f_frsize == b.f_frsize &&
         a.f_blocks == b.f_blocks && a.f_namelen == b.f_namelen &&
         a.f_fsid.__val[0] == b.f_fsid.__val[0] && a.f_fsid.__val[1] == b.f_fsid.__val[1];
}

struct BadStatus {
  const char* name;
  int (*run)(struct statfs* status);
  int want;
};

const BadStatus kBadStatus[] = {
    {"absent", [](struct statfs* s) { return statfs("absent", s); }, ENOENT},
    {"below a file", [](struct statfs* s) { return statfs("file/x", s); }, ENOTDIR},
    {"an empty path", [](struct statfs* s) { return statfs("", s); }, ENOENT},
    {"a dangling symlink", [](struct statfs* s) { return statfs("dangling", s); }, ENOENT},
    {"no descriptor", [](struct statfs* s) { return fstatfs(-1, s); }, EBADF},
    {"a path descriptor", [](struct statfs* s) { return fstatfs(Open("file", O_PATH).get(), s); },
     0},
    {"a bad address",
     [](struct statfs*) { return statfs(".", reinterpret_cast<struct statfs*>(1)); }, EFAULT},
};

void AddStatus(Registry& registry) {
  for (const char* path : {".", "file", "link"}) {
    registry.Add(std::string("sync/statfs/sane of ") + path, [path](Report& r) {
      r.Call("make", MakeFile("file", "text"));
      r.Call("link", symlink("file", "link"));
      const struct statfs status = StatusOf(r, path);
      CheckSane(r, status);
      r.True("the same as of the directory", SameFileSystem(status, StatusOf(r, ".")));
    });
  }
  registry.Add("sync/statfs/fstatfs is the same", [](Report& r) {
    r.Call("make", MakeFile("file", "text"));
    const Fd fd = Open("file", O_RDONLY);
    struct statfs status = {};
    r.Call("fstatfs", fstatfs(fd.get(), &status));
    CheckSane(r, status);
    r.True("as statfs", SameFileSystem(status, StatusOf(r, ".")));
    r.Call("unlink", unlink("file"));
    r.Call("fstatfs of the unlinked", fstatfs(fd.get(), &status));
    r.True("as statfs", SameFileSystem(status, StatusOf(r, ".")));
  });
  registry.Add("sync/statfs/statvfs is the same", [](Report& r) {
    const struct statfs status = StatusOf(r, ".");
    struct statvfs other = {};
    r.Call("statvfs", statvfs(".", &other));
    r.Equal("f_bsize", other.f_bsize, status.f_bsize);
    r.Equal("f_frsize", other.f_frsize, status.f_frsize);
    r.Equal("f_blocks", other.f_blocks, status.f_blocks);
    r.Equal("f_namemax", other.f_namemax, 255);
    r.Equal("not read-only", other.f_flag & ST_RDONLY, 0);
  });
  registry.Add("sync/statfs/pathconf agrees",
               [](Report& r) { r.Equal("_PC_NAME_MAX", pathconf(".", _PC_NAME_MAX), 255); });
  registry.Add("sync/statfs/sane while a file grows", [](Report& r) {
    const struct statfs before = StatusOf(r, ".");
    const std::string bytes = Pattern(1 << 20);
    const Fd fd = Open("file", O_RDWR | O_CREAT);
    r.Equal("write", write(fd.get(), bytes.data(), bytes.size()), bytes.size());
    r.Call("fsync", fsync(fd.get()));
    const struct statfs after = StatusOf(r, ".");
    CheckSane(r, after);
    r.True("the same file system", SameFileSystem(before, after));
  });
  for (const BadStatus& one : kBadStatus) {
    registry.Add(std::string("sync/statfs/error/") + one.name, [&one](Report& r) {
      r.Call("make", MakeFile("file", "text"));
      r.Call("symlink", symlink("nowhere", "dangling"));
      struct statfs status;
      r.Call("statfs", one.run(&status), one.want);
    });
  }
}

}  // namespace

void AddSyncChecks(Registry& registry) {
  AddObjects(registry);
  AddChanges(registry);
  AddFlags(registry);
  AddStatus(registry);
}

}  // namespace posix_check
