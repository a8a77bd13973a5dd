// Directories while they are read: completeness, positions, and entries that come and go meanwhile.
#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "tests/semantics/areas.h"
#include "tests/semantics/files.h"

namespace posix_check {
namespace {

struct DirectoryCloser {
  void operator()(DIR* directory) const { closedir(directory); }
};
using Directory = std::unique_ptr<DIR, DirectoryCloser>;

void Fill(Report& r, const std::string& path, int files) {
  r.Call("mkdir", mkdir(path.c_str(), 0755));
  for (int i = 0; i < files && !r.failed(); ++i) {
    r.Call("create", mknod((path + "/file" + std::to_string(i)).c_str(), S_IFREG | 0644, 0));
  }
}

// The names from here to the end, dots too, in order.
std::vector<std::string> ReadAll(DIR* directory) {
  std::vector<std::string> names;
  while (const dirent* entry = readdir(directory)) names.emplace_back(entry->d_name);
  return names;
}

bool AllDifferent(const std::vector<std::string>& names) {
  return std::set<std::string>(names.begin(), names.end()).size() == names.size();
}

void AddSizes(Registry& registry) {
  for (const int files : {0, 1, 2, 10, 100, 1000}) {
    registry.Add("directories/complete/" + std::to_string(files), [files](Report& r) {
      Fill(r, "d", files);
      Directory d(opendir("d"));
      const std::vector<std::string> names = ReadAll(d.get());
      r.Equal("entries", names.size(), files + 2);
      r.True("each once", AllDifferent(names));
      rewinddir(d.get());
      r.True("the same again", ReadAll(d.get()) == names);
    });
  }
  // Names of all lengths end up at every place of the buffers.
  registry.Add("directories/complete/names of every length", [](Report& r) {
    r.Call("mkdir", mkdir("d", 0755));
    std::set<std::string> want;
    for (int length = 1; length <= 255; ++length) {
      want.insert(std::string(length, 'n'));
      r.Call("create", mknod(("d/" + std::string(length, 'n')).c_str(), S_IFREG | 0644, 0));
    }
    r.True("the names", Names("d") == want);
  });
  for (const size_t buffer : {24, 32, 64, 280, 512, 4096, 65536}) {
    registry.Add("directories/buffer/" + std::to_string(buffer), [buffer](Report& r) {
      Fill(r, "d", 50);
      Fd fd = Open("d", O_RDONLY | O_DIRECTORY);
      std::vector<char> bytes(buffer);
      int entries = 0;
      while (true) {
        const long count = syscall(SYS_getdents64, fd.get(), bytes.data(), bytes.size());
        // ".", ".." and "file0" need 24 bytes each, "file10" 32.
        if (count < 0 && errno == EINVAL && buffer < 32) break;
        if (!r.Call("getdents", count) || count <= 0) break;
        for (long at = 0; at < count;) {
          const auto* entry = reinterpret_cast<const dirent64*>(bytes.data() + at);
          at += entry->d_reclen;
          ++entries;
        }
      }
      if (buffer >= 32) r.Equal("entries", entries, 52);
    });
  }
  registry.Add("directories/buffer/too small for any entry", [](Report& r) {
    Fill(r, "d", 1);
    Fd fd = Open("d", O_RDONLY | O_DIRECTORY);
    char bytes[8];
    r.Call("getdents", syscall(SYS_getdents64, fd.get(), bytes, sizeof(bytes)), EINVAL);
  });
}

void AddPositions(Registry& registry) {
  for (const int files : {3, 100, 300}) {
    registry.Add("directories/seekdir to each position/" + std::to_string(files),
                 [files](Report& r) {
                   Fill(r, "d", files);
                   Directory d(opendir("d"));
                   std::vector<long> positions = {telldir(d.get())};
                   std::vector<std::string> names;
                   while (const dirent* entry = readdir(d.get())) {
                     names.emplace_back(entry->d_name);
                     positions.push_back(telldir(d.get()));
                   }
                   r.Equal("entries", names.size(), files + 2);
                   const size_t step = names.size() / 50 + 1;
                   for (size_t i = names.size(); i >= step && !r.failed(); i -= step) {
                     seekdir(d.get(), positions[i - 1]);
                     const dirent* entry = readdir(d.get());
                     r.Equal("entry at position " + std::to_string(i - 1),
                             entry == nullptr ? "" : entry->d_name, names[i - 1]);
                   }
                   seekdir(d.get(), positions.back());
                   r.True("nothing at the end", readdir(d.get()) == nullptr);
                 });
    registry.Add("directories/positions last through removals/" + std::to_string(files),
                 [files](Report& r) {
                   Fill(r, "d", files);
                   Directory d(opendir("d"));
                   std::vector<std::string> seen;
                   while (seen.size() < static_cast<size_t>(files) / 2) {
                     seen.emplace_back(readdir(d.get())->d_name);
                   }
                   const long here = telldir(d.get());
                   const std::vector<std::string> rest = ReadAll(d.get());
                   for (const std::string& name : seen) {
                     if (name[0] != '.') r.Call("unlink", unlink(("d/" + name).c_str()));
                   }
                   seekdir(d.get(), here);
                   const std::vector<std::string> again = ReadAll(d.get());
                   r.True("the same rest", std::set<std::string>(again.begin(), again.end()) ==
                                               std::set<std::string>(rest.begin(), rest.end()));
                 });
  }
  registry.Add("directories/lseek to 0 reads anew", [](Report& r) {
    Fill(r, "d", 5);
    Fd fd = Open("d", O_RDONLY | O_DIRECTORY);
    char bytes[4096];
    const long first = syscall(SYS_getdents64, fd.get(), bytes, sizeof(bytes));
    r.True("something", first > 0);
    r.Equal("lseek", lseek(fd.get(), 0, SEEK_SET), 0);
    r.Equal("the same", syscall(SYS_getdents64, fd.get(), bytes, sizeof(bytes)), first);
  });
  registry.Add("directories/two descriptors have two positions", [](Report& r) {
    Fill(r, "d", 20);
    Directory one(opendir("d"));
    Directory two(opendir("d"));
    r.Equal("entries of one", ReadAll(one.get()).size(), 22);
    r.Equal("entries of the other", ReadAll(two.get()).size(), 22);
  });
}

// How a directory changes while it is half read. Entries that stay must be found once whatever
// comes and goes; those that come or go may be found once or not at all.
struct Change {
  const char* name;
  int (*run)(int i);
};

const Change kChanges[] = {
    {"removes", [](int i) { return unlink(("d/file" + std::to_string(i)).c_str()); }},
    {"creates", [](int i) { return MakeFile("d/new" + std::to_string(i)); }},
    {"renames",
     [](int i) {
       return rename(("d/file" + std::to_string(i)).c_str(), ("d/new" + std::to_string(i)).c_str());
     }},
    {"replaces",
     [](int i) {
       const std::string name = "d/file" + std::to_string(i);
       return unlink(name.c_str()) != 0 ? -1 : MakeFile(name);
     }},
    {"moves out",
     [](int i) {
       return rename(("d/file" + std::to_string(i)).c_str(), ("out" + std::to_string(i)).c_str());
     }},
};

void AddChanges(Registry& registry) {
  for (const Change& change : kChanges) {
    for (const int files : {20, 400}) {
      registry.Add(
          std::string("directories/while it is read/") + change.name + "/" + std::to_string(files),
          [&change, files](Report& r) {
            Fill(r, "d", files);
            Directory d(opendir("d"));
            std::vector<std::string> names;
            for (int i = 0; i < files / 2; ++i) names.emplace_back(readdir(d.get())->d_name);
            // Every third file changes.
            for (int i = 0; i < files; i += 3) r.Call(change.name, change.run(i));
            for (std::string& name : ReadAll(d.get())) names.push_back(std::move(name));
            std::map<std::string, int> count;
            for (const std::string& name : names) ++count[name];
            for (int i = 0; i < files; ++i) {
              const std::string name = "file" + std::to_string(i);
              if (i % 3 != 0) r.Equal(name + " is found", count[name], 1);
            }
            Directory fresh(opendir("d"));
            std::set<std::string> now;
            for (const std::string& name : ReadAll(fresh.get())) now.insert(name);
            now.erase(".");
            now.erase("..");
            r.True("a new reader sees what is there now", now == Names("d"));
            const size_t changed = (files + 2) / 3;
            const std::string what = change.name;
            const size_t want = what == "removes" || what == "moves out" ? files - changed
                                : what == "creates"                      ? files + changed
                                                                         : files;
            r.Equal("entries now", now.size(), want);
          });
    }
  }
  registry.Add("directories/while it is read/removing each entry as it is found", [](Report& r) {
    Fill(r, "d", 500);
    Directory d(opendir("d"));
    while (const dirent* entry = readdir(d.get())) {
      if (entry->d_name[0] == '.') continue;
      r.Call("unlink", unlink((std::string("d/") + entry->d_name).c_str()));
    }
    d.reset();
    r.Call("rmdir", rmdir("d"));
  });
  registry.Add("directories/what was made is listed at once", [](Report& r) {
    r.Call("mkdir", mkdir("d", 0755));
    std::set<std::string> want;
    for (int i = 0; i < 30; ++i) {
      want.insert(std::to_string(i));
      r.Call("make", MakeFile("d/" + std::to_string(i)));
      r.True("the listing", Names("d") == want);
    }
    for (int i = 0; i < 30; ++i) {
      want.erase(std::to_string(i));
      r.Call("unlink", unlink(("d/" + std::to_string(i)).c_str()));
      r.True("the listing", Names("d") == want);
    }
  });
}

void AddEntries(Registry& registry) {
  static const struct {
    const char* name;
    int (*make)(const char* path);
    int type;
  } kTypes[] = {
      {"file", [](const char* path) { return MakeFile(path); }, DT_REG},
      {"directory", [](const char* path) { return mkdir(path, 0755); }, DT_DIR},
      {"symlink", [](const char* path) { return symlink("x", path); }, DT_LNK},
      {"fifo", [](const char* path) { return mknod(path, S_IFIFO | 0644, 0); }, DT_FIFO},
      {"socket", [](const char* path) { return mknod(path, S_IFSOCK | 0644, 0); }, DT_SOCK},
      {"device", [](const char* path) { return mknod(path, S_IFCHR | 0644, 0x103); }, DT_CHR},
  };
  for (const auto& type : kTypes) {
    registry.Add(std::string("directories/entry of a ") + type.name, [&type](Report& r) {
      r.Call("mkdir", mkdir("d", 0755));
      r.Call("make", type.make("d/x"));
      Directory d(opendir("d"));
      while (const dirent* entry = readdir(d.get())) {
        if (entry->d_name != std::string("x")) continue;
        r.Equal("inode", entry->d_ino, Look("d/x").st_ino);
        if (entry->d_type != DT_UNKNOWN) r.Equal("type", entry->d_type, type.type);
        return;
      }
      r.Fail("the entry", "none", "one");
    });
  }
  registry.Add("directories/entry of dot and dot-dot", [](Report& r) {
    r.Call("mkdir", mkdir("d", 0755));
    r.Call("mkdir", mkdir("d/e", 0755));
    Directory d(opendir("d/e"));
    int found = 0;
    while (const dirent* entry = readdir(d.get())) {
      const std::string name = entry->d_name;
      if (name == ".") r.Equal("dot", entry->d_ino, Look("d/e").st_ino);
      if (name == "..") r.Equal("dot-dot", entry->d_ino, Look("d").st_ino);
      ++found;
    }
    r.Equal("entries", found, 2);
  });
  registry.Add("directories/rmdir/full", [](Report& r) {
    Fill(r, "d", 1);
    r.Call("rmdir", rmdir("d"), ENOTEMPTY);
    r.Call("unlink", unlink("d/file0"));
    r.Call("rmdir", rmdir("d"));
  });
  registry.Add("directories/deep", [](Report& r) {
    constexpr int kDepth = 40;
    Fd here = Open(".", O_RDONLY | O_DIRECTORY);
    for (int i = 0; i < kDepth; ++i) {
      r.Call("mkdir", mkdirat(here.get(), "deeper", 0755));
      here = Fd(openat(here.get(), "deeper", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
      r.Call("open", here.get() < 0 ? -1 : 0);
    }
    const Fd file(openat(here.get(), "file", O_WRONLY | O_CREAT, 0644));
    r.Call("create at the bottom", file.get() < 0 ? -1 : 0);
    std::string path;
    for (int i = 0; i < kDepth; ++i) path += "deeper/";
    r.True("by its whole path", Exists(path + "file"));
  });
  static const struct {
    const char* name;
    int (*run)(int fd);
    int want;
  } kRefused[] = {
      {"read",
       [](int fd) {
         char byte;
         return static_cast<int>(read(fd, &byte, 1));
       },
       EISDIR},
      {"write", [](int fd) { return static_cast<int>(write(fd, "x", 1)); }, EBADF},
      {"ftruncate", [](int fd) { return ftruncate(fd, 0); }, EINVAL},
      {"fallocate", [](int fd) { return fallocate(fd, 0, 0, 1); }, EBADF},
      {"fsync", [](int fd) { return fsync(fd); }, 0},
  };
  for (const auto& one : kRefused) {
    registry.Add(std::string("directories/used as a file/") + one.name, [&one](Report& r) {
      Fd fd = Open(".", O_RDONLY | O_DIRECTORY);
      r.Call(one.name, one.run(fd.get()), one.want);
    });
  }
  for (const int flags :
       {O_WRONLY, O_RDWR, O_RDONLY | O_CREAT, O_RDONLY | O_TRUNC, O_WRONLY | O_CREAT}) {
    registry.Add("directories/used as a file/open with flags " + std::to_string(flags),
                 [flags](Report& r) {
                   r.Call("mkdir", mkdir("d", 0755));
                   const Fd fd = Open("d", flags);
                   r.Call("open", fd.get() < 0 ? -1 : 0, EISDIR);
                 });
  }
}

}  // namespace

void AddDirectoryChecks(Registry& registry) {
  AddSizes(registry);
  AddPositions(registry);
  AddChanges(registry);
  AddEntries(registry);
}

}  // namespace posix_check
