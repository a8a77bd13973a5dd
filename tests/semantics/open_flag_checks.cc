// The flags of open: creation, truncation, O_PATH and the refusals.
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <string>

#include "tests/semantics/areas.h"
#include "tests/semantics/files.h"
#include "tests/semantics/process.h"

namespace posix_check {
namespace {

enum Kind { kNothing, kFile, kDirectory, kToFile, kToDirectory, kDangling, kFifo, kSocket, kKinds };

const char* const kKindNames[] = {
    "nothing",          "file", "directory", "symlink to a file", "symlink to a directory",
    "dangling symlink", "fifo", "socket"};

int Make(Kind kind) {
  if (MakeFile("target-file", "text") != 0 || mkdir("target-directory", 0755) != 0) return -1;
  switch (kind) {
    case kFile:
      return MakeFile("x", "text");
    case kDirectory:
      return mkdir("x", 0755);
    case kToFile:
      return symlink("target-file", "x");
    case kToDirectory:
      return symlink("target-directory", "x");
    case kDangling:
      return symlink("absent", "x");
    case kFifo:
      return mknod("x", S_IFIFO | 0644, 0);
    case kSocket:
      return mknod("x", S_IFSOCK | 0644, 0);
    default:
      return 0;
  }
}

// The outcome for each kind of object, in the order of Kind.
struct Row {
  const char* name;
  int flags;
  int want[kKinds];
};

const Row kRows[] = {
    {"O_RDONLY", O_RDONLY, {ENOENT, 0, 0, 0, 0, ENOENT, 0, ENXIO}},
    {"O_WRONLY", O_WRONLY, {ENOENT, 0, EISDIR, 0, EISDIR, ENOENT, ENXIO, ENXIO}},
    {"O_RDWR", O_RDWR, {ENOENT, 0, EISDIR, 0, EISDIR, ENOENT, 0, ENXIO}},
    {"O_CREAT", O_WRONLY | O_CREAT, {0, 0, EISDIR, 0, EISDIR, 0, ENXIO, ENXIO}},
    {"O_CREAT O_RDONLY", O_RDONLY | O_CREAT, {0, 0, EISDIR, 0, EISDIR, 0, 0, ENXIO}},
    {"O_CREAT O_EXCL",
     O_WRONLY | O_CREAT | O_EXCL,
     {0, EEXIST, EEXIST, EEXIST, EEXIST, EEXIST, EEXIST, EEXIST}},
    {"O_CREAT O_TRUNC", O_RDWR | O_CREAT | O_TRUNC, {0, 0, EISDIR, 0, EISDIR, 0, 0, ENXIO}},
    {"O_TRUNC", O_RDWR | O_TRUNC, {ENOENT, 0, EISDIR, 0, EISDIR, ENOENT, 0, ENXIO}},
    {"O_RDONLY O_TRUNC", O_RDONLY | O_TRUNC, {ENOENT, 0, EISDIR, 0, EISDIR, ENOENT, 0, ENXIO}},
    {"O_APPEND", O_RDWR | O_APPEND, {ENOENT, 0, EISDIR, 0, EISDIR, ENOENT, 0, ENXIO}},
    {"O_DIRECTORY",
     O_RDONLY | O_DIRECTORY,
     {ENOENT, ENOTDIR, 0, ENOTDIR, 0, ENOENT, ENOTDIR, ENOTDIR}},
    {"O_DIRECTORY O_WRONLY",
     O_WRONLY | O_DIRECTORY,
     {ENOENT, ENOTDIR, EISDIR, ENOTDIR, EISDIR, ENOENT, ENOTDIR, ENOTDIR}},
    {"O_NOFOLLOW", O_RDONLY | O_NOFOLLOW, {ENOENT, 0, 0, ELOOP, ELOOP, ELOOP, 0, ENXIO}},
    {"O_NOFOLLOW O_DIRECTORY",
     O_RDONLY | O_NOFOLLOW | O_DIRECTORY,
     {ENOENT, ENOTDIR, 0, ENOTDIR, ENOTDIR, ENOTDIR, ENOTDIR, ENOTDIR}},
    {"O_NOFOLLOW O_CREAT",
     O_WRONLY | O_NOFOLLOW | O_CREAT,
     {0, 0, EISDIR, ELOOP, ELOOP, ELOOP, ENXIO, ENXIO}},
    {"O_PATH", O_PATH, {ENOENT, 0, 0, 0, 0, ENOENT, 0, 0}},
    {"O_PATH O_NOFOLLOW", O_PATH | O_NOFOLLOW, {ENOENT, 0, 0, 0, 0, 0, 0, 0}},
    {"O_PATH O_DIRECTORY",
     O_PATH | O_DIRECTORY,
     {ENOENT, ENOTDIR, 0, ENOTDIR, 0, ENOENT, ENOTDIR, ENOTDIR}},
    {"O_NOATIME", O_RDONLY | O_NOATIME, {ENOENT, 0, 0, 0, 0, ENOENT, 0, ENXIO}},
    {"O_SYNC", O_WRONLY | O_SYNC, {ENOENT, 0, EISDIR, 0, EISDIR, ENOENT, ENXIO, ENXIO}},
    {"O_DSYNC", O_WRONLY | O_DSYNC, {ENOENT, 0, EISDIR, 0, EISDIR, ENOENT, ENXIO, ENXIO}},
};

void AddMatrix(Registry& registry) {
  for (const Row& row : kRows) {
    for (int kind = 0; kind < kKinds; ++kind) {
      registry.Add(std::string("open/") + row.name + "/" + kKindNames[kind],
                   [&row, kind](Report& r) {
                     r.Call("make", Make(static_cast<Kind>(kind)));
                     // So that fifos do not wait for another end.
                     const Fd fd = Open("x", row.flags | O_NONBLOCK);
                     r.Call("open", fd.get() < 0 ? -1 : 0, row.want[kind]);
                     if ((row.flags & O_TRUNC) != 0 && row.want[kind] == 0 && kind == kFile) {
                       r.Equal("size", Look("x").st_size, 0);
                     } else if (kind == kFile) {
                       r.Equal("content", ReadFile("x"), "text");
                     }
                     if (row.want[kind] != 0) r.Equal("exists", Exists("x"), kind != kNothing);
                   });
    }
  }
}

struct OnPath {
  const char* name;
  std::int64_t (*run)(int fd);
  int want;
};

const OnPath kOnPath[] = {
    {"read",
     [](int fd) -> std::int64_t {
       char byte;
       return read(fd, &byte, 1);
     },
     EBADF},
    {"write", [](int fd) -> std::int64_t { return write(fd, "x", 1); }, EBADF},
    {"ftruncate", [](int fd) -> std::int64_t { return ftruncate(fd, 1); }, EBADF},
    {"fchmod", [](int fd) -> std::int64_t { return fchmod(fd, 0600); }, EBADF},
    {"fchown", [](int fd) -> std::int64_t { return fchown(fd, 1, 1); }, EBADF},
    {"fsync", [](int fd) -> std::int64_t { return fsync(fd); }, EBADF},
    {"futimens", [](int fd) -> std::int64_t { return futimens(fd, nullptr); }, EBADF},
    {"fstat",
     [](int fd) -> std::int64_t {
       struct stat status;
       return fstat(fd, &status);
     },
     0},
    {"dup", [](int fd) -> std::int64_t { return Fd(dup(fd)).get() < 0 ? -1 : 0; }, 0},
    {"fchownat", [](int fd) -> std::int64_t { return fchownat(fd, "", 1, 1, AT_EMPTY_PATH); }, 0},
    {"linkat", [](int fd) -> std::int64_t { return linkat(fd, "", AT_FDCWD, "y", AT_EMPTY_PATH); },
     0},
};

struct Access {
  const char* name;
  int flags;
  int read;
  int write;
};

const Access kAccess[] = {
    {"O_RDONLY", O_RDONLY, 0, EBADF},
    {"O_WRONLY", O_WRONLY, EBADF, 0},
    {"O_RDWR", O_RDWR, 0, 0},
    {"O_APPEND", O_WRONLY | O_APPEND, EBADF, 0},
    {"O_CREAT with a mode of none", O_RDWR | O_CREAT, 0, 0},
};

void AddUse(Registry& registry) {
  for (const OnPath& one : kOnPath) {
    registry.Add(std::string("open/O_PATH used for ") + one.name, [&one](Report& r) {
      r.Call("make", MakeFile("x", "text"));
      Fd fd = Open("x", O_PATH);
      r.Call(one.name, one.run(fd.get()), one.want);
    });
  }
  for (const Access& one : kAccess) {
    registry.Add(std::string("open/access mode/") + one.name, [&one](Report& r) {
      if ((one.flags & O_CREAT) == 0) r.Call("make", MakeFile("x", "text"));
      Fd fd = Open("x", one.flags, 0);
      char byte = 0;
      r.Call("read", read(fd.get(), &byte, 1), one.read);
      r.Call("write", write(fd.get(), "y", 1), one.write);
      r.Call("pread", pread(fd.get(), &byte, 1, 0), one.read);
      r.Call("pwrite", pwrite(fd.get(), "y", 1, 0), one.write);
      r.Call("ftruncate", ftruncate(fd.get(), 2), one.write == 0 ? 0 : EINVAL);
      r.Equal("flags", fcntl(fd.get(), F_GETFL) & O_ACCMODE, one.flags & O_ACCMODE);
    });
  }
  registry.Add("open/O_EXCL/one of many processes makes the file", [](Report& r) {
    int made = 0;
    for (int i = 0; i < 10; ++i) {
      const int got =
          RunInChild([] { return Open("x", O_WRONLY | O_CREAT | O_EXCL).get() < 0 ? errno : 0; });
      made += got == 0 ? 1 : 0;
      if (got != 0) r.Errno("the others", got, EEXIST);
    }
    r.Equal("made", made, 1);
  });
  registry.Add("open/O_TRUNC/while another descriptor is open", [](Report& r) {
    r.Call("make", MakeFile("x", Pattern(10000)));
    Fd first = Open("x", O_RDWR);
    Fd second = Open("x", O_WRONLY | O_TRUNC);
    r.Equal("size through the first", Look(first.get()).st_size, 0);
    r.Equal("read through the first", ReadAt(first.get(), 10, 0), "");
    r.Equal("write through the first", pwrite(first.get(), "ab", 2, 3), 2);
    r.Equal("content", ReadFile("x"), std::string("\0\0\0ab", 5));
  });
  registry.Add("open/openat/relative to a directory", [](Report& r) {
    r.Call("mkdir", mkdir("d", 0755));
    Fd directory = Open("d", O_RDONLY | O_DIRECTORY);
    Fd fd(openat(directory.get(), "x", O_WRONLY | O_CREAT, 0644));
    r.Call("openat", fd.get() < 0 ? -1 : 0);
    r.True("it is there", Exists("d/x"));
    r.Call("a file as directory", openat(fd.get(), "y", O_RDONLY), ENOTDIR);
  });
  registry.Add("open/two handles see each other's writes", [](Report& r) {
    Fd one = Open("x", O_RDWR | O_CREAT);
    Fd two = Open("x", O_RDWR);
    for (int i = 0; i < 20; ++i) {
      const std::string text = "round " + std::to_string(i);
      Fd& writer = i % 2 == 0 ? one : two;
      Fd& reader = i % 2 == 0 ? two : one;
      r.Equal("write", pwrite(writer.get(), text.data(), text.size(), i * 100), text.size());
      r.Equal("read", ReadAt(reader.get(), 100, i * 100), text);
      r.Equal("size", Look(reader.get()).st_size, i * 100 + text.size());
    }
  });
}

}  // namespace

void AddOpenFlagChecks(Registry& registry) {
  AddMatrix(registry);
  AddUse(registry);
}

}  // namespace posix_check
