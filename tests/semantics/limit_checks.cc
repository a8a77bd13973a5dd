// What ends: the size of a file (EFBIG) and chains of symlinks (ELOOP). Limits that need a further
// file system are in space_limit_checks.cc and border_limit_checks.cc.
#include <fcntl.h>
#include <sys/resource.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <limits>
#include <string>

#include "tests/semantics/areas.h"
#include "tests/semantics/files.h"
#include "tests/semantics/limit_parts.h"
#include "tests/semantics/path_operations.h"
#include "tests/semantics/process.h"

namespace posix_check {
namespace {

constexpr off_t kLimitBytes = 10000;

// A process whose files may have kLimitBytes; SIGXFSZ ends it unless ignored.
int RunLimited(const std::function<int()>& work, bool ignore = true) {
  return RunInChild([&] {
    const rlimit limit = {.rlim_cur = kLimitBytes, .rlim_max = kLimitBytes};
    const rlimit no_core = {.rlim_cur = 0, .rlim_max = 0};
    if (setrlimit(RLIMIT_FSIZE, &limit) != 0 || setrlimit(RLIMIT_CORE, &no_core) != 0) return errno;
    signal(SIGXFSZ, ignore ? SIG_IGN : SIG_DFL);
    return work();
  });
}

// By a limited process, on a file of 6000 bytes.
struct Growth {
  const char* name;
  ssize_t (*run)(int fd);
  int want;
  off_t size;
};

ssize_t Put(int fd, size_t size, off_t offset) {
  const std::string bytes(size, 'y');
  return pwrite(fd, bytes.data(), bytes.size(), offset);
}

const Growth kGrowths[] = {
    {"write below", [](int fd) { return Put(fd, 100, 6000); }, 0, 6100},
    {"write up to it", [](int fd) { return Put(fd, 4000, 6000); }, 0, kLimitBytes},
    {"write over it ends at it",
     [](int fd) { return Put(fd, 8000, 6000) == 4000 ? ssize_t{0} : (errno = EIO, ssize_t{-1}); },
     0, kLimitBytes},
    {"write at it", [](int fd) { return Put(fd, 1, kLimitBytes); }, EFBIG, 6000},
    {"write beyond it", [](int fd) { return Put(fd, 1, 5 * kLimitBytes); }, EFBIG, 6000},
    {"an empty write at it", [](int fd) { return Put(fd, 0, kLimitBytes); }, 0, 6000},
    {"writev at it",
     [](int fd) {
       char byte = 'y';
       const iovec part = {.iov_base = &byte, .iov_len = 1};
       return pwritev(fd, &part, 1, kLimitBytes);
     },
     EFBIG, 6000},
    {"ftruncate to it", [](int fd) -> ssize_t { return ftruncate(fd, kLimitBytes); }, 0,
     kLimitBytes},
    {"ftruncate beyond it", [](int fd) -> ssize_t { return ftruncate(fd, kLimitBytes + 1); }, EFBIG,
     6000},
    {"truncate beyond it", [](int) -> ssize_t { return truncate("file", kLimitBytes + 1); }, EFBIG,
     6000},
    {"ftruncate to less", [](int fd) -> ssize_t { return ftruncate(fd, 10); }, 0, 10},
    {"fallocate beyond it", [](int fd) -> ssize_t { return fallocate(fd, 0, 0, kLimitBytes + 1); },
     EFBIG, 6000},
    {"copy_file_range at it",
     [](int fd) {
       off_t to = kLimitBytes;
       return copy_file_range(Open("source", O_RDONLY).get(), nullptr, fd, &to, 100, 0);
     },
     EFBIG, 6000},
    {"sendfile at it",
     [](int fd) {
       lseek(fd, kLimitBytes, SEEK_SET);
       return sendfile(fd, Open("source", O_RDONLY).get(), nullptr, 100);
     },
     EFBIG, 6000},
};

void AddSizes(Registry& registry) {
  for (const Growth& one : kGrowths) {
    registry.Add(std::string("limit/of the process/") + one.name, [&one](Report& r) {
      r.Call("make", MakeFile("file", std::string(6000, 'x')));
      r.Call("source", MakeFile("source", std::string(6000, 's')));
      const Fd fd = Open("file", O_RDWR);
      r.Errno(one.name, RunLimited([&] { return ErrnoOf(one.run(fd.get())); }), one.want);
      r.Equal("size", Look("file").st_size, one.size);
    });
  }
  registry.Add("limit/of the process/an append over it", [](Report& r) {
    r.Call("make", MakeFile("file", std::string(kLimitBytes, 'x')));
    const Fd fd = Open("file", O_WRONLY | O_APPEND);
    r.Errno("write", RunLimited([&] { return ErrnoOf(write(fd.get(), "y", 1)); }), EFBIG);
    r.Equal("size", Look("file").st_size, kLimitBytes);
  });
  registry.Add("limit/of the process/inside a larger file one may write up to it", [](Report& r) {
    r.Call("make", MakeFile("file", std::string(2 * kLimitBytes, 'x')));
    const Fd fd = Open("file", O_WRONLY);
    r.Errno("below", RunLimited([&] { return ErrnoOf(Put(fd.get(), 10, 5)); }), 0);
    r.Errno("above", RunLimited([&] { return ErrnoOf(Put(fd.get(), 10, kLimitBytes + 5)); }),
            EFBIG);
    r.Equal("size", Look("file").st_size, 2 * kLimitBytes);
  });
  registry.Add("limit/of the process/the signal is sent", [](Report& r) {
    r.Call("make", MakeFile("file"));
    const Fd fd = Open("file", O_WRONLY);
    r.Equal("write", RunLimited([&] { return ErrnoOf(Put(fd.get(), 1, kLimitBytes)); }, false),
            kKilled);
    r.Equal("ftruncate",
            RunLimited([&] { return ErrnoOf(ftruncate(fd.get(), kLimitBytes + 1)); }, false),
            kKilled);
  });
  registry.Add("limit/of the process/other processes have none", [](Report& r) {
    r.Call("make", MakeFile("file"));
    const Fd fd = Open("file", O_WRONLY);
    r.Errno("limited", RunLimited([&] { return ErrnoOf(Put(fd.get(), 1, kLimitBytes)); }), EFBIG);
    r.Equal("unlimited", Put(fd.get(), 1, kLimitBytes), 1);
  });
}

// The largest size that ftruncate grants, or -1.
off_t LargestSize(int fd) {
  if (ftruncate(fd, 0) != 0) return -1;
  off_t granted = 0;
  off_t refused = std::numeric_limits<off_t>::max();
  if (ftruncate(fd, refused) == 0) return refused;
  while (refused - granted > 1) {
    const off_t middle = granted + (refused - granted) / 2;
    (ftruncate(fd, middle) == 0 ? granted : refused) = middle;
  }
  return ftruncate(fd, granted) == 0 ? granted : -1;
}

struct Largest {
  const char* name;
  ssize_t (*run)(int fd, off_t largest);
  int want;
};

const Largest kLargest[] = {
    {"ftruncate beyond it",
     [](int fd, off_t largest) -> ssize_t { return ftruncate(fd, largest + 1); }, EFBIG},
    {"truncate beyond it",
     [](int, off_t largest) -> ssize_t { return truncate("file", largest + 1); }, EFBIG},
    {"write at it", [](int fd, off_t largest) { return Put(fd, 1, largest); }, EFBIG},
    {"write over it ends at it",
     [](int fd, off_t largest) {
       return Put(fd, 10, largest - 4) == 4 ? ssize_t{0} : (errno = EIO, ssize_t{-1});
     },
     0},
    {"write beyond it", [](int fd, off_t largest) { return Put(fd, 1, largest + 4096); }, EFBIG},
    {"fallocate beyond it",
     [](int fd, off_t largest) -> ssize_t { return fallocate(fd, 0, largest, 4096); }, EFBIG},
    {"reading there finds nothing",
     [](int fd, off_t largest) {
       char byte;
       return pread(fd, &byte, 1, largest);
     },
     0},
};

void AddLargest(Registry& registry) {
  for (const Largest& one : kLargest) {
    registry.Add(std::string("limit/of the file system/") + one.name, [&one](Report& r) {
      const Fd fd = Open("file", O_RDWR | O_CREAT);
      const off_t largest = LargestSize(fd.get());
      if (!r.True("there is a largest size", largest > 0)) return;
      if (largest == std::numeric_limits<off_t>::max()) return r.Unsupported("no largest size");
      r.Call(one.name, one.run(fd.get(), largest), one.want);
      r.Equal("size", Look(fd.get()).st_size, largest);
    });
  }
}

// `length` symlinks: `chain1` to `chain2` and so on, the last to `target`.
void MakeChain(Report& r, int length, const std::string& target) {
  for (int i = 1; i <= length; ++i) {
    const std::string next = i == length ? target : "chain" + std::to_string(i + 1);
    r.Call("symlink", symlink(next.c_str(), ("chain" + std::to_string(i)).c_str()));
  }
}

constexpr int kMostLinks = 40;

struct Through {
  const char* name;
  const char* path;
  int want;  // with one link too many
};

// The chain leads to the directory `target`, which holds `file`.
const Through kThrough[] = {
    {"below it", "chain1/file", ELOOP},
    {"the directory that it leads to", "chain1/.", ELOOP},
    {"the directory, by a slash", "chain1/", ELOOP},
    {"the link itself", "chain1", 0},
    {"from the second on", "chain2/file", 0},
};

void AddChains(Registry& registry) {
  for (const int length : {kMostLinks, kMostLinks + 1}) {
    const int want = length > kMostLinks ? ELOOP : 0;
    const std::string chain = std::to_string(length) + " links/";
    for (const PathOperation& operation : kPathOperations) {
      if (!operation.follows) continue;
      registry.Add("limit/chain of " + chain + operation.name,
                   [&operation, length, want](Report& r) {
                     if (operation.target == Target::kFile) r.Call("file", MakeFile("target"));
                     if (operation.target == Target::kDirectory)
                       r.Call("directory", mkdir("target", 0755));
                     MakeChain(r, length, "target");
                     const int done = operation.run("chain1");
                     if (done != 0 && errno == EOPNOTSUPP)
                       return r.Unsupported("no user attributes");
                     r.Call(operation.name, done, want);
                   });
    }
    for (const Through& one : kThrough) {
      registry.Add("limit/chain of " + chain + "lstat of " + one.name, [&one, length](Report& r) {
        r.Call("directory", mkdir("target", 0755));
        r.Call("file", MakeFile("target/file"));
        MakeChain(r, length, "target");
        struct stat status;
        r.Call("lstat", lstat(one.path, &status), length > kMostLinks ? one.want : 0);
      });
    }
    registry.Add("limit/chain of " + chain + "over the path", [length, want](Report& r) {
      r.Call("symlink", symlink(".", "l"));
      r.Call("file", MakeFile("file"));
      std::string path;
      for (int i = 0; i < length; ++i) path += "l/";
      struct stat status;
      r.Call("stat", stat((path + "file").c_str(), &status), want);
    });
  }
}

}  // namespace

void AddLimitChecks(Registry& registry) {
  AddSizes(registry);
  AddLargest(registry);
  AddChains(registry);
  AddBusyTextChecks(registry);
  AddBorderLimitChecks(registry);
  AddSpaceLimitChecks(registry);
}

}  // namespace posix_check
