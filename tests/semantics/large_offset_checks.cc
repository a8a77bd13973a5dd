// Offsets beyond 2 and 4 GiB, and the largest there are.
#include <fcntl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <csignal>
#include <limits>
#include <string>

#include "tests/semantics/areas.h"
#include "tests/semantics/files.h"
#include "tests/semantics/process.h"

namespace posix_check {
namespace {

constexpr off_t kGiB = off_t{1} << 30;
constexpr off_t kLargest = std::numeric_limits<off_t>::max();

void AddRoundTrips(Registry& registry) {
  static const struct {
    const char* name;
    off_t offset;
  } kOffsets[] = {
      {"1 byte below 2 GiB", 2 * kGiB - 1},
      {"2 GiB", 2 * kGiB},
      {"across 2 GiB", 2 * kGiB - 4},
      {"1 byte below 4 GiB", 4 * kGiB - 1},
      {"4 GiB", 4 * kGiB},
      {"across 4 GiB", 4 * kGiB - 4},
      {"5 GiB and 3 bytes", 5 * kGiB + 3},
      {"8 GiB", 8 * kGiB},
      {"100 GiB", 100 * kGiB},
      {"1 TiB", 1024 * kGiB},
      {"15 TiB", 15 * 1024 * kGiB},
  };
  for (const auto& one : kOffsets) {
    const off_t offset = one.offset;
    registry.Add(std::string("large/pwrite and pread/") + one.name, [offset](Report& r) {
      Fd fd = Open("f", O_RDWR | O_CREAT);
      r.Equal("write", pwrite(fd.get(), "12345678", 8, offset), 8);
      r.Equal("read", ReadAt(fd.get(), 16, offset), "12345678");
      r.Equal("before it", ReadAt(fd.get(), 4, offset - 4), std::string(4, '\0'));
      r.Equal("size", Look("f").st_size, offset + 8);
      // Nothing may have landed at the offset's lower 32 bits.
      if (offset > 4 * kGiB) {
        r.Equal("below", ReadAt(fd.get(), 8, offset & 0xffffffff), std::string(8, '\0'));
      }
    });
    registry.Add(std::string("large/seek, write, append/") + one.name, [offset](Report& r) {
      Fd fd = Open("f", O_RDWR | O_CREAT);
      r.Equal("lseek", lseek(fd.get(), offset, SEEK_SET), offset);
      r.Equal("write", write(fd.get(), "1234", 4), 4);
      r.Equal("position", lseek(fd.get(), 0, SEEK_CUR), offset + 4);
      r.Equal("end", lseek(fd.get(), 0, SEEK_END), offset + 4);
      Fd append = Open("f", O_WRONLY | O_APPEND);
      r.Equal("append", write(append.get(), "5678", 4), 4);
      r.Equal("content", ReadAt(fd.get(), 16, offset), "12345678");
    });
    registry.Add(std::string("large/truncate/") + one.name, [offset](Report& r) {
      r.Call("make", MakeFile("f", "head"));
      r.Call("truncate", truncate("f", offset));
      r.Equal("size", Look("f").st_size, offset);
      Fd fd = Open("f", O_RDONLY);
      r.Equal("head", ReadAt(fd.get(), 4, 0), "head");
      r.Equal("end", ReadAt(fd.get(), 8, offset - 4), std::string(4, '\0'));
      r.Call("back", truncate("f", 4));
      r.Equal("content", ReadFile("f"), "head");
    });
    registry.Add(std::string("large/SEEK_DATA/") + one.name, [offset](Report& r) {
      Fd fd = Open("f", O_RDWR | O_CREAT);
      const off_t at = offset / 65536 * 65536;
      const std::string data = Pattern(65536);
      r.Equal("write", pwrite(fd.get(), data.data(), data.size(), at), data.size());
      r.Call("fsync", fsync(fd.get()));
      r.Equal("data", lseek(fd.get(), 0, SEEK_DATA), at);
      r.Equal("hole", lseek(fd.get(), at, SEEK_HOLE), at + 65536);
    });
  }
}

struct Refusal {
  const char* name;
  std::int64_t (*run)(int fd);
  int want;
};

const Refusal kRefusals[] = {
    {"pwrite at the largest offset",
     [](int fd) -> std::int64_t { return pwrite(fd, "x", 1, kLargest); }, EINVAL},
    {"pwrite below 0", [](int fd) -> std::int64_t { return pwrite(fd, "x", 1, -1); }, EINVAL},
    {"pread below 0",
     [](int fd) -> std::int64_t {
       char byte;
       return pread(fd, &byte, 1, -1);
     },
     EINVAL},
    {"lseek below 0", [](int fd) -> std::int64_t { return lseek(fd, -1, SEEK_SET); }, EINVAL},
    {"lseek with an unknown whence", [](int fd) -> std::int64_t { return lseek(fd, 0, 17); },
     EINVAL},
    {"lseek over the end of numbers",
     [](int fd) -> std::int64_t {
       lseek(fd, 10, SEEK_SET);
       return lseek(fd, kLargest, SEEK_CUR);
     },
     EINVAL},
    {"ftruncate below 0", [](int fd) -> std::int64_t { return ftruncate(fd, -1); }, EINVAL},
    {"fallocate over the end of numbers",
     [](int fd) -> std::int64_t { return fallocate(fd, 0, kLargest, 2); }, EFBIG},
    {"fallocate below 0", [](int fd) -> std::int64_t { return fallocate(fd, 0, -1, 2); }, EINVAL},
    {"fallocate of nothing", [](int fd) -> std::int64_t { return fallocate(fd, 0, 0, 0); }, EINVAL},
};

}  // namespace

void AddLargeOffsetChecks(Registry& registry) {
  AddRoundTrips(registry);
  for (const Refusal& one : kRefusals) {
    registry.Add(std::string("large/refused/") + one.name, [&one](Report& r) {
      r.Call("make", MakeFile("f", "text"));
      Fd fd = Open("f", O_RDWR);
      r.Call(one.name, one.run(fd.get()), one.want);
      r.Equal("content", ReadFile("f"), "text");
    });
  }
  registry.Add("large/read past the end is empty", [](Report& r) {
    r.Call("make", MakeFile("f", "text"));
    Fd fd = Open("f", O_RDONLY);
    for (const off_t offset : {off_t{4}, off_t{5}, kGiB, 5 * kGiB, kLargest - 1}) {
      char byte;
      r.Equal("pread at " + std::to_string(offset), pread(fd.get(), &byte, 1, offset), 0);
    }
  });
  for (const char* how : {"write", "truncate"}) {
    registry.Add(std::string("large/the file system's largest size/") + how, [how](Report& r) {
      r.Call("make", MakeFile("f", "text"));
      Fd fd = Open("f", O_RDWR);
      const bool writes = how == std::string_view("write");
      const int got =
          ErrnoOf(writes ? pwrite(fd.get(), "x", 1, kLargest - 1) : ftruncate(fd.get(), kLargest));
      // tmpfs has no limit of its own.
      if (got != 0) r.Errno(how, got, EFBIG);
      r.Call("fsync", fsync(fd.get()));
      r.Equal("size", Look("f").st_size, got == 0 ? kLargest : 4);
    });
  }
  for (const char* how : {"write", "truncate", "fallocate"}) {
    registry.Add(std::string("large/RLIMIT_FSIZE/") + how, [how](Report& r) {
      r.Call("make", MakeFile("f", "text"));
      const int got = RunInChild([how] {
        const rlimit limit = {.rlim_cur = 100, .rlim_max = 100};
        signal(SIGXFSZ, SIG_IGN);
        if (setrlimit(RLIMIT_FSIZE, &limit) != 0) return errno;
        Fd fd = Open("f", O_WRONLY);
        const std::string_view what = how;
        if (what == "write") return ErrnoOf(pwrite(fd.get(), "x", 1, 100));
        return ErrnoOf(what == "truncate" ? ftruncate(fd.get(), 101)
                                          : fallocate(fd.get(), 0, 0, 101));
      });
      if (got == EOPNOTSUPP) return r.Unsupported("no fallocate");
      r.Errno(how, got, EFBIG);
      r.Equal("size", Look("f").st_size, 4);
    });
  }
  registry.Add("large/RLIMIT_FSIZE/a write across it is cut", [](Report& r) {
    r.Call("make", MakeFile("f"));
    const int got = RunInChild([] {
      const rlimit limit = {.rlim_cur = 100, .rlim_max = 100};
      signal(SIGXFSZ, SIG_IGN);
      if (setrlimit(RLIMIT_FSIZE, &limit) != 0) return errno;
      Fd fd = Open("f", O_WRONLY);
      return static_cast<int>(pwrite(fd.get(), std::string(50, 'x').data(), 50, 80));
    });
    r.Equal("bytes written", got, 20);
    r.Equal("size", Look("f").st_size, 100);
  });
}

}  // namespace posix_check
