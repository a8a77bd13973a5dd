// Copies that the kernel makes: copy_file_range, sendfile and splice.
#include <fcntl.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <string>

#include "tests/semantics/areas.h"
#include "tests/semantics/files.h"

namespace posix_check {
namespace {

constexpr off_t kSourceBytes = 100000;
constexpr off_t kTargetBytes = 50000;

std::string SourceContent() { return Pattern(kSourceBytes, 1); }
std::string TargetContent() { return Pattern(kTargetBytes, 2); }

// The source file open for reading, the target for writing, and the ends of a pipe.
struct Files {
  explicit Files(Report& r) {
    r.Call("make the source", MakeFile("source", SourceContent()));
    r.Call("make the target", MakeFile("target", TargetContent()));
    source = Open("source", O_RDONLY);
    target = Open("target", O_RDWR);
    int ends[2];
    if (!r.Call("pipe", pipe2(ends, O_CLOEXEC))) return;
    from_pipe = Fd(ends[0]);
    to_pipe = Fd(ends[1]);
  }
  Fd source;
  Fd target;
  Fd from_pipe;
  Fd to_pipe;
};

// `content` after `bytes` were written at `offset`.
std::string Overwritten(std::string content, std::string_view bytes, size_t offset) {
  if (bytes.empty()) return content;
  if (content.size() < offset + bytes.size()) content.resize(offset + bytes.size());
  return content.replace(offset, bytes.size(), bytes);
}

struct Part {
  const char* name;
  off_t from;
  off_t to;
  size_t size;
};

const Part kParts[] = {
    {"nothing", 0, 0, 0},
    {"a byte", 0, 0, 1},
    {"a byte from inside to inside", 777, 555, 1},
    {"less than a page", 0, 0, 4095},
    {"a page", 0, 0, 4096},
    {"a page, from inside one", 100, 4096, 4096},
    {"a page, to inside one", 4096, 100, 4096},
    {"over pages", 4090, 8190, 20000},
    {"the target's size", 0, 0, kTargetBytes},
    {"all", 0, 0, kSourceBytes},
    {"more than there is", 0, 0, 1 << 30},
    {"over the source's end", kSourceBytes - 10, 0, 100},
    {"from the source's end", kSourceBytes, 0, 100},
    {"from beyond the source's end", kSourceBytes + 5, 0, 100},
    {"to the target's end", 0, kTargetBytes, 5000},
    {"over the target's end", 10, kTargetBytes - 10, 5000},
    {"to beyond the target's end", 0, kTargetBytes + 5000, 5000},
    {"to a page far beyond", 4096, 1 << 20, 8192},
};

// copy_file_range may copy less than it was asked for; returns the sum, or -1.
ssize_t CopyAll(int from, off_t* from_offset, int to, off_t* to_offset, size_t size) {
  ssize_t sum = 0;
  while (sum < static_cast<ssize_t>(size)) {
    const ssize_t count = copy_file_range(from, from_offset, to, to_offset, size - sum, 0);
    if (count < 0) return -1;
    if (count == 0) break;
    sum += count;
  }
  return sum;
}

void AddParts(Registry& registry) {
  for (const Part& part : kParts) {
    const off_t available = std::max<off_t>(0, kSourceBytes - part.from);
    const off_t moved = std::min<off_t>(available, part.size);
    const auto check_content = [&part, moved](Report& r) {
      const std::string bytes =
          moved == 0 ? std::string() : SourceContent().substr(part.from, moved);
      r.True("target", ReadFile("target") == Overwritten(TargetContent(), bytes, part.to));
      r.True("source", ReadFile("source") == SourceContent());
    };
    registry.Add(std::string("copy/range/with offsets/") + part.name, [&part, moved,
                                                                       check_content](Report& r) {
      const Files files(r);
      off_t from = part.from;
      off_t to = part.to;
      r.Equal("copied", CopyAll(files.source.get(), &from, files.target.get(), &to, part.size),
              moved);
      r.Equal("offset in the source", from, part.from + moved);
      r.Equal("offset in the target", to, part.to + moved);
      r.Equal("position in the source", lseek(files.source.get(), 0, SEEK_CUR), 0);
      r.Equal("position in the target", lseek(files.target.get(), 0, SEEK_CUR), 0);
      check_content(r);
    });
    registry.Add(std::string("copy/range/with positions/") + part.name, [&part, moved,
                                                                         check_content](Report& r) {
      const Files files(r);
      lseek(files.source.get(), part.from, SEEK_SET);
      lseek(files.target.get(), part.to, SEEK_SET);
      r.Equal("copied",
              CopyAll(files.source.get(), nullptr, files.target.get(), nullptr, part.size), moved);
      r.Equal("position in the source", lseek(files.source.get(), 0, SEEK_CUR), part.from + moved);
      r.Equal("position in the target", lseek(files.target.get(), 0, SEEK_CUR), part.to + moved);
      check_content(r);
    });
  }
}

// Within the target file.
struct SameFile {
  const char* name;
  off_t from;
  off_t to;
  size_t size;
  int want;
};

const SameFile kSameFile[] = {
    {"forwards", 0, 10000, 5000, 0},
    {"backwards", 10000, 0, 5000, 0},
    {"up to its start", 5000, 0, 5000, 0},
    {"from its start to its end", 0, kTargetBytes, 5000, 0},
    {"onto itself", 0, 0, 5000, EINVAL},
    {"overlapping forwards", 0, 4999, 5000, EINVAL},
    {"overlapping backwards", 4999, 0, 5000, EINVAL},
    {"overlapping by less than the rest of the file", kTargetBytes - 10, kTargetBytes - 5, 100,
     EINVAL},
};

struct BadCopy {
  const char* name;
  ssize_t (*run)(const Files& files);
  int want;
};

ssize_t Range(int from, int to, unsigned flags = 0) {
  return copy_file_range(from, nullptr, to, nullptr, 100, flags);
}

ssize_t RangeAt(const Files& files, off_t from, off_t to) {
  return copy_file_range(files.source.get(), &from, files.target.get(), &to, 100, 0);
}

ssize_t Splice(int from, off_t from_offset, int to, off_t to_offset) {
  return splice(from, from_offset < 0 ? nullptr : &from_offset, to,
                to_offset < 0 ? nullptr : &to_offset, 100, SPLICE_F_NONBLOCK);
}

const BadCopy kBadCopies[] = {
    {"range/flags", [](const Files& f) { return Range(f.source.get(), f.target.get(), 2); },
     EINVAL},
    {"range/all flags", [](const Files& f) { return Range(f.source.get(), f.target.get(), ~0u); },
     EINVAL},
    {"range/from a descriptor that writes only",
     [](const Files& f) { return Range(Open("source", O_WRONLY).get(), f.target.get()); }, EBADF},
    {"range/to a descriptor that reads only",
     [](const Files& f) { return Range(f.source.get(), Open("target", O_RDONLY).get()); }, EBADF},
    {"range/to a descriptor that appends",
     [](const Files& f) {
       return Range(f.source.get(), Open("target", O_WRONLY | O_APPEND).get());
     },
     EBADF},
    {"range/from a path descriptor",
     [](const Files& f) { return Range(Open("source", O_PATH).get(), f.target.get()); }, EBADF},
    {"range/from no descriptor", [](const Files& f) { return Range(-1, f.target.get()); }, EBADF},
    {"range/to no descriptor", [](const Files& f) { return Range(f.source.get(), -1); }, EBADF},
    {"range/from a directory",
     [](const Files& f) { return Range(Open(".", O_RDONLY).get(), f.target.get()); }, EISDIR},
    {"range/to a directory",
     [](const Files& f) { return Range(f.source.get(), Open(".", O_RDONLY).get()); }, EISDIR},
    {"range/from a pipe", [](const Files& f) { return Range(f.from_pipe.get(), f.target.get()); },
     EINVAL},
    {"range/to a pipe", [](const Files& f) { return Range(f.source.get(), f.to_pipe.get()); },
     EINVAL},
    {"range/from a negative offset", [](const Files& f) { return RangeAt(f, -200, 0); }, EINVAL},
    {"range/to a negative offset", [](const Files& f) { return RangeAt(f, 0, -200); }, EINVAL},
    {"sendfile/to a descriptor that appends",
     [](const Files& f) {
       return sendfile(Open("target", O_WRONLY | O_APPEND).get(), f.source.get(), nullptr, 9);
     },
     EINVAL},
    {"sendfile/from a descriptor that writes only",
     [](const Files& f) {
       return sendfile(f.target.get(), Open("source", O_WRONLY).get(), nullptr, 9);
     },
     EBADF},
    {"sendfile/to a descriptor that reads only",
     [](const Files& f) { return sendfile(f.source.get(), f.source.get(), nullptr, 9); }, EBADF},
    {"sendfile/from a directory",
     [](const Files& f) { return sendfile(f.target.get(), Open(".", O_RDONLY).get(), nullptr, 9); },
     EINVAL},
    {"sendfile/from a negative offset",
     [](const Files& f) {
       off_t from = -1;
       return sendfile(f.target.get(), f.source.get(), &from, 9);
     },
     EINVAL},
    {"splice/from file to file",
     [](const Files& f) { return Splice(f.source.get(), -1, f.target.get(), -1); }, EINVAL},
    {"splice/to a descriptor that appends",
     [](const Files& f) {
       return Splice(f.from_pipe.get(), -1, Open("target", O_WRONLY | O_APPEND).get(), -1);
     },
     EINVAL},
    {"splice/to a descriptor that reads only",
     [](const Files& f) { return Splice(f.from_pipe.get(), -1, f.source.get(), -1); }, EBADF},
    {"splice/from a descriptor that writes only",
     [](const Files& f) { return Splice(Open("source", O_WRONLY).get(), -1, f.to_pipe.get(), -1); },
     EBADF},
    {"splice/an offset of the pipe",
     [](const Files& f) { return Splice(f.source.get(), -1, f.to_pipe.get(), 0); }, ESPIPE},
    {"splice/from a directory",
     [](const Files& f) { return Splice(Open(".", O_RDONLY).get(), -1, f.to_pipe.get(), -1); },
     EINVAL},
};

void AddRefusals(Registry& registry) {
  for (const SameFile& one : kSameFile) {
    registry.Add(std::string("copy/range/same file/") + one.name, [&one](Report& r) {
      const Files files(r);
      off_t from = one.from;
      off_t to = one.to;
      const Fd other = Open("target", O_RDONLY);
      const ssize_t count = CopyAll(other.get(), &from, files.target.get(), &to, one.size);
      r.Call("copy", count, one.want);
      const std::string bytes =
          one.want != 0 ? std::string() : TargetContent().substr(one.from, one.size);
      r.True("content", ReadFile("target") == Overwritten(TargetContent(), bytes, one.to));
    });
  }
  for (const BadCopy& one : kBadCopies) {
    registry.Add(std::string("copy/") + one.name, [&one](Report& r) {
      const Files files(r);
      r.Call("copy", one.run(files), one.want);
      r.True("target", ReadFile("target") == TargetContent());
      r.True("source", ReadFile("source") == SourceContent());
    });
  }
}

// sendfile of `part`, from the position or from an offset.
void AddSendfile(Registry& registry) {
  for (const bool with_offset : {false, true}) {
    for (const int row : {1, 7, 9, 11, 13}) {
      const Part& part = kParts[row];
      registry.Add(
          std::string("copy/sendfile/") + (with_offset ? "offset/" : "position/") + part.name,
          [&part, with_offset](Report& r) {
            const Files files(r);
            const off_t moved = std::clamp<off_t>(kSourceBytes - part.from, 0, part.size);
            const off_t start = with_offset ? 0 : part.from;
            lseek(files.source.get(), start, SEEK_SET);
            lseek(files.target.get(), part.to, SEEK_SET);
            off_t from = part.from;
            r.Equal("sent",
                    sendfile(files.target.get(), files.source.get(), with_offset ? &from : nullptr,
                             part.size),
                    moved);
            r.Equal("offset", from, part.from + (with_offset ? moved : 0));
            r.Equal("position in the source", lseek(files.source.get(), 0, SEEK_CUR),
                    start + (with_offset ? 0 : moved));
            r.Equal("position in the target", lseek(files.target.get(), 0, SEEK_CUR),
                    part.to + moved);
            const std::string bytes =
                moved == 0 ? std::string() : SourceContent().substr(part.from, moved);
            r.True("target", ReadFile("target") == Overwritten(TargetContent(), bytes, part.to));
          });
    }
  }
}

void AddSplice(Registry& registry) {
  for (const bool with_offset : {false, true}) {
    const std::string with = with_offset ? "offset" : "position";
    registry.Add("copy/splice/file to pipe/" + with, [with_offset](Report& r) {
      const Files files(r);
      off_t offset = 5000;
      lseek(files.source.get(), with_offset ? 0 : 5000, SEEK_SET);
      const ssize_t count = splice(files.source.get(), with_offset ? &offset : nullptr,
                                   files.to_pipe.get(), nullptr, 9000, 0);
      if (!r.True("something moves", count > 0 && count <= 9000)) return;
      std::string bytes(count, '\0');
      r.Equal("read", read(files.from_pipe.get(), bytes.data(), bytes.size()), count);
      r.True("content", bytes == SourceContent().substr(5000, count));
      r.Equal("offset", offset, with_offset ? 5000 + count : 5000);
      r.Equal("position", lseek(files.source.get(), 0, SEEK_CUR), with_offset ? 0 : 5000 + count);
    });
    registry.Add("copy/splice/pipe to file/" + with, [with_offset](Report& r) {
      const Files files(r);
      const std::string bytes = Pattern(9000, 3);
      r.Equal("write", write(files.to_pipe.get(), bytes.data(), bytes.size()), bytes.size());
      off_t offset = 5001;
      lseek(files.target.get(), with_offset ? 0 : 5001, SEEK_SET);
      ssize_t sum = 0;
      while (sum < 9000) {
        const ssize_t count = splice(files.from_pipe.get(), nullptr, files.target.get(),
                                     with_offset ? &offset : nullptr, 9000 - sum, 0);
        if (!r.True("something moves", count > 0)) return;
        sum += count;
      }
      r.True("content", ReadFile("target") == Overwritten(TargetContent(), bytes, 5001));
      r.Equal("offset", offset, with_offset ? 14001 : 5001);
      r.Equal("position", lseek(files.target.get(), 0, SEEK_CUR), with_offset ? 0 : 14001);
    });
  }
  registry.Add("copy/splice/from the end of the file", [](Report& r) {
    const Files files(r);
    lseek(files.source.get(), 0, SEEK_END);
    r.Equal(
        "splice",
        splice(files.source.get(), nullptr, files.to_pipe.get(), nullptr, 100, SPLICE_F_NONBLOCK),
        0);
  });
}

void AddSources(Registry& registry) {
  registry.Add("copy/range/a hole reads as zeros", [](Report& r) {
    const Files files(r);
    r.Call("truncate", truncate("source", 0));
    r.Call("truncate", truncate("source", kTargetBytes));
    r.Equal("copied",
            CopyAll(files.source.get(), nullptr, files.target.get(), nullptr, kTargetBytes),
            kTargetBytes);
    r.True("content", ReadFile("target") == std::string(kTargetBytes, '\0'));
  });
  registry.Add("copy/range/what was just written", [](Report& r) {
    const Files files(r);
    const Fd writer = Open("source", O_WRONLY);
    const std::string bytes = Pattern(30000, 4);
    r.Equal("write", pwrite(writer.get(), bytes.data(), bytes.size(), 0), bytes.size());
    r.Equal("copied", CopyAll(files.source.get(), nullptr, files.target.get(), nullptr, 30000),
            30000);
    r.True("content", ReadAt(files.target.get(), 30000, 0) == bytes);
  });
  registry.Add("copy/range/over what was just written", [](Report& r) {
    const Files files(r);
    const std::string bytes = Pattern(30000, 4);
    r.Equal("write", pwrite(files.target.get(), bytes.data(), bytes.size(), 0), bytes.size());
    r.Equal("copied", CopyAll(files.source.get(), nullptr, files.target.get(), nullptr, 10000),
            10000);
    r.True("content", ReadAt(files.target.get(), 30000, 0) ==
                          SourceContent().substr(0, 10000) + bytes.substr(10000));
  });
  registry.Add("copy/range/unlinked files", [](Report& r) {
    const Files files(r);
    r.Call("unlink the source", unlink("source"));
    r.Call("unlink the target", unlink("target"));
    r.Equal("copied", CopyAll(files.source.get(), nullptr, files.target.get(), nullptr, 60000),
            60000);
    r.True("content", ReadAt(files.target.get(), 60000, 0) == SourceContent().substr(0, 60000));
  });
}

}  // namespace

void AddCopyChecks(Registry& registry) {
  AddParts(registry);
  AddRefusals(registry);
  AddSendfile(registry);
  AddSplice(registry);
  AddSources(registry);
}

}  // namespace posix_check
