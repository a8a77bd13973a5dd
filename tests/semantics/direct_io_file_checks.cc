// O_DIRECT on files that are mapped, appended to, sparse, new or unlinked, and the flag itself.
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "tests/semantics/areas.h"
#include "tests/semantics/direct_io.h"
#include "tests/semantics/files.h"
#include "tests/semantics/mapping.h"
#include "tests/semantics/process.h"

namespace posix_check {
namespace {

// As a database does: the file is made with O_DIRECT and used through a map of it. Its last page is
// written back with what is left of the file, which is no multiple of anything.
void AddMapped(Registry& registry) {
  for (const size_t size : {size_t{1}, size_t{100}, size_t{511}, size_t{4095}, kBlock, kBlock + 1,
                            kBlock + 512, 3 * kBlock, 3 * kBlock + 100, 40 * kBlock + 1}) {
    for (const bool by_truncate : {false, true}) {
      AddDirectIoCheck(
          registry,
          std::string("mapped/") + (by_truncate ? "truncated to " : "filled to ") +
              std::to_string(size),
          [size, by_truncate](Report& r) {
            const Fd fd = Open("new", O_RDWR | O_CREAT | O_EXCL | O_DIRECT);
            if (by_truncate) {
              r.Call("ftruncate", ftruncate(fd.get(), size));
            } else {
              r.Equal("fill", pwrite(Open("new", O_WRONLY).get(), Pattern(size).data(), size, 0),
                      size);
            }
            const FileMap map(fd.get(), size, kReadWrite, MAP_SHARED);
            if (!map.ok() && errno == ENODEV) return r.Unsupported("no shared maps");
            if (!r.True("mmap", map.ok())) return;
            r.True("the first content",
                   map.Text(0, size) == (by_truncate ? std::string(size, '\0') : Pattern(size)));
            const std::string bytes = Pattern(size, 2);
            memcpy(map.at(0), bytes.data(), size);
            r.Call("msync", map.Sync());
            r.Equal("size", Look("new").st_size, size);
            r.True("by the cache", ReadFile("new") == bytes);
            r.True("direct", DirectRead(fd.get(), 64 * kBlock, 0) == bytes);
          });
    }
  }
  AddDirectIoCheck(registry, "mapped/a direct write shows in the map", [](Report& r) {
    const Fd fd = Open("file", O_RDWR | O_DIRECT);
    const FileMap map(fd.get(), kDirectFileSize, kReadWrite, MAP_SHARED);
    if (!map.ok() && errno == ENODEV) return r.Unsupported("no shared maps");
    if (!r.True("mmap", map.ok())) return;
    r.True("the first content", map.Text(0, kDirectFileSize) == Pattern(kDirectFileSize));
    const std::string bytes = Pattern(2 * kBlock, 2);
    r.Equal("write", DirectWrite(fd.get(), bytes, kBlock), bytes.size());
    r.True("the map", map.Text(kBlock, bytes.size()) == bytes);
  });
  AddDirectIoCheck(registry, "mapped/a direct read shows what the map wrote", [](Report& r) {
    const Fd fd = Open("file", O_RDWR | O_DIRECT);
    const FileMap map(fd.get(), kDirectFileSize, kReadWrite, MAP_SHARED);
    if (!map.ok() && errno == ENODEV) return r.Unsupported("no shared maps");
    if (!r.True("mmap", map.ok())) return;
    memset(map.at(kBlock - 5), 'x', 10);
    r.Equal("direct", DirectRead(fd.get(), 2 * kBlock, 0).substr(kBlock - 5, 10), "xxxxxxxxxx");
    memset(map.at(kDirectFileSize - 5), 'y', 5);
    r.Equal("direct at the end", DirectRead(fd.get(), kBlock, 64 * kBlock).substr(95), "yyyyy");
  });
  AddDirectIoCheck(registry, "mapped/a write from a map of another file", [](Report& r) {
    r.Call("make", MakeFile("source", Pattern(4 * kBlock, 9)));
    const Fd source = Open("source", O_RDWR);
    const Fd fd = Open("file", O_RDWR | O_DIRECT);
    const FileMap map(source.get(), 4 * kBlock, PROT_READ, MAP_PRIVATE);
    if (!r.True("mmap", map.ok())) return;
    r.Equal("write", pwrite(fd.get(), map.at(0), 4 * kBlock, 8 * kBlock), 4 * kBlock);
    r.True("content", DirectRead(fd.get(), 4 * kBlock, 8 * kBlock) == Pattern(4 * kBlock, 9));
  });
  AddDirectIoCheck(registry, "mapped/a read into a map of another file", [](Report& r) {
    r.Call("make", MakeFile("target", std::string(4 * kBlock, 't')));
    const Fd target = Open("target", O_RDWR);
    const Fd fd = Open("file", O_RDWR | O_DIRECT);
    const FileMap map(target.get(), 4 * kBlock, kReadWrite, MAP_SHARED);
    if (!map.ok() && errno == ENODEV) return r.Unsupported("no shared maps");
    if (!r.True("mmap", map.ok())) return;
    r.Equal("read", pread(fd.get(), map.at(0), 4 * kBlock, 8 * kBlock), 4 * kBlock);
    r.Call("msync", map.Sync());
    r.True("content",
           ReadFile("target") == Pattern(kDirectFileSize).substr(8 * kBlock, 4 * kBlock));
  });
}

void AddFlags(Registry& registry) {
  AddDirectIoCheck(registry, "flag/is told by F_GETFL", [](Report& r) {
    const Fd fd = Open("file", O_RDWR | O_DIRECT);
    r.True("O_DIRECT", fcntl(fd.get(), F_GETFL) & O_DIRECT);
    const Fd other = Open("file", O_RDWR);
    r.True("without", !(fcntl(other.get(), F_GETFL) & O_DIRECT));
  });
  AddDirectIoCheck(registry, "flag/set by F_SETFL", [](Report& r) {
    const Fd fd = Open("file", O_RDWR);
    r.Equal("buffered", pwrite(fd.get(), "buffered", 8, 10), 8);
    r.Call("F_SETFL", fcntl(fd.get(), F_SETFL, O_DIRECT));
    r.True("F_GETFL", fcntl(fd.get(), F_GETFL) & O_DIRECT);
    r.Equal("read", DirectRead(fd.get(), kBlock, 0).substr(10, 8), "buffered");
    r.Equal("write", DirectWrite(fd.get(), Pattern(kBlock, 2), kBlock), kBlock);
    r.True("read back", DirectRead(fd.get(), kBlock, kBlock) == Pattern(kBlock, 2));
  });
  AddDirectIoCheck(registry, "flag/cleared by F_SETFL", [](Report& r) {
    const Fd fd = Open("file", O_RDWR | O_DIRECT);
    r.Equal("write", DirectWrite(fd.get(), Pattern(kBlock, 2), kBlock), kBlock);
    r.Call("F_SETFL", fcntl(fd.get(), F_SETFL, 0));
    r.True("F_GETFL", !(fcntl(fd.get(), F_GETFL) & O_DIRECT));
    r.Equal("write of three bytes", pwrite(fd.get(), "abc", 3, kBlock + 1), 3);
    r.Equal("content", ReadAt(fd.get(), 3, kBlock + 1), "abc");
  });
  AddDirectIoCheck(registry, "flag/set while a map is there", [](Report& r) {
    const Fd fd = Open("file", O_RDWR);
    const FileMap map(fd.get(), kBlock, kReadWrite, MAP_SHARED);
    if (!map.ok() && errno == ENODEV) return r.Unsupported("no shared maps");
    memcpy(map.at(0), "map", 3);
    r.Call("F_SETFL", fcntl(fd.get(), F_SETFL, O_DIRECT));
    r.Equal("read", DirectRead(fd.get(), kBlock, 0).substr(0, 3), "map");
    memcpy(map.at(3), "ped", 3);
    r.Equal("read", DirectRead(fd.get(), kBlock, 0).substr(0, 6), "mapped");
  });
  AddDirectIoCheck(registry, "flag/refused to who may not read", [](Report& r) {
    r.Call("chmod", chmod("file", 0600));
    const auto open_it = [] { return ErrnoOf(Open("file", O_RDONLY | O_DIRECT).get()); };
    r.Errno("open", RunAs(kOther, open_it), EACCES);
  });
}

struct Appending {
  const char* name;
  size_t before;                // the file's size
  std::vector<size_t> appends;  // of each write, in blocks
};

const Appending kAppendings[] = {
    {"to an empty file", 0, {1}},
    {"several to an empty file", 0, {1, 2, 1, 16}},
    {"to one block", kBlock, {1, 1}},
    {"many blocks", kBlock, {300}},
    {"to many blocks", 64 * kBlock, {1, 32}},
};

void AddAppends(Registry& registry) {
  for (const Appending& one : kAppendings) {
    AddDirectIoCheck(registry, std::string("append/") + one.name, [&one](Report& r) {
      std::string want = Pattern(one.before);
      r.Call("make", MakeFile("log", want));
      const Fd fd = Open("log", O_RDWR | O_DIRECT | O_APPEND);
      for (const size_t blocks : one.appends) {
        const std::string bytes = Pattern(blocks * kBlock, want.size() + 1);
        want += bytes;
        // Where O_APPEND is set, the offset does not count.
        r.Call("lseek", lseek(fd.get(), 0, SEEK_SET));
        r.Equal("write", write(fd.get(), Aligned(bytes).get(), bytes.size()), bytes.size());
        r.Equal("offset", lseek(fd.get(), 0, SEEK_CUR), want.size());
      }
      r.True("content", ReadFile("log") == want);
      r.True("direct", DirectRead(fd.get(), want.size() + kBlock, 0) == want);
    });
  }
  AddDirectIoCheck(registry, "append/after an incomplete block", [](Report& r) {
    const Fd fd = Open("file", O_WRONLY | O_DIRECT | O_APPEND);
    const std::string bytes = Pattern(kBlock, 2);
    const ssize_t count = write(fd.get(), Aligned(bytes).get(), kBlock);
    if (count < 0) {
      r.Call("write", count, EINVAL);
      r.True("nothing is written", ReadFile("file") == Pattern(kDirectFileSize));
    } else {
      r.Equal("count", count, kBlock);
      r.True("content", ReadFile("file") == Pattern(kDirectFileSize) + bytes);
    }
  });
  AddDirectIoCheck(registry, "append/by two descriptors in turn", [](Report& r) {
    const Fd first = Open("log", O_RDWR | O_CREAT | O_DIRECT | O_APPEND);
    const Fd second = Open("log", O_RDWR | O_DIRECT | O_APPEND);
    std::string want;
    for (int turn = 0; turn < 10; ++turn) {
      const std::string bytes = Pattern(kBlock, turn);
      want += bytes;
      const Fd& fd = turn % 2 == 0 ? first : second;
      r.Equal("write", write(fd.get(), Aligned(bytes).get(), kBlock), kBlock);
    }
    r.True("content", DirectRead(first.get(), 20 * kBlock, 0) == want);
  });
  AddDirectIoCheck(registry, "append/by four processes at once", [](Report& r) {
    r.Call("make", MakeFile("log"));
    std::vector<std::unique_ptr<Peer>> peers;
    for (char letter = 'a'; letter < 'e'; ++letter) {
      peers.push_back(std::make_unique<Peer>([letter](const std::function<void()>& pause) {
        const Fd fd = Open("log", O_WRONLY | O_DIRECT | O_APPEND);
        const AlignedBuffer buffer = Aligned(std::string(kBlock, letter));
        pause();
        for (int i = 0; i < 16; ++i) {
          if (write(fd.get(), buffer.get(), kBlock) != kBlock) return 1;
        }
        return 0;
      }));
    }
    for (const auto& peer : peers) r.True("a peer", peer->AwaitPause());
    for (const auto& peer : peers) peer->Continue();
    for (const auto& peer : peers) r.Equal("a peer's end", peer->Wait(), 0);
    const std::string content = ReadFile("log");
    r.Equal("size", content.size(), 4 * 16 * kBlock);
    for (size_t block = 0; block + kBlock <= content.size(); block += kBlock) {
      r.True("a block is of one letter",
             content.substr(block, kBlock) == std::string(kBlock, content[block]));
    }
    for (char letter = 'a'; letter < 'e'; ++letter) {
      r.Equal("bytes of a peer", std::count(content.begin(), content.end(), letter), 16 * kBlock);
    }
  });
}

struct Use {
  const char* name;
  void (*run)(Report& r, int fd);
};

// On the open file `sparse` of 64 blocks, without data.
const Use kSparseUses[] = {
    {"read of a hole",
     [](Report& r, int fd) {
       r.True("zeros", DirectRead(fd, 64 * kBlock, 0) == std::string(64 * kBlock, '\0'));
     }},
    {"write into a hole",
     [](Report& r, int fd) {
       r.Equal("write", DirectWrite(fd, Pattern(kBlock), 10 * kBlock), kBlock);
       r.True("before", DirectRead(fd, 10 * kBlock, 0) == std::string(10 * kBlock, '\0'));
       r.True("content", DirectRead(fd, kBlock, 10 * kBlock) == Pattern(kBlock));
       r.True("after", DirectRead(fd, kBlock, 11 * kBlock) == std::string(kBlock, '\0'));
       r.Equal("size", Look(fd).st_size, 64 * kBlock);
     }},
    {"writes backwards",
     [](Report& r, int fd) {
       std::string want;
       for (int block = 63; block >= 0; --block) {
         const std::string bytes = Pattern(kBlock, block);
         want.insert(0, bytes);
         r.Equal("write", DirectWrite(fd, bytes, block * kBlock), kBlock);
       }
       r.True("content", ReadFile("sparse") == want);
     }},
    {"every other block",
     [](Report& r, int fd) {
       std::string want(64 * kBlock, '\0');
       for (size_t block = 0; block < 64; block += 2) {
         want.replace(block * kBlock, kBlock, Pattern(kBlock, block));
         r.Equal("write", DirectWrite(fd, Pattern(kBlock, block), block * kBlock), kBlock);
       }
       r.True("content", ReadFile("sparse") == want && DirectRead(fd, 64 * kBlock, 0) == want);
     }},
    {"a hole that is punched",
     [](Report& r, int fd) {
       r.Equal("write", DirectWrite(fd, Pattern(8 * kBlock), 0), 8 * kBlock);
       const int punch = FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE;
       const int done = fallocate(fd, punch, 2 * kBlock, 3 * kBlock);
       if (done != 0 && errno == EOPNOTSUPP) return r.Unsupported("no holes by fallocate");
       r.Call("fallocate", done);
       std::string want = Pattern(8 * kBlock);
       want.replace(2 * kBlock, 3 * kBlock, std::string(3 * kBlock, '\0'));
       r.True("content", DirectRead(fd, 8 * kBlock, 0) == want);
     }},
    {"what is allocated and not written",
     [](Report& r, int fd) {
       const int done = fallocate(fd, 0, 0, 8 * kBlock);
       if (done != 0 && errno == EOPNOTSUPP) return r.Unsupported("no fallocate");
       r.Call("fallocate", done);
       r.Equal("write", DirectWrite(fd, Pattern(kBlock), 3 * kBlock), kBlock);
       std::string want(8 * kBlock, '\0');
       want.replace(3 * kBlock, kBlock, Pattern(kBlock));
       r.True("content", DirectRead(fd, 8 * kBlock, 0) == want);
     }},
    {"nothing is read and written",
     [](Report& r, int fd) {
       const AlignedBuffer buffer = Aligned("");
       r.Equal("read", pread(fd, buffer.get(), 0, 0), 0);
       r.Equal("write", pwrite(fd, buffer.get(), 0, 0), 0);
       r.Equal("size", Look(fd).st_size, 64 * kBlock);
     }},
    {"eight mebibytes at once",
     [](Report& r, int fd) {
       const std::string bytes = Pattern(size_t{8} << 20);
       r.Equal("write", DirectWrite(fd, bytes, kBlock), bytes.size());
       r.True("content", DirectRead(fd, bytes.size(), kBlock) == bytes);
       r.Equal("size", Look(fd).st_size, bytes.size() + kBlock);
     }},
    {"parts of a vector",
     [](Report& r, int fd) {
       const AlignedBuffer buffer = Aligned(Pattern(6 * kBlock));
       const iovec parts[] = {{buffer.get() + 5 * kBlock, kBlock}, {buffer.get(), 2 * kBlock}};
       r.Equal("pwritev", pwritev(fd, parts, 2, 4 * kBlock), 3 * kBlock);
       const std::string bytes = Pattern(6 * kBlock);
       r.True("content", DirectRead(fd, 3 * kBlock, 4 * kBlock) ==
                             bytes.substr(5 * kBlock) + bytes.substr(0, 2 * kBlock));
     }},
    {"read and write move the offset",
     [](Report& r, int fd) {
       const AlignedBuffer buffer = Aligned(Pattern(2 * kBlock));
       r.Equal("write", write(fd, buffer.get(), 2 * kBlock), 2 * kBlock);
       r.Equal("write", write(fd, buffer.get(), kBlock), kBlock);
       r.Equal("offset", lseek(fd, 0, SEEK_CUR), 3 * kBlock);
       r.Equal("lseek", lseek(fd, -static_cast<off_t>(kBlock), SEEK_END), 63 * kBlock);
       r.Equal("read up to the end", read(fd, buffer.get(), 2 * kBlock), kBlock);
       r.Equal("read at the end", read(fd, buffer.get(), 2 * kBlock), 0);
     }},
    {"unlinked",
     [](Report& r, int fd) {
       r.Call("unlink", unlink("sparse"));
       r.Equal("write", DirectWrite(fd, Pattern(kBlock), 70 * kBlock), kBlock);
       r.True("content", DirectRead(fd, 2 * kBlock, 70 * kBlock) == Pattern(kBlock));
       r.Call("fsync", fsync(fd));
     }},
};

void AddSparse(Registry& registry) {
  for (const int extra : {0, O_SYNC}) {
    for (const Use& one : kSparseUses) {
      AddDirectIoCheck(registry,
                       std::string(extra == 0 ? "sparse/" : "sparse and O_SYNC/") + one.name,
                       [&one, extra](Report& r) {
                         const Fd fd = Open("sparse", O_RDWR | O_CREAT | O_DIRECT | extra);
                         r.Call("ftruncate", ftruncate(fd.get(), 64 * kBlock));
                         one.run(r, fd.get());
                       });
    }
  }
}

}  // namespace

void AddDirectIoFileChecks(Registry& registry) {
  AddMapped(registry);
  AddFlags(registry);
  AddAppends(registry);
  AddSparse(registry);
}

}  // namespace posix_check
