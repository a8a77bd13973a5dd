// Files and directories that are open while their last name goes away.
#include <dirent.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <string>

#include "tests/semantics/areas.h"
#include "tests/semantics/files.h"
#include "tests/semantics/process.h"

namespace posix_check {
namespace {

// What still works on `fd`, an unlinked file of "0123456789" that is open for reading and writing.
struct Use {
  const char* name;
  void (*run)(Report& r, int fd);
};

const Use kUses[] = {
    {"fstat",
     [](Report& r, int fd) {
       const struct stat status = Look(fd);
       r.Equal("links", status.st_nlink, 0);
       r.Equal("size", status.st_size, 10);
     }},
    {"read", [](Report& r, int fd) { r.Equal("content", ReadAt(fd, 20, 0), "0123456789"); }},
    {"write",
     [](Report& r, int fd) {
       r.Equal("write", pwrite(fd, "abc", 3, 9), 3);
       r.Equal("content", ReadAt(fd, 20, 0), "012345678abc");
       r.Equal("size", Look(fd).st_size, 12);
     }},
    {"ftruncate to less",
     [](Report& r, int fd) {
       r.Call("ftruncate", ftruncate(fd, 4));
       r.Equal("content", ReadAt(fd, 20, 0), "0123");
     }},
    {"ftruncate to more",
     [](Report& r, int fd) {
       r.Call("ftruncate", ftruncate(fd, 12));
       r.Equal("content", ReadAt(fd, 20, 8), std::string("89\0\0", 4));
     }},
    {"fchmod",
     [](Report& r, int fd) {
       r.Call("fchmod", fchmod(fd, 0612));
       r.Mode("mode", Look(fd).st_mode & 07777, 0612);
     }},
    {"fchown",
     [](Report& r, int fd) {
       r.Call("fchown", fchown(fd, 5, 6));
       r.Equal("uid", Look(fd).st_uid, 5);
     }},
    {"futimens",
     [](Report& r, int fd) {
       const timespec times[2] = {{.tv_sec = 5, .tv_nsec = 0}, {.tv_sec = 7, .tv_nsec = 0}};
       r.Call("futimens", futimens(fd, times));
       r.Equal("mtime", Look(fd).st_mtim.tv_sec, 7);
     }},
    {"fsync", [](Report& r, int fd) { r.Call("fsync", fsync(fd)); }},
    {"fdatasync", [](Report& r, int fd) { r.Call("fdatasync", fdatasync(fd)); }},
    {"append",
     [](Report& r, int fd) {
       r.Call("O_APPEND", fcntl(fd, F_SETFL, O_APPEND));
       r.Equal("write", write(fd, "!", 1), 1);
       r.Equal("content", ReadAt(fd, 20, 0), "0123456789!");
     }},
    {"lock",
     [](Report& r, int fd) {
       struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
       r.Call("fcntl", fcntl(fd, F_SETLK, &lock));
     }},
    {"mmap",
     [](Report& r, int fd) {
       void* mapped = mmap(nullptr, 10, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
       if (!r.True("mmap", mapped != MAP_FAILED)) return;
       static_cast<char*>(mapped)[0] = 'X';
       r.Call("msync", msync(mapped, 10, MS_SYNC));
       munmap(mapped, 10);
       r.Equal("content", ReadAt(fd, 20, 0), "X123456789");
     }},
    {"setxattr",
     [](Report& r, int fd) {
       const int done = fsetxattr(fd, "user.x", "1", 1, 0);
       if (done != 0 && errno == EOPNOTSUPP) return r.Unsupported("no user attributes");
       r.Call("fsetxattr", done);
       char value[4];
       r.Equal("fgetxattr", fgetxattr(fd, "user.x", value, sizeof(value)), 1);
     }},
    {"a duplicate",
     [](Report& r, int fd) {
       const Fd copy(dup(fd));
       r.Equal("content", ReadAt(copy.get(), 20, 0), "0123456789");
     }},
    {"a child",
     [](Report& r, int fd) {
       r.Equal("in the child",
               RunInChild([&] { return ReadAt(fd, 20, 0) == "0123456789" ? 0 : 1; }), 0);
     }},
    {"linking it back is refused",
     [](Report& r, int fd) {
       r.Call("linkat", linkat(fd, "", AT_FDCWD, "back", AT_EMPTY_PATH), ENOENT);
     }},
    {"opening it again through /proc",
     [](Report& r, int fd) {
       if (!Exists("/proc/self/fd")) return r.Unsupported("no /proc");
       const Fd again = Open("/proc/self/fd/" + std::to_string(fd), O_RDONLY);
       r.Call("open", again.get() < 0 ? -1 : 0);
       r.Equal("content", ReadAt(again.get(), 20, 0), "0123456789");
     }},
};

// How the file lost its name.
struct Loss {
  const char* name;
  int (*run)();
};

const Loss kLosses[] = {
    {"unlinked", [] { return unlink("file"); }},
    {"replaced", [] { return MakeFile("next", "next") != 0 ? -1 : rename("next", "file"); }},
    {"unlinked and made anew",
     [] { return unlink("file") != 0 ? -1 : MakeFile("file", "another content"); }},
};

struct InRemovedDirectory {
  const char* name;
  int (*run)(int directory);
  int want;
};

const InRemovedDirectory kInRemovedDirectory[] = {
    {"create", [](int d) { return openat(d, "x", O_WRONLY | O_CREAT, 0644); }, ENOENT},
    {"mkdir", [](int d) { return mkdirat(d, "x", 0755); }, ENOENT},
    {"symlink", [](int d) { return symlinkat("y", d, "x"); }, ENOENT},
    {"mknod", [](int d) { return mknodat(d, "x", S_IFIFO | 0644, 0); }, ENOENT},
    {"link into it", [](int d) { return linkat(AT_FDCWD, "file", d, "x", 0); }, ENOENT},
    {"rename into it", [](int d) { return renameat(AT_FDCWD, "file", d, "x"); }, ENOENT},
    {"open", [](int d) { return openat(d, "x", O_RDONLY); }, ENOENT},
    {"fstat",
     [](int d) {
       struct stat status;
       return fstat(d, &status);
     },
     0},
    {"fchmod", [](int d) { return fchmod(d, 0700); }, 0},
    {"fsync", [](int d) { return fsync(d); }, 0},
};

}  // namespace

void AddUnlinkedChecks(Registry& registry) {
  for (const Loss& loss : kLosses) {
    for (const Use& use : kUses) {
      registry.Add(std::string("unlinked/") + loss.name + "/" + use.name, [&loss, &use](Report& r) {
        r.Call("make", MakeFile("file", "0123456789"));
        Fd fd = Open("file", O_RDWR);
        r.Call("lose the name", loss.run());
        use.run(r, fd.get());
      });
    }
  }
  for (const InRemovedDirectory& one : kInRemovedDirectory) {
    registry.Add(std::string("unlinked/directory/") + one.name, [&one](Report& r) {
      r.Call("file", MakeFile("file"));
      r.Call("mkdir", mkdir("d", 0755));
      Fd fd = Open("d", O_RDONLY | O_DIRECTORY);
      r.Call("rmdir", rmdir("d"));
      r.Call(one.name, one.run(fd.get()), one.want);
    });
  }
  registry.Add("unlinked/directory/listing it finds nothing", [](Report& r) {
    r.Call("mkdir", mkdir("d", 0755));
    DIR* directory = opendir("d");
    if (!r.True("opendir", directory != nullptr)) return;
    r.Call("rmdir", rmdir("d"));
    int names = 0;
    while (const dirent* entry = readdir(directory)) {
      if (entry->d_name[0] != '.') ++names;
    }
    closedir(directory);
    r.Equal("names", names, 0);
  });
  registry.Add("unlinked/a file with two names loses one", [](Report& r) {
    r.Call("make", MakeFile("a", "text"));
    r.Call("link", link("a", "b"));
    Fd fd = Open("a", O_RDWR);
    r.Call("unlink", unlink("a"));
    r.Equal("links", Look(fd.get()).st_nlink, 1);
    r.Equal("write", pwrite(fd.get(), "T", 1, 0), 1);
    r.Equal("content", ReadFile("b"), "Text");
  });
  registry.Add("unlinked/rmdir while a child is open", [](Report& r) {
    r.Call("mkdir", mkdir("d", 0755));
    r.Call("file", MakeFile("d/file", "text"));
    Fd fd = Open("d/file", O_RDONLY);
    r.Call("rmdir", rmdir("d"), ENOTEMPTY);
    r.Call("unlink", unlink("d/file"));
    r.Call("rmdir", rmdir("d"));
    r.Equal("content", ReadAt(fd.get(), 10, 0), "text");
  });
  registry.Add("unlinked/hundred files at once", [](Report& r) {
    std::vector<Fd> open;
    for (int i = 0; i < 100; ++i) {
      const std::string name = std::to_string(i);
      open.push_back(Open(name, O_RDWR | O_CREAT));
      r.Equal("write", write(open.back().get(), name.data(), name.size()), name.size());
      r.Call("unlink", unlink(name.c_str()));
    }
    for (int i = 0; i < 100; ++i) {
      r.Equal("content", ReadAt(open[i].get(), 10, 0), std::to_string(i));
    }
  });
}

}  // namespace posix_check
