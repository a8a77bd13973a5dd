// Memory maps of files that change meanwhile: private copies, files that shrink, grow, lose their
// name or are shared with other processes, times, and msync.
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstring>
#include <string>

#include "tests/semantics/areas.h"
#include "tests/semantics/files.h"
#include "tests/semantics/mapping.h"
#include "tests/semantics/process.h"

namespace posix_check {
namespace {

struct Sync {
  const char* name;
  int flags;
  int want;
};

const Sync kSyncs[] = {
    {"MS_SYNC", MS_SYNC, 0},
    {"MS_ASYNC", MS_ASYNC, 0},
    {"MS_INVALIDATE", MS_INVALIDATE, 0},
    {"MS_SYNC and MS_INVALIDATE", MS_SYNC | MS_INVALIDATE, 0},
    {"MS_ASYNC and MS_INVALIDATE", MS_ASYNC | MS_INVALIDATE, 0},
    {"no flag", 0, 0},
    {"MS_SYNC and MS_ASYNC", MS_SYNC | MS_ASYNC, EINVAL},
    {"an unknown flag", 8, EINVAL},
};

void AddSyncs(Registry& registry) {
  for (const Sync& one : kSyncs) {
    AddMappingCheck(registry, std::string("msync/") + one.name, [&one](Report& r) {
      const Fd fd = Open("file", O_RDWR);
      const FileMap map(fd.get(), kFileSize, kReadWrite, MAP_SHARED);
      if (!r.True("mmap", map.ok())) return;
      memset(map.at(kPage), 'x', 10);
      r.Call("msync", map.Sync(one.flags), one.want);
      r.Equal("content", ReadAt(fd.get(), 10, kPage), "xxxxxxxxxx");
      r.Equal("size", Look(fd.get()).st_size, kFileSize);
    });
  }
  AddMappingCheck(registry, "msync/an address within a page", [](Report& r) {
    const Fd fd = Open("file", O_RDWR);
    const FileMap map(fd.get(), kPage, kReadWrite, MAP_SHARED);
    r.Call("msync", msync(map.at(1), 10, MS_SYNC), EINVAL);
  });
  AddMappingCheck(registry, "msync/what is not mapped", [](Report& r) {
    const Fd fd = Open("file", O_RDWR);
    const FileMap map(fd.get(), 2 * kPage, kReadWrite, MAP_SHARED);
    r.Call("munmap of a part", munmap(map.at(kPage), kPage));
    r.Call("msync", map.Sync(), ENOMEM);
  });
  AddMappingCheck(registry, "msync/a map of read-only", [](Report& r) {
    const Fd fd = Open("file", O_RDONLY);
    const FileMap map(fd.get(), kFileSize, PROT_READ, MAP_SHARED);
    r.Call("msync", map.Sync());
  });
  AddMappingCheck(registry, "msync/part of a page of a file that ends there", [](Report& r) {
    r.Call("truncate", truncate("file", kPage + 100));
    const Fd fd = Open("file", O_RDWR);
    const FileMap map(fd.get(), 2 * kPage, kReadWrite, MAP_SHARED);
    if (!r.True("mmap", map.ok())) return;
    memset(map.at(kPage), 'x', kPage);
    r.Call("msync", map.Sync());
    r.Equal("size", Look(fd.get()).st_size, kPage + 100);
    r.Equal("content", ReadAt(fd.get(), kPage, kPage), std::string(100, 'x'));
  });
}

void AddPrivate(Registry& registry) {
  AddMappingCheck(registry, "private/a write is not in the file", [](Report& r) {
    const Fd fd = Open("file", O_RDWR);
    const std::string before = ReadFile("file");
    const FileMap map(fd.get(), kFileSize, kReadWrite, MAP_PRIVATE);
    if (!r.True("mmap", map.ok())) return;
    memset(map.at(0), 'x', kFileSize);
    r.Call("msync", map.Sync());
    r.True("the file", ReadFile("file") == before);
    r.Equal("the map", map.Text(10, 3), "xxx");
  });
  AddMappingCheck(registry, "private/a written page no longer follows the file", [](Report& r) {
    const Fd fd = Open("file", O_RDWR);
    const FileMap map(fd.get(), kFileSize, kReadWrite, MAP_PRIVATE);
    if (!r.True("mmap", map.ok())) return;
    memcpy(map.at(0), "own", 3);
    r.Equal("pwrite", pwrite(fd.get(), "new", 3, 0), 3);
    r.Equal("the map", map.Text(0, 3), "own");
    r.Equal("the file", ReadAt(fd.get(), 3, 0), "new");
  });
  AddMappingCheck(registry, "private/a child's write is its own", [](Report& r) {
    const Fd fd = Open("file", O_RDWR);
    const FileMap map(fd.get(), kFileSize, kReadWrite, MAP_PRIVATE);
    if (!r.True("mmap", map.ok())) return;
    memcpy(map.at(0), "own", 3);
    r.Equal("child", RunInChild([&] {
              memcpy(map.at(0), "its", 3);
              return map.Text(0, 3) == "its" ? 0 : 1;
            }),
            0);
    r.Equal("the map", map.Text(0, 3), "own");
  });
}

struct Change {
  const char* name;
  void (*run)(Report& r, int fd, const FileMap& map);
};

// What happens to the file of a shared map. The file was read through the map before.
const Change kChanges[] = {
    {"shrunk and grown again: the rest is zero",
     [](Report& r, int fd, const FileMap& map) {
       r.Call("shrink", ftruncate(fd, kPage + 100));
       r.True("the page's rest", map.Text(kPage + 100, kPage - 100) == std::string(kPage - 100, 0));
       r.Call("grow", ftruncate(fd, kFileSize));
       const std::string zeros(kFileSize - kPage - 100, '\0');
       r.True("the map", map.Text(kPage + 100, zeros.size()) == zeros);
       r.True("the file", ReadAt(fd, zeros.size(), kPage + 100) == zeros);
       r.True("before it", map.Text(0, kPage + 100) == Pattern(kFileSize).substr(0, kPage + 100));
     }},
    {"written, shrunk and grown again: the rest is zero",
     [](Report& r, int fd, const FileMap& map) {
       memset(map.at(0), 'x', kFileSize);
       r.Call("shrink", ftruncate(fd, kPage));
       r.Call("grow", ftruncate(fd, kFileSize));
       r.Equal("last byte kept", map.Text(kPage - 1, 1), "x");
       r.True("the map", map.Text(kPage, kPage) == std::string(kPage, '\0'));
       r.True("the file", ReadAt(fd, kPage, kPage) == std::string(kPage, '\0'));
     }},
    {"opened with O_TRUNC and filled again",
     [](Report& r, int fd, const FileMap& map) {
       r.Call("fill", WriteFile("file", std::string(kPage, 'n')));
       r.True("the map", map.Text(0, kPage) == std::string(kPage, 'n'));
       r.Equal("size", Look(fd).st_size, kPage);
     }},
    {"unlinked",
     [](Report& r, int fd, const FileMap& map) {
       r.Call("unlink", unlink("file"));
       r.True("the map", map.Text(0, kFileSize) == Pattern(kFileSize));
       memcpy(map.at(kPage), "late", 4);
       r.Call("msync", map.Sync());
       r.Equal("the file", ReadAt(fd, 4, kPage), "late");
     }},
    {"unlinked and mapped again",
     [](Report& r, int fd, const FileMap& map) {
       r.Call("unlink", unlink("file"));
       const FileMap again(fd, kFileSize, kReadWrite, MAP_SHARED);
       if (!r.True("mmap", again.ok())) return;
       memcpy(again.at(0), "late", 4);
       r.Equal("the first map", map.Text(0, 4), "late");
     }},
    {"replaced by rename",
     [](Report& r, int, const FileMap& map) {
       r.Call("make", MakeFile("next", std::string(kFileSize, 'n')));
       r.Call("rename", rename("next", "file"));
       r.True("the map", map.Text(0, kFileSize) == Pattern(kFileSize));
       memcpy(map.at(0), "old", 3);
       r.Equal("the file of the name", ReadFile("file").substr(0, 3), "nnn");
     }},
    {"renamed",
     [](Report& r, int, const FileMap& map) {
       r.Call("rename", rename("file", "moved"));
       memcpy(map.at(0), "old", 3);
       r.Equal("the file", ReadFile("moved").substr(0, 3), "old");
     }},
    {"made unreadable",
     [](Report& r, int fd, const FileMap& map) {
       r.Call("fchmod", fchmod(fd, 0));
       memcpy(map.at(0), "old", 3);
       r.Call("msync", map.Sync());
       r.Equal("the file", ReadAt(fd, 3, 0), "old");
     }},
    {"appended to",
     [](Report& r, int fd, const FileMap& map) {
       r.Call("shrink", ftruncate(fd, kPage + 5));
       const Fd end = Open("file", O_WRONLY | O_APPEND);
       r.Equal("append", write(end.get(), "appended", 8), 8);
       r.Equal("the map", map.Text(kPage + 5, 8), "appended");
     }},
    {"given a hole",
     [](Report& r, int fd, const FileMap& map) {
       const int done = fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, kPage, kPage);
       if (done != 0 && errno == EOPNOTSUPP) return r.Unsupported("no holes by fallocate");
       r.Call("fallocate", done);
       r.True("the map", map.Text(kPage, kPage) == std::string(kPage, '\0'));
       r.True("after it", map.Text(2 * kPage, 9) == Pattern(kFileSize).substr(2 * kPage, 9));
     }},
    {"dropped with madvise and read again",
     [](Report& r, int fd, const FileMap& map) {
       memcpy(map.at(0), "kept", 4);
       r.Call("madvise", madvise(map.at(0), kFileSize, MADV_DONTNEED));
       r.Equal("the map", map.Text(0, 4), "kept");
       r.Equal("the file", ReadAt(fd, 4, 0), "kept");
     }},
    {"written by the map, synced by fsync",
     [](Report& r, int fd, const FileMap& map) {
       memcpy(map.at(kPage), "kept", 4);
       r.Call("fsync", fsync(fd));
       r.Call("drop the cache", posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED));
       r.Equal("the file", ReadAt(fd, 4, kPage), "kept");
     }},
    {"written from the map itself",
     [](Report& r, int fd, const FileMap& map) {
       r.Equal("pwrite", pwrite(fd, map.at(0), kPage, 2 * kPage), kPage);
       r.True("the map", map.Text(2 * kPage, kPage) == Pattern(kFileSize).substr(0, kPage));
     }},
    {"read into the map itself",
     [](Report& r, int fd, const FileMap& map) {
       r.Equal("pread", pread(fd, map.at(2 * kPage), kPage, 0), kPage);
       r.True("the file", ReadAt(fd, kPage, 2 * kPage) == Pattern(kFileSize).substr(0, kPage));
     }},
};

