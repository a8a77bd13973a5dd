// Memory maps of files: that they and the calls show one content, what ends them, and what may be
// mapped how.
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <csignal>
#include <cstring>
#include <string>

#include "tests/semantics/areas.h"
#include "tests/semantics/files.h"
#include "tests/semantics/mapping.h"
#include "tests/semantics/process.h"

namespace posix_check {
namespace {

struct Stretch {
  const char* name;
  size_t offset;
  size_t size;
};

const Stretch kStretches[] = {
    {"one byte at the beginning", 0, 1},
    {"within a page", 100, 1000},
    {"a page", kPage, kPage},
    {"across two pages", kPage - 10, 20},
    {"across three pages", kPage / 2, 2 * kPage},
    {"the last byte", kFileSize - 1, 1},
    {"all", 0, kFileSize},
};

using Store = bool (*)(int fd, const FileMap& map, const std::string& bytes, size_t offset);
using Load = std::string (*)(int fd, const FileMap& map, size_t size, size_t offset);

struct Writer {
  const char* name;
  Store store;
};

bool WriteInto(const FileMap& map, const std::string& bytes, size_t offset) {
  memcpy(map.at(offset), bytes.data(), bytes.size());
  return true;
}

const Writer kWriters[] = {
    {"map", [](int, const FileMap& map, const std::string& bytes,
               size_t offset) { return WriteInto(map, bytes, offset); }},
    {"map and msync",
     [](int, const FileMap& map, const std::string& bytes, size_t offset) {
       return WriteInto(map, bytes, offset) && map.Sync() == 0;
     }},
    {"another map",
     [](int fd, const FileMap&, const std::string& bytes, size_t offset) {
       const FileMap other(fd, kFileSize, kReadWrite, MAP_SHARED);
       return other.ok() && WriteInto(other, bytes, offset);
     }},
    {"pwrite",
     [](int fd, const FileMap&, const std::string& bytes, size_t offset) {
       return pwrite(fd, bytes.data(), bytes.size(), offset) == static_cast<ssize_t>(bytes.size());
     }},
    {"write",
     [](int fd, const FileMap&, const std::string& bytes, size_t offset) {
       return lseek(fd, offset, SEEK_SET) == static_cast<off_t>(offset) &&
              write(fd, bytes.data(), bytes.size()) == static_cast<ssize_t>(bytes.size());
     }},
    {"pwrite by another descriptor",
     [](int, const FileMap&, const std::string& bytes, size_t offset) {
       const Fd other = Open("file", O_WRONLY);
       return pwrite(other.get(), bytes.data(), bytes.size(), offset) ==
              static_cast<ssize_t>(bytes.size());
     }},
    {"pwrite by another process",
     [](int, const FileMap&, const std::string& bytes, size_t offset) {
       return RunInChild([&] {
                const Fd other = Open("file", O_WRONLY);
                return pwrite(other.get(), bytes.data(), bytes.size(), offset) ==
                               static_cast<ssize_t>(bytes.size())
                           ? 0
                           : 1;
              }) == 0;
     }},
    {"map by another process",
     [](int, const FileMap&, const std::string& bytes, size_t offset) {
       return RunInChild([&] {
                const Fd other = Open("file", O_RDWR);
                const FileMap map(other.get(), kFileSize, kReadWrite, MAP_SHARED);
                return map.ok() && WriteInto(map, bytes, offset) ? 0 : 1;
              }) == 0;
     }},
    {"map inherited by a child",
     [](int, const FileMap& map, const std::string& bytes, size_t offset) {
       return RunInChild([&] { return WriteInto(map, bytes, offset) ? 0 : 1; }) == 0;
     }},
};

struct Reader {
  const char* name;
  Load load;
};

const Reader kReaders[] = {
    {"map",
     [](int, const FileMap& map, size_t size, size_t offset) { return map.Text(offset, size); }},
    {"pread",
     [](int fd, const FileMap&, size_t size, size_t offset) { return ReadAt(fd, size, offset); }},
    {"read of a new descriptor",
     [](int, const FileMap&, size_t size, size_t offset) {
       const std::string content = ReadFile("file");
       return offset > content.size() ? "short" : content.substr(offset, size);
     }},
    {"private map",
     [](int fd, const FileMap&, size_t size, size_t offset) {
       const FileMap other(fd, kFileSize, PROT_READ, MAP_PRIVATE);
       return other.ok() ? other.Text(offset, size) : "no map";
     }},
};

// Every stretch by every writer is seen by every reader, after the map was read once.
void AddCoherence(Registry& registry) {
  for (const Writer& writer : kWriters) {
    for (const Reader& reader : kReaders) {
      AddMappingCheck(registry, std::string("coherence/") + writer.name + " then " + reader.name,
                      [&writer, &reader](Report& r) {
                        const Fd fd = Open("file", O_RDWR);
                        const FileMap map(fd.get(), kFileSize, kReadWrite, MAP_SHARED);
                        if (!r.True("mmap", map.ok())) return;
                        std::string want = Pattern(kFileSize);
                        r.True("the first content", map.Text(0, want.size()) == want);
                        unsigned seed = 2;
                        for (const Stretch& one : kStretches) {
                          const std::string bytes = Pattern(one.size, seed++);
                          want.replace(one.offset, one.size, bytes);
                          r.True(std::string("store ") + one.name,
                                 writer.store(fd.get(), map, bytes, one.offset));
                          r.True(one.name,
                                 reader.load(fd.get(), map, one.size, one.offset) == bytes);
                        }
                        r.True("the whole", reader.load(fd.get(), map, want.size(), 0) == want);
                      });
    }
  }
}

struct Permission {
  const char* name;
  int open_flags;
  int protection;
  int flags;
  int want;
};

const Permission kPermissions[] = {
    {"shared read of read-only", O_RDONLY, PROT_READ, MAP_SHARED, 0},
    {"shared write of read-only", O_RDONLY, kReadWrite, MAP_SHARED, EACCES},
    {"shared write alone of read-only", O_RDONLY, PROT_WRITE, MAP_SHARED, EACCES},
    {"private write of read-only", O_RDONLY, kReadWrite, MAP_PRIVATE, 0},
    {"shared without access of read-only", O_RDONLY, PROT_NONE, MAP_SHARED, 0},
    {"shared read of write-only", O_WRONLY, PROT_READ, MAP_SHARED, EACCES},
    {"shared write of write-only", O_WRONLY, PROT_WRITE, MAP_SHARED, EACCES},
    {"shared read and write of write-only", O_WRONLY, kReadWrite, MAP_SHARED, EACCES},
    {"private read of write-only", O_WRONLY, PROT_READ, MAP_PRIVATE, EACCES},
    {"shared without access of write-only", O_WRONLY, PROT_NONE, MAP_SHARED, EACCES},
    {"shared read and write of both", O_RDWR, kReadWrite, MAP_SHARED, 0},
    {"shared write of append-only both", O_RDWR | O_APPEND, kReadWrite, MAP_SHARED, 0},
    {"private execution of read-only", O_RDONLY, PROT_READ | PROT_EXEC, MAP_PRIVATE, 0},
    {"validated shared of both", O_RDWR, kReadWrite, MAP_SHARED_VALIDATE, 0},
    {"neither shared nor private", O_RDWR, PROT_READ, 0, EINVAL},
    {"a descriptor that only names", O_PATH, PROT_READ, MAP_SHARED, EBADF},
};

void AddPermissions(Registry& registry) {
  for (const Permission& one : kPermissions) {
    AddMappingCheck(registry, std::string("permission/") + one.name, [&one](Report& r) {
      const Fd fd = Open("file", one.open_flags);
      const FileMap map(fd.get(), kPage, one.protection, one.flags);
      r.Call("mmap", map.ok() ? 0 : -1, one.want);
    });
  }
  AddMappingCheck(registry, "permission/mprotect to write a map of read-only", [](Report& r) {
    const Fd fd = Open("file", O_RDONLY);
    const FileMap shared(fd.get(), kPage, PROT_READ, MAP_SHARED);
    const FileMap own(fd.get(), kPage, PROT_READ, MAP_PRIVATE);
    if (!r.True("mmap", shared.ok() && own.ok())) return;
    r.Call("shared", mprotect(shared.at(0), kPage, kReadWrite), EACCES);
    r.Call("private", mprotect(own.at(0), kPage, kReadWrite));
  });
  AddMappingCheck(registry, "permission/a directory", [](Report& r) {
    const Fd fd = Open(".", O_RDONLY);
    r.Call("mmap", FileMap(fd.get(), kPage, PROT_READ, MAP_SHARED).ok() ? 0 : -1, ENODEV);
  });
  AddMappingCheck(registry, "permission/an offset within a page", [](Report& r) {
    const Fd fd = Open("file", O_RDWR);
    r.Call("mmap", FileMap(fd.get(), kPage, PROT_READ, MAP_SHARED, 512).ok() ? 0 : -1, EINVAL);
  });
  AddMappingCheck(registry, "permission/no length", [](Report& r) {
    const Fd fd = Open("file", O_RDWR);
    r.Call("mmap", FileMap(fd.get(), 0, PROT_READ, MAP_SHARED).ok() ? 0 : -1, EINVAL);
  });
}

// The signal that ends a child which touches the map there; 0 for none.
int SignalOfTouch(const FileMap& map, size_t offset, bool write) {
  return RunInChild([&] {
    signal(SIGBUS, [](int which) { _exit(which); });
    signal(SIGSEGV, [](int which) { _exit(which); });
    volatile char* byte = map.at(offset);
    if (write) {
      *byte = 'x';
    } else {
      static_cast<void>(*byte);
    }
    return 0;
  });
}

struct Touch {
  const char* name;
  size_t file_size;  // once it is mapped whole
  size_t offset;
  int want;
};

const Touch kTouches[] = {
    {"the first byte", kFileSize, 0, 0},
    {"the last byte", kFileSize, kFileSize - 1, 0},
    {"the page after the end", kFileSize, kFileSize, SIGBUS},
    {"far after the end", kFileSize, 7 * kPage, SIGBUS},
    {"the last byte of a partial page", kPage + 1, kPage, 0},
    {"the rest of a partial page", kPage + 1, 2 * kPage - 1, 0},
    {"the page after a partial one", kPage + 1, 2 * kPage, SIGBUS},
    {"an empty file", 0, 0, SIGBUS},
    {"a page that was cut off", kPage, kPage, SIGBUS},
    {"a file grown into the map", 6 * kPage, 6 * kPage - 1, 0},
    {"after a file grown into the map", 6 * kPage, 6 * kPage, SIGBUS},
    {"a file grown to all of the map", 8 * kPage, 8 * kPage - 1, 0},
};

void AddEnds(Registry& registry) {
  for (const Touch& one : kTouches) {
    for (const bool write : {false, true}) {
      for (const int kind : {MAP_SHARED, MAP_PRIVATE}) {
        AddMappingCheck(registry,
                        std::string("end/") + (kind == MAP_SHARED ? "shared/" : "private/") +
                            (write ? "write/" : "read/") + one.name,
                        [&one, write, kind](Report& r) {
                          const Fd fd = Open("file", O_RDWR);
                          const FileMap map(fd.get(), 8 * kPage, kReadWrite, kind);
                          if (!r.True("mmap", map.ok())) return;
                          r.Equal("before", SignalOfTouch(map, 0, write), 0);
                          r.Call("ftruncate", ftruncate(fd.get(), one.file_size));
                          r.Equal("signal", SignalOfTouch(map, one.offset, write), one.want);
                          r.Equal("size", Look(fd.get()).st_size, one.file_size);
                        });
      }
    }
  }
}

}  // namespace

void AddMappingChecks(Registry& registry) {
  AddCoherence(registry);
  AddPermissions(registry);
  AddEnds(registry);
}

}  // namespace posix_check
