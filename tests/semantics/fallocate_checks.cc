// fallocate: each mode on each place of a file, against the same done by hand.
#include <fcntl.h>
#include <linux/falloc.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <string>

#include "tests/semantics/areas.h"
#include "tests/semantics/files.h"

namespace posix_check {
namespace {

constexpr off_t kBlock = 65536;  // a multiple of any block size, as collapse and insert want
constexpr off_t kSize = 4 * kBlock;

struct Mode {
  const char* name;
  int mode;
  bool whole_blocks;  // the only ranges it takes
  // What a file's content is after it.
  std::string (*apply)(std::string content, off_t offset, off_t length);
};

std::string Grown(std::string content, off_t end) {
  if (static_cast<off_t>(content.size()) < end) content.resize(end);
  return content;
}

std::string Zeroed(std::string content, off_t offset, off_t length) {
  const off_t end = std::min<off_t>(offset + length, content.size());
  if (offset < end) std::fill(content.begin() + offset, content.begin() + end, '\0');
  return content;
}

const Mode kModes[] = {
    {"default", 0, false,
     [](std::string content, off_t offset, off_t length) {
       return Grown(std::move(content), offset + length);
     }},
    {"keep size", FALLOC_FL_KEEP_SIZE, false,
     [](std::string content, off_t, off_t) { return content; }},
    {"punch hole", FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, false, Zeroed},
    {"zero range", FALLOC_FL_ZERO_RANGE, false,
     [](std::string content, off_t offset, off_t length) {
       return Zeroed(Grown(std::move(content), offset + length), offset, length);
     }},
    {"zero range, keep size", FALLOC_FL_ZERO_RANGE | FALLOC_FL_KEEP_SIZE, false, Zeroed},
    {"collapse range", FALLOC_FL_COLLAPSE_RANGE, true,
     [](std::string content, off_t offset, off_t length) { return content.erase(offset, length); }},
    {"insert range", FALLOC_FL_INSERT_RANGE, true,
     [](std::string content, off_t offset, off_t length) {
       return content.insert(offset, length, '\0');
     }},
};

struct Range {
  const char* name;
  off_t offset;
  off_t length;
};

const Range kRanges[] = {
    {"one byte at 0", 0, 1},
    {"one byte inside", 100, 1},
    {"unaligned", 100, 5000},
    {"first block", 0, kBlock},
    {"block inside", kBlock, kBlock},
    {"two blocks inside", kBlock, 2 * kBlock},
    {"last block", kSize - kBlock, kBlock},
    {"all", 0, kSize},
    {"across the end", kSize - 100, 5000},
    {"behind the end", kSize + 5000, 5000},
    {"far behind the end", off_t{5} << 30, kBlock},
};

bool Fits(const Mode& mode, const Range& range) {
  if (!mode.whole_blocks) return true;
  if (range.offset % kBlock != 0 || range.length % kBlock != 0) return false;
  // Neither may act on the end of the file.
  return (mode.mode == FALLOC_FL_COLLAPSE_RANGE ? range.offset + range.length : range.offset) <
         kSize;
}

void AddMatrix(Registry& registry) {
  for (const Mode& mode : kModes) {
    for (const Range& range : kRanges) {
      const bool sparse = range.offset > kSize * 2;
      registry.Add(std::string("fallocate/") + mode.name + "/" + range.name, [&mode, &range,
                                                                              sparse](Report& r) {
        const std::string before = Pattern(kSize);
        r.Call("make", MakeFile("f", before));
        Fd fd = Open("f", O_RDWR);
        const int got = ErrnoOf(fallocate(fd.get(), mode.mode, range.offset, range.length));
        if (got == EOPNOTSUPP) return r.Unsupported("not on this file system");
        r.Errno("fallocate", got, Fits(mode, range) ? 0 : EINVAL);
        if (got != 0) return (void)r.True("content", ReadFile("f") == before);
        if (sparse) {
          const bool grows = (mode.mode & FALLOC_FL_KEEP_SIZE) == 0;
          r.Equal("size", Look("f").st_size, grows ? range.offset + range.length : kSize);
          r.True("content", ReadAt(fd.get(), kSize, 0) == before);
          return;
        }
        const std::string want = mode.apply(before, range.offset, range.length);
        r.Equal("size by path", Look("f").st_size, want.size());
        r.Equal("size by descriptor", Look(fd.get()).st_size, want.size());
        r.True("content by path", ReadFile("f") == want);
        r.True("content by descriptor", ReadAt(fd.get(), want.size() + 1, 0) == want);
      });
    }
  }
}

void AddBlocks(Registry& registry) {
  registry.Add("fallocate/blocks/default takes them", [](Report& r) {
    Fd fd = Open("f", O_RDWR | O_CREAT);
    const int got = ErrnoOf(fallocate(fd.get(), 0, 0, kSize));
    if (got == EOPNOTSUPP) return r.Unsupported("not on this file system");
    r.Errno("fallocate", got, 0);
    r.True("blocks", Look("f").st_blocks * 512 >= kSize);
  });
  registry.Add("fallocate/blocks/punch hole gives them back", [](Report& r) {
    r.Call("make", MakeFile("f", Pattern(kSize)));
    Fd fd = Open("f", O_RDWR);
    r.Call("fsync", fsync(fd.get()));
    const blkcnt_t before = Look("f").st_blocks;
    const int got =
        ErrnoOf(fallocate(fd.get(), FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, kBlock, kBlock));
    if (got == EOPNOTSUPP) return r.Unsupported("not on this file system");
    r.Errno("fallocate", got, 0);
    r.Equal("blocks", Look("f").st_blocks, before - kBlock / 512);
    r.Equal("hole", lseek(fd.get(), 0, SEEK_HOLE), kBlock);
    r.Equal("data", lseek(fd.get(), kBlock, SEEK_DATA), 2 * kBlock);
  });
  registry.Add("fallocate/posix_fallocate", [](Report& r) {
    r.Call("make", MakeFile("f", "text"));
    Fd fd = Open("f", O_RDWR);
    r.Errno("posix_fallocate", posix_fallocate(fd.get(), 0, 10000), 0);
    r.Equal("size", Look("f").st_size, 10000);
    r.Equal("content", ReadAt(fd.get(), 4, 0), "text");
  });
}

struct Refusal {
  const char* name;
  int open_flags;
  int mode;
  off_t offset;
  off_t length;
  int want;
};

const Refusal kRefusals[] = {
    {"read-only descriptor", O_RDONLY, 0, 0, 1, EBADF},
    {"no length", O_RDWR, 0, 0, 0, EINVAL},
    {"negative length", O_RDWR, 0, 0, -1, EINVAL},
    {"negative offset", O_RDWR, 0, -1, 1, EINVAL},
    {"punch hole without keep size", O_RDWR, FALLOC_FL_PUNCH_HOLE, 0, 1, EOPNOTSUPP},
    {"punch and zero", O_RDWR, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_ZERO_RANGE | FALLOC_FL_KEEP_SIZE, 0,
     1, EOPNOTSUPP},
    {"unknown mode", O_RDWR, 1 << 20, 0, 1, EOPNOTSUPP},
};

}  // namespace

void AddFallocateChecks(Registry& registry) {
  AddMatrix(registry);
  AddBlocks(registry);
  for (const Refusal& one : kRefusals) {
    registry.Add(std::string("fallocate/refused/") + one.name, [&one](Report& r) {
      r.Call("make", MakeFile("f", "text"));
      Fd fd = Open("f", one.open_flags);
      r.Call("fallocate", fallocate(fd.get(), one.mode, one.offset, one.length), one.want);
      r.Equal("content", ReadFile("f"), "text");
    });
  }
  for (const char* kind : {"directory", "fifo"}) {
    registry.Add(std::string("fallocate/refused/") + kind, [kind](Report& r) {
      const bool directory = kind[0] == 'd';
      r.Call("make", directory ? mkdir("x", 0755) : mknod("x", S_IFIFO | 0644, 0));
      Fd fd = Open("x", directory ? O_RDONLY : O_RDWR);
      r.Call("fallocate", fallocate(fd.get(), 0, 0, 1), directory ? EBADF : ESPIPE);
    });
  }
}

}  // namespace posix_check