void AddChanges(Registry& registry) {
  for (const Change& one : kChanges) {
    AddMappingCheck(registry, std::string("change/") + one.name, [&one](Report& r) {
      const Fd fd = Open("file", O_RDWR);
      const FileMap map(fd.get(), kFileSize, kReadWrite, MAP_SHARED);
      if (!r.True("mmap", map.ok())) return;
      r.True("content", map.Text(0, kFileSize) == Pattern(kFileSize));
      one.run(r, fd.get(), map);
    });
  }
}

void AddPlaces(Registry& registry) {
  for (const size_t first : {0, 1, 2, 3}) {
    AddMappingCheck(registry, "place/from page " + std::to_string(first), [first](Report& r) {
      const Fd fd = Open("file", O_RDWR);
      const size_t offset = first * kPage;
      const FileMap map(fd.get(), kFileSize - offset, kReadWrite, MAP_SHARED, offset);
      if (!r.True("mmap", map.ok())) return;
      r.True("content", map.Text(0, kFileSize - offset) == Pattern(kFileSize).substr(offset));
      memcpy(map.at(10), "here", 4);
      r.Equal("the file", ReadAt(fd.get(), 4, offset + 10), "here");
    });
  }
  // Past what 32 bits can say, of bytes and of pages.
  for (const int bits : {31, 32, 40, 43}) {
    AddMappingCheck(registry, "place/at 2^" + std::to_string(bits), [bits](Report& r) {
      const off_t offset = off_t{1} << bits;
      const Fd fd = Open("file", O_RDWR);
      const int grown = ftruncate(fd.get(), offset + kPage);
      if (grown != 0 && errno == EFBIG) return r.Unsupported("no file that large");
      r.Call("ftruncate", grown);
      const FileMap map(fd.get(), kPage, kReadWrite, MAP_SHARED, offset);
      if (!r.True("mmap", map.ok())) return;
      r.True("a hole", map.Text(0, kPage) == std::string(kPage, '\0'));
      memcpy(map.at(0), "here", 4);
      r.Call("msync", map.Sync());
      r.Equal("the file", ReadAt(fd.get(), 4, offset), "here");
      r.True("the beginning", ReadAt(fd.get(), kPage, 0) == Pattern(kFileSize).substr(0, kPage));
    });
  }
  AddMappingCheck(registry, "place/a hole is filled", [](Report& r) {
    const Fd fd = Open("holes", O_RDWR | O_CREAT);
    r.Call("ftruncate", ftruncate(fd.get(), 64 * kPage));
    const FileMap map(fd.get(), 64 * kPage, kReadWrite, MAP_SHARED);
    if (!r.True("mmap", map.ok())) return;
    std::string want(64 * kPage, '\0');
    for (size_t page = 1; page < 64; page += 7) {
      memcpy(map.at(page * kPage + page), "full", 4);
      want.replace(page * kPage + page, 4, "full");
    }
    r.Call("msync", map.Sync());
    r.True("content", ReadFile("holes") == want);
  });
  AddMappingCheck(registry, "place/the descriptor may be closed", [](Report& r) {
    Fd fd = Open("file", O_RDWR);
    const FileMap map(fd.get(), kFileSize, kReadWrite, MAP_SHARED);
    fd.Close();
    if (!r.True("mmap", map.ok())) return;
    r.True("content", map.Text(0, kFileSize) == Pattern(kFileSize));
    memcpy(map.at(0), "late", 4);
    r.Call("msync", map.Sync());
    r.Equal("the file", ReadFile("file").substr(0, 4), "late");
  });
  AddMappingCheck(registry, "place/what was written stays once unmapped", [](Report& r) {
    const Fd fd = Open("file", O_RDWR);
    {
      const FileMap map(fd.get(), kFileSize, kReadWrite, MAP_SHARED);
      if (!r.True("mmap", map.ok())) return;
      memset(map.at(0), 'x', kFileSize);
    }
    r.True("the file", ReadAt(fd.get(), kFileSize, 0) == std::string(kFileSize, 'x'));
  });
}

