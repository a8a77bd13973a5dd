// Writing with O_APPEND: every write goes to the end of the file as it is at that moment, whoever
// made it grow.
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include <cerrno>
#include <memory>
#include <string>
#include <vector>

#include "tests/semantics/areas.h"
#include "tests/semantics/files.h"
#include "tests/semantics/process.h"

namespace posix_check {
namespace {

constexpr char kText[] = "0123456789";

// Something that is written as "abc" by a descriptor that appends.
struct Writing {
  const char* name;
  ssize_t (*run)(int fd);
  // The position afterwards, of one that was at 3: 13 when it has moved, else 3.
  off_t position;
};

ssize_t WriteVector(int fd, off_t offset, int flags) {
  char first[] = "a";
  char second[] = "bc";
  const iovec parts[] = {{.iov_base = first, .iov_len = 1}, {.iov_base = second, .iov_len = 2}};
  if (offset < 0) return writev(fd, parts, 2);
  return flags == 0 ? pwritev(fd, parts, 2, offset) : pwritev2(fd, parts, 2, offset, flags);
}

const Writing kWritings[] = {
    {"write", [](int fd) { return write(fd, "abc", 3); }, 13},
    {"writev", [](int fd) { return WriteVector(fd, -1, 0); }, 13},
    {"pwrite", [](int fd) { return pwrite(fd, "abc", 3, 5); }, 3},
    {"pwrite at 0", [](int fd) { return pwrite(fd, "abc", 3, 0); }, 3},
    {"pwrite beyond the end", [](int fd) { return pwrite(fd, "abc", 3, 1000); }, 3},
    {"pwritev", [](int fd) { return WriteVector(fd, 5, 0); }, 3},
    {"pwritev2 with RWF_DSYNC", [](int fd) { return WriteVector(fd, 5, RWF_DSYNC); }, 3},
    {"three writes",
     [](int fd) {
       for (const char* byte : {"a", "b", "c"}) {
         if (write(fd, byte, 1) != 1) return ssize_t{-1};
         // The position does not matter to where the next one goes.
         if (*byte != 'c') lseek(fd, 0, SEEK_SET);
       }
       return ssize_t{3};
     },
     13},
    {"write of a duplicate",
     [](int fd) {
       const Fd copy(dup(fd));
       return write(copy.get(), "abc", 3);
     },
     13},
    {"write in a child",
     [](int fd) {
       const int error = RunInChild([fd] { return write(fd, "abc", 3) == 3 ? 0 : EIO; });
       return ssize_t{error == 0 ? 3 : -1};
     },
     13},
};

// How the descriptor came to append.
struct Way {
  const char* name;
  Fd (*open)();
};

const Way kWays[] = {
    {"opened with O_APPEND", [] { return Open("file", O_RDWR | O_APPEND); }},
    {"set by F_SETFL",
     [] {
       Fd fd = Open("file", O_RDWR);
       fcntl(fd.get(), F_SETFL, O_APPEND);
       return fd;
     }},
};

void AddWritings(Registry& registry) {
  for (const Way& way : kWays) {
    for (const Writing& one : kWritings) {
      registry.Add(std::string("append/") + way.name + "/" + one.name, [&way, &one](Report& r) {
        r.Call("make", MakeFile("file", kText));
        const Fd fd = way.open();
        r.Equal("position at first", lseek(fd.get(), 0, SEEK_CUR), 0);
        r.Equal("lseek", lseek(fd.get(), 3, SEEK_SET), 3);
        r.Equal(one.name, one.run(fd.get()), 3);
        r.Equal("position", lseek(fd.get(), 0, SEEK_CUR), one.position);
        r.Equal("content", ReadFile("file"), "0123456789abc");
        r.Equal("size", Look("file").st_size, 13);
      });
    }
  }
}

// What happens to the file of kText between two appends of "!" by an open descriptor.
struct Change {
  const char* name;
  int (*run)();
  const char* content;
};

int WriteTo(const char* path, int flags, const char* text, off_t offset = 0) {
  const Fd fd = Open(path, flags);
  const std::string bytes = text;
  const ssize_t count = (flags & O_APPEND) != 0
                            ? write(fd.get(), bytes.data(), bytes.size())
                            : pwrite(fd.get(), bytes.data(), bytes.size(), offset);
  return count == static_cast<ssize_t>(bytes.size()) ? 0 : -1;
}

const Change kChanges[] = {
    {"nothing", [] { return 0; }, "0123456789!!"},
    {"another appends", [] { return WriteTo("file", O_WRONLY | O_APPEND, "abc"); },
     "0123456789!abc!"},
    {"another writes at the end", [] { return WriteTo("file", O_WRONLY, "abc", 11); },
     "0123456789!abc!"},
    {"another writes inside", [] { return WriteTo("file", O_WRONLY, "abc"); }, "abc3456789!!"},
    {"another appends by its other name",
     [] { return WriteTo("link", O_WRONLY | O_APPEND, "abc"); }, "0123456789!abc!"},
    {"another process appends",
     [] {
       return RunInChild([] { return ErrnoOf(WriteTo("file", O_WRONLY | O_APPEND, "abc")); }) == 0
                  ? 0
                  : -1;
     },
     "0123456789!abc!"},
    {"truncate to less", [] { return truncate("file", 4); }, "0123!"},
    {"truncate to nothing", [] { return truncate("file", 0); }, "!"},
    {"opened with O_TRUNC", [] { return Open("file", O_WRONLY | O_TRUNC).get() < 0 ? -1 : 0; },
     "!"},
    {"written anew", [] { return WriteFile("file", "new"); }, "new!"},
    {"rename", [] { return rename("file", "renamed"); }, "0123456789!!"},
    {"unlink of one name", [] { return unlink("file"); }, "0123456789!!"},
    {"chmod to read-only", [] { return chmod("file", 0400); }, "0123456789!!"},
};

void AddChanges(Registry& registry) {
  for (const Change& one : kChanges) {
    registry.Add(std::string("append/between two/") + one.name, [&one](Report& r) {
      r.Call("make", MakeFile("file", kText));
      r.Call("link", link("file", "link"));
      const Fd fd = Open("file", O_WRONLY | O_APPEND);
      r.Equal("first", write(fd.get(), "!", 1), 1);
      r.Call(one.name, one.run());
      r.Equal("second", write(fd.get(), "!", 1), 1);
      r.Equal("content", ReadFile("link"), one.content);
      r.Equal("position", lseek(fd.get(), 0, SEEK_CUR), std::string(one.content).size());
    });
  }
  registry.Add("append/between two/truncate to more", [](Report& r) {
    r.Call("make", MakeFile("file", kText));
    const Fd fd = Open("file", O_WRONLY | O_APPEND);
    r.Call("truncate", truncate("file", 12));
    r.Equal("write", write(fd.get(), "!", 1), 1);
    r.Equal("content", ReadFile("file"), std::string("0123456789\0\0!", 13));
  });
}

void AddFlags(Registry& registry) {
  registry.Add("append/flag/it is told by F_GETFL and can be taken away", [](Report& r) {
    r.Call("make", MakeFile("file", kText));
    const Fd fd = Open("file", O_RDWR | O_APPEND);
    r.Equal("F_GETFL", fcntl(fd.get(), F_GETFL) & O_APPEND, O_APPEND);
    r.Call("F_SETFL", fcntl(fd.get(), F_SETFL, 0));
    r.Equal("F_GETFL", fcntl(fd.get(), F_GETFL) & O_APPEND, 0);
    r.Equal("pwrite", pwrite(fd.get(), "ab", 2, 4), 2);
    r.Equal("content", ReadFile("file"), "0123ab6789");
  });
  registry.Add("append/flag/to and fro", [](Report& r) {
    r.Call("make", MakeFile("file", kText));
    const Fd fd = Open("file", O_RDWR);
    for (const int flags : {O_APPEND, 0, O_APPEND, 0}) {
      r.Call("F_SETFL", fcntl(fd.get(), F_SETFL, flags));
      r.Equal("pwrite", pwrite(fd.get(), "x", 1, 1), 1);
    }
    r.Equal("content", ReadFile("file"), "0x23456789xx");
  });
  registry.Add("append/flag/duplicates share it, opens do not", [](Report& r) {
    r.Call("make", MakeFile("file", kText));
    const Fd fd = Open("file", O_RDWR);
    const Fd copy(dup(fd.get()));
    const Fd other = Open("file", O_RDWR);
    r.Call("F_SETFL", fcntl(fd.get(), F_SETFL, O_APPEND));
    r.Equal("other open", pwrite(other.get(), "b", 1, 0), 1);
    r.Equal("duplicate", pwrite(copy.get(), "a", 1, 0), 1);
    r.Equal("content", ReadFile("file"), "b123456789a");
  });
  registry.Add("append/flag/reading is where the position is", [](Report& r) {
    r.Call("make", MakeFile("file", kText));
    const Fd fd = Open("file", O_RDWR | O_APPEND);
    char bytes[4];
    r.Equal("read", read(fd.get(), bytes, 4), 4);
    r.Equal("what is read", std::string_view(bytes, 4), "0123");
    r.Equal("write", write(fd.get(), "ab", 2), 2);
    r.Equal("read at the new end", read(fd.get(), bytes, 4), 0);
    r.Equal("pread", ReadAt(fd.get(), 4, 10), "ab");
  });
  registry.Add("append/flag/an empty write does not move", [](Report& r) {
    r.Call("make", MakeFile("file", kText));
    const Fd fd = Open("file", O_RDWR | O_APPEND);
    r.Equal("write", write(fd.get(), "", 0), 0);
    r.Equal("position", lseek(fd.get(), 0, SEEK_CUR), 0);
    r.Equal("content", ReadFile("file"), kText);
  });
  registry.Add("append/flag/RWF_APPEND is that of one write", [](Report& r) {
    r.Call("make", MakeFile("file", kText));
    const Fd fd = Open("file", O_RDWR);
    r.Equal("pwritev2", WriteVector(fd.get(), 2, RWF_APPEND), 3);
    r.Equal("pwrite", pwrite(fd.get(), "x", 1, 2), 1);
    r.Equal("content", ReadFile("file"), "01x3456789abc");
  });
  registry.Add("append/flag/a file that it creates", [](Report& r) {
    const Fd fd = Open("new", O_WRONLY | O_CREAT | O_EXCL | O_APPEND);
    r.Equal("write", write(fd.get(), "ab", 2), 2);
    r.Equal("write", pwrite(fd.get(), "cd", 2, 0), 2);
    r.Equal("content", ReadFile("new"), "abcd");
  });
}

struct Size {
  const char* name;
  size_t bytes;
};

// Pages and requests are crossed at these.
constexpr Size kSizes[] = {
    {"1", 1}, {"4095", 4095}, {"4096", 4096}, {"4097", 4097}, {"200000", 200000},
};

void AddTwoHandles(Registry& registry) {
  for (const Size& size : kSizes) {
    registry.Add(std::string("append/two handles in turn/") + size.name, [size](Report& r) {
      r.Call("make", MakeFile("file"));
      const Fd handles[2] = {Open("file", O_WRONLY | O_APPEND), Open("file", O_RDWR | O_APPEND)};
      std::string want;
      for (unsigned i = 0; i < 10; ++i) {
        const std::string bytes = Pattern(size.bytes, i);
        r.Equal("write", write(handles[i % 2].get(), bytes.data(), bytes.size()), bytes.size());
        want += bytes;
        r.Equal("position", lseek(handles[i % 2].get(), 0, SEEK_CUR), want.size());
        r.Equal("size", Look(handles[(i + 1) % 2].get()).st_size, want.size());
      }
      r.True("content", ReadFile("file") == want);
    });
  }
}

// A record is its writer's letter, its number and a filling, of `bytes` in all.
std::string Record(char writer, int number, size_t bytes) {
  std::string record = writer + std::to_string(number);
  record.resize(bytes - 1, '.');
  return record + "\n";
}

constexpr int kRecords = 300;

int AppendRecords(char writer, size_t bytes) {
  const Fd fd = Open("file", O_WRONLY | O_APPEND);
  for (int i = 0; i < kRecords; ++i) {
    const std::string record = Record(writer, i, bytes);
    if (write(fd.get(), record.data(), record.size()) != static_cast<ssize_t>(bytes)) return EIO;
  }
  return 0;
}

void AddConcurrent(Registry& registry) {
  static constexpr Size kRecordSizes[] = {{"small", 17}, {"over pages", 5000}};
  for (const Size& size : kRecordSizes) {
    for (const int writers : {2, 4}) {
      registry.Add("append/" + std::to_string(writers) + " processes at once/" + size.name,
                   [size, writers](Report& r) {
                     r.Call("make", MakeFile("file"));
                     std::vector<std::unique_ptr<Peer>> peers;
                     for (int i = 0; i < writers; ++i) {
                       peers.push_back(std::make_unique<Peer>([&, i](const auto& pause) {
                         pause();
                         return AppendRecords(static_cast<char>('a' + i), size.bytes);
                       }));
                     }
                     for (auto& peer : peers) r.True("it is ready", peer->AwaitPause());
                     for (auto& peer : peers) peer->Continue();
                     for (auto& peer : peers) r.Errno("it has written", peer->Wait(), 0);
                     const std::string content = ReadFile("file");
                     r.Equal("size", content.size(), writers * kRecords * size.bytes);
                     std::vector<int> next(writers, 0);
                     for (size_t at = 0; at + size.bytes <= content.size(); at += size.bytes) {
                       const int writer = content[at] - 'a';
                       if (!r.True("a record begins", writer >= 0 && writer < writers)) return;
                       // A writer's own records are in its order.
                       r.True(
                           "the record is whole and the writer's next",
                           content.compare(at, size.bytes,
                                           Record(content[at], next[writer]++, size.bytes)) == 0);
                     }
                   });
    }
  }
}

}  // namespace

void AddAppendChecks(Registry& registry) {
  AddWritings(registry);
  AddChanges(registry);
  AddFlags(registry);
  AddTwoHandles(registry);
  AddConcurrent(registry);
}

}  // namespace posix_check
