// O_DIRECT: reads and writes at many places, and what they and the page cache know of each other.
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <string>
#include <string_view>

#include "tests/semantics/areas.h"
#include "tests/semantics/direct_io.h"
#include "tests/semantics/files.h"
#include "tests/semantics/process.h"

namespace posix_check {
namespace {

// What a file of `content` is once `bytes` are written at the offset.
std::string Overlaid(std::string content, std::string_view bytes, size_t offset) {
  if (content.size() < offset + bytes.size()) content.resize(offset + bytes.size());
  return content.replace(offset, bytes.size(), bytes);
}

struct Stretch {
  size_t offset;
  size_t size;
};

const Stretch kStretches[] = {
    {0, kBlock},
    {0, 16 * kBlock},
    {0, 64 * kBlock},
    {0, 65 * kBlock},
    {0, 512 * kBlock},
    {kBlock, kBlock},
    {kBlock, 3 * kBlock},
    {31 * kBlock, 2 * kBlock},
    {32 * kBlock, 32 * kBlock},
    {63 * kBlock, kBlock},
    {63 * kBlock, 2 * kBlock},
    {64 * kBlock, kBlock},
    {64 * kBlock, 300 * kBlock},
    {65 * kBlock, kBlock},
    {100 * kBlock, kBlock},
    {1000 * kBlock, 16 * kBlock},
    {size_t{1} << 32, kBlock},
};

void AddStretches(Registry& registry) {
  for (const Stretch& one : kStretches) {
    const std::string where = std::to_string(one.size) + " bytes at " + std::to_string(one.offset);
    AddDirectIoCheck(registry, "read/" + where, [&one](Report& r) {
      const Fd fd = Open("file", O_RDONLY | O_DIRECT);
      const std::string content = Pattern(kDirectFileSize);
      const std::string want =
          one.offset < kDirectFileSize ? content.substr(one.offset, one.size) : std::string();
      const std::string got = DirectRead(fd.get(), one.size, one.offset);
      r.Equal("count", got.size(), want.size());
      r.True("content", got == want);
      r.True("again, by two buffers", [&] {
        const AlignedBuffer buffer = Aligned(std::string(one.size + kBlock, '~'));
        const iovec parts[] = {{buffer.get(), kBlock}, {buffer.get() + kBlock, one.size}};
        const ssize_t count = preadv(fd.get(), parts, 2, one.offset);
        return one.offset >= kDirectFileSize
                   ? count == 0
                   : count > 0 && content.substr(one.offset, one.size + kBlock) ==
                                      std::string_view(buffer.get(), count);
      }());
    });
    AddDirectIoCheck(registry, "write/" + where, [&one](Report& r) {
      const Fd fd = Open("file", O_RDWR | O_DIRECT);
      const std::string bytes = Pattern(one.size, 2);
      const size_t size = std::max(kDirectFileSize, one.offset + one.size);
      if (!r.Equal("count", DirectWrite(fd.get(), bytes, one.offset), one.size)) return;
      r.Equal("size", Look("file").st_size, size);
      r.True("read back", DirectRead(fd.get(), one.size, one.offset) == bytes);
      const Fd buffered = Open("file", O_RDONLY);
      r.True("by the cache", ReadAt(buffered.get(), one.size, one.offset) == bytes);
      // Around it, nothing has changed: the old content, and zeros between it and the new end.
      const size_t before = std::min(one.offset, 2 * kDirectFileSize);
      std::string want = Pattern(kDirectFileSize);
      want.resize(std::max(want.size(), before));
      r.True("before it", ReadAt(buffered.get(), before, 0) == want.substr(0, before));
      const size_t end = one.offset + one.size;
      r.True("after it", end >= kDirectFileSize || ReadAt(buffered.get(), kDirectFileSize, end) ==
                                                       Pattern(kDirectFileSize).substr(end));
    });
  }
}

// Something that changes `file`, and something that looks: one of them direct.
struct Change {
  const char* name;
  bool (*run)(std::string& want);
};

const Change kChanges[] = {
    {"direct write",
     [](std::string& want) {
       const std::string bytes = Pattern(2 * kBlock, 3);
       want = Overlaid(want, bytes, kBlock);
       return DirectWrite(Open("file", O_WRONLY | O_DIRECT).get(), bytes, kBlock) ==
              static_cast<ssize_t>(bytes.size());
     }},
    {"direct write past the end",
     [](std::string& want) {
       const std::string bytes = Pattern(kBlock, 3);
       want = Overlaid(want, bytes, 80 * kBlock);
       return DirectWrite(Open("file", O_WRONLY | O_DIRECT).get(), bytes, 80 * kBlock) ==
              static_cast<ssize_t>(bytes.size());
     }},
    {"buffered write",
     [](std::string& want) {
       want = Overlaid(want, "buffered", kBlock - 3);
       return pwrite(Open("file", O_WRONLY).get(), "buffered", 8, kBlock - 3) == 8;
     }},
    {"buffered append",
     [](std::string& want) {
       want += "appended";
       return write(Open("file", O_WRONLY | O_APPEND).get(), "appended", 8) == 8;
     }},
    {"buffered, then direct write over it",
     [](std::string& want) {
       const std::string bytes = Pattern(kBlock, 4);
       want = Overlaid(want, "buffered", 2 * kBlock - 4);
       want = Overlaid(want, bytes, 2 * kBlock);
       return pwrite(Open("file", O_WRONLY).get(), "buffered", 8, 2 * kBlock - 4) == 8 &&
              DirectWrite(Open("file", O_WRONLY | O_DIRECT).get(), bytes, 2 * kBlock) == kBlock;
     }},
    {"direct, then buffered write over it",
     [](std::string& want) {
       const std::string bytes = Pattern(2 * kBlock, 5);
       want = Overlaid(want, bytes, 2 * kBlock);
       want = Overlaid(want, "buffered", 3 * kBlock - 4);
       return DirectWrite(Open("file", O_WRONLY | O_DIRECT).get(), bytes, 2 * kBlock) ==
                  2 * kBlock &&
              pwrite(Open("file", O_WRONLY).get(), "buffered", 8, 3 * kBlock - 4) == 8;
     }},
    {"truncate to less",
     [](std::string& want) {
       want.resize(5 * kBlock + 7);
       return truncate("file", want.size()) == 0;
     }},
    {"truncate to less and to more",
     [](std::string& want) {
       want.resize(5 * kBlock + 7);
       want.resize(kDirectFileSize);
       return truncate("file", 5 * kBlock + 7) == 0 && truncate("file", kDirectFileSize) == 0;
     }},
    {"direct write in another process",
     [](std::string& want) {
       const std::string bytes = Pattern(kBlock, 6);
       want = Overlaid(want, bytes, 0);
       return RunInChild([&] {
                const Fd fd = Open("file", O_WRONLY | O_DIRECT);
                return DirectWrite(fd.get(), bytes, 0) == kBlock ? 0 : 1;
              }) == 0;
     }},
    {"O_TRUNC and direct write",
     [](std::string& want) {
       want = Pattern(kBlock, 7);
       const Fd fd = Open("file", O_WRONLY | O_TRUNC | O_DIRECT);
       return DirectWrite(fd.get(), want, 0) == kBlock;
     }},
};

struct View {
  const char* name;
  std::string (*run)();
};

const View kViews[] = {
    {"direct read",
     [] { return DirectRead(Open("file", O_RDONLY | O_DIRECT).get(), 128 * kBlock, 0); }},
    {"buffered read", [] { return ReadFile("file"); }},
    {"map",
     [] {
       const Fd fd = Open("file", O_RDONLY);
       const size_t size = Look(fd.get()).st_size;
       void* mapped = mmap(nullptr, size, PROT_READ, MAP_PRIVATE, fd.get(), 0);
       if (mapped == MAP_FAILED) return std::string("<" + ErrnoName(errno) + ">");
       const std::string content(static_cast<char*>(mapped), size);
       munmap(mapped, size);
       return content;
     }},
};

void AddMixed(Registry& registry) {
  for (const Change& change : kChanges) {
    for (const View& view : kViews) {
      AddDirectIoCheck(registry, std::string("mixed/") + change.name + " then " + view.name,
                       [&change, &view](Report& r) {
                         std::string want = Pattern(kDirectFileSize);
                         // The cache holds it all before.
                         r.True("at first", ReadFile("file") == want && view.run() == want);
                         if (!r.True(change.name, change.run(want))) return;
                         const std::string got = view.run();
                         r.Equal("size", got.size(), want.size());
                         r.True("content", got == want);
                       });
    }
  }
}

// What is no multiple of kBlock either works or is refused.
struct Crooked {
  const char* name;
  size_t offset;
  size_t size;
  size_t shift;  // of the memory
};

const Crooked kCrookeds[] = {
    {"an offset of 1", 1, kBlock, 0},
    {"an offset of 512", 512, kBlock, 0},
    {"a size of 1", kBlock, 1, 0},
    {"a size of 512", kBlock, 512, 0},
    {"a size of a block and 1", kBlock, kBlock + 1, 0},
    {"memory off by 1", kBlock, kBlock, 1},
    {"memory off by 512", kBlock, kBlock, 512},
    {"all of them", 77, 777, 7},
    {"the last bytes", kDirectFileSize - 50, 50, 0},
    {"bytes across the end", kDirectFileSize - 50, 100, 0},
};

void AddCrooked(Registry& registry) {
  for (const Crooked& one : kCrookeds) {
    AddDirectIoCheck(registry, std::string("unaligned/read with ") + one.name, [&one](Report& r) {
      const Fd fd = Open("file", O_RDONLY | O_DIRECT);
      const std::string got = DirectRead(fd.get(), one.size, one.offset, one.shift);
      r.True("content or EINVAL",
             got == "<EINVAL>" || got == Pattern(kDirectFileSize).substr(one.offset, one.size));
    });
    AddDirectIoCheck(registry, std::string("unaligned/write with ") + one.name, [&one](Report& r) {
      const Fd fd = Open("file", O_WRONLY | O_DIRECT);
      const std::string bytes = Pattern(one.size, 2);
      const ssize_t count = DirectWrite(fd.get(), bytes, one.offset, one.shift);
      if (count < 0) {
        r.Call("write", count, EINVAL);
        r.True("nothing is written", ReadFile("file") == Pattern(kDirectFileSize));
      } else {
        r.Equal("count", count, one.size);
        r.True("content",
               ReadFile("file") == Overlaid(Pattern(kDirectFileSize), bytes, one.offset));
      }
    });
  }
}

}  // namespace

void AddDirectIoChecks(Registry& registry) {
  AddStretches(registry);
  AddMixed(registry);
  AddCrooked(registry);
}

}  // namespace posix_check