// The file's times are set to long ago, then it is used.
struct Stamp {
  const char* name;
  void (*run)(const FileMap& map);
  bool changes;
};

const Stamp kStamps[] = {
    {"a write and msync",
     [](const FileMap& map) {
       map.at(0)[0] = 'x';
       map.Sync();
     },
     true},
    {"a read and msync",
     [](const FileMap& map) {
       static_cast<void>(map.Text(0, kFileSize));
       map.Sync();
     },
     false},
    {"msync alone", [](const FileMap& map) { map.Sync(); }, false},
};

void AddStamps(Registry& registry) {
  for (const Stamp& one : kStamps) {
    AddMappingCheck(registry, std::string("mtime/") + one.name, [&one](Report& r) {
      const Fd fd = Open("file", O_RDWR);
      r.Call("fsync", fsync(fd.get()));
      const FileMap map(fd.get(), kFileSize, kReadWrite, MAP_SHARED);
      if (!r.True("mmap", map.ok())) return;
      const timespec times[2] = {{.tv_sec = 5, .tv_nsec = 0}, {.tv_sec = 7, .tv_nsec = 0}};
      r.Call("futimens", futimens(fd.get(), times));
      one.run(map);
      r.True("mtime", (Look(fd.get()).st_mtim.tv_sec != 7) == one.changes);
    });
  }
}

void AddProcesses(Registry& registry) {
  AddMappingCheck(registry, "processes/two write in turn", [](Report& r) {
    const Fd fd = Open("file", O_RDWR);
    const FileMap map(fd.get(), kFileSize, kReadWrite, MAP_SHARED);
    if (!r.True("mmap", map.ok())) return;
    map.at(0)[0] = 0;
    Peer peer([](const std::function<void()>& pause) {
      const Fd its = Open("file", O_RDWR);
      const FileMap its_map(its.get(), kFileSize, kReadWrite, MAP_SHARED);
      if (!its_map.ok()) return 1;
      for (int turn = 0; turn < 10; ++turn) {
        pause();
        if (its_map.at(0)[0] != 2 * turn + 1) return 2;
        its_map.at(0)[0] = 2 * turn + 2;
      }
      pause();
      return 0;
    });
    for (int turn = 0; turn < 10; ++turn) {
      if (!r.True("the peer's turn", peer.AwaitPause())) return;
      if (!r.Equal("byte", map.at(0)[0], 2 * turn)) return;
      map.at(0)[0] = 2 * turn + 1;
      peer.Continue();
    }
    r.True("the peer's end", peer.AwaitPause());
    r.Equal("byte", map.at(0)[0], 20);
    peer.Continue();
    r.Equal("peer", peer.Wait(), 0);
  });
  AddMappingCheck(registry, "processes/a child's writes outlive it", [](Report& r) {
    const Fd fd = Open("file", O_RDWR);
    r.Equal("child", RunInChild([&] {
              const FileMap map(fd.get(), kFileSize, kReadWrite, MAP_SHARED);
              if (!map.ok()) return 1;
              memset(map.at(0), 'c', kFileSize);
              // Its end unmaps it.
              _exit(0);
            }),
            0);
    r.True("the file", ReadFile("file") == std::string(kFileSize, 'c'));
  });
  AddMappingCheck(registry, "processes/another's shrinking ends in SIGBUS", [](Report& r) {
    const Fd fd = Open("file", O_RDWR);
    const FileMap map(fd.get(), kFileSize, kReadWrite, MAP_SHARED);
    if (!r.True("mmap", map.ok())) return;
    r.Equal("child", RunInChild([] { return ErrnoOf(truncate("file", kPage)); }), 0);
    const auto touch = [&] { return map.Text(2 * kPage, 1) == "x" ? 0 : 1; };
    r.Equal("touch", RunInChild(touch), kKilled);
  });
}

}  // namespace

void AddMappingChangeChecks(Registry& registry) {
  AddSyncs(registry);
  AddPrivate(registry);
  AddChanges(registry);
  AddPlaces(registry);
  AddStamps(registry);
  AddProcesses(registry);
}

}  // namespace posix_check
