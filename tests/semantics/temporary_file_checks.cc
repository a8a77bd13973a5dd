// O_TMPFILE: files without a name, and giving them one.
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <string>

#include "tests/semantics/areas.h"
#include "tests/semantics/files.h"
#include "tests/semantics/process.h"

namespace posix_check {
namespace {

// Gives the open file the name; by /proc, as who has no CAP_DAC_READ_SEARCH must.
int LinkByProc(int fd, const std::string& path) {
  return linkat(AT_FDCWD, ("/proc/self/fd/" + std::to_string(fd)).c_str(), AT_FDCWD, path.c_str(),
                AT_SYMLINK_FOLLOW);
}

void AddWithFile(Registry& registry, const std::string& name,
                 const std::function<void(Report&, int fd)>& body, int flags = O_RDWR,
                 mode_t mode = 0640) {
  registry.Add("tmpfile/" + name, [body, flags, mode](Report& r) {
    r.Call("mkdir", mkdir("d", 0755));
    Fd fd = Open("d", O_TMPFILE | flags, mode);
    if (fd.get() < 0 && errno == EOPNOTSUPP) return r.Unsupported("no O_TMPFILE");
    if (!r.Call("open", fd.get() < 0 ? -1 : 0)) return;
    body(r, fd.get());
  });
}

void AddUse(Registry& registry) {
  AddWithFile(registry, "has no name", [](Report& r, int fd) {
    r.True("the directory is empty", Names("d").empty());
    r.Equal("links", Look(fd).st_nlink, 0);
    r.Equal("size", Look(fd).st_size, 0);
    r.True("a regular file", S_ISREG(Look(fd).st_mode));
  });
  AddWithFile(registry, "mode under umask",
              [](Report& r, int fd) { r.Mode("mode", Look(fd).st_mode & 07777, 0640); });
  AddWithFile(registry, "write and read", [](Report& r, int fd) {
    const std::string data = Pattern(100000);
    r.Equal("write", write(fd, data.data(), data.size()), data.size());
    r.True("read", ReadAt(fd, data.size() + 1, 0) == data);
    r.Equal("size", Look(fd).st_size, data.size());
  });
  AddWithFile(registry, "truncate", [](Report& r, int fd) {
    r.Call("ftruncate", ftruncate(fd, 1000));
    r.Equal("size", Look(fd).st_size, 1000);
    r.Equal("content", ReadAt(fd, 2, 998), std::string(2, '\0'));
  });
  AddWithFile(registry, "its directory can be removed", [](Report& r, int fd) {
    r.Call("rmdir", rmdir("d"));
    r.Equal("write", write(fd, "text", 4), 4);
    r.Equal("read", ReadAt(fd, 4, 0), "text");
  });
  AddWithFile(
      registry, "write only",
      [](Report& r, int fd) {
        char byte;
        r.Equal("write", write(fd, "text", 4), 4);
        r.Call("read", read(fd, &byte, 1), EBADF);
      },
      O_WRONLY);
  AddWithFile(registry, "set-up before the name", [](Report& r, int fd) {
    r.Equal("write", write(fd, "text", 4), 4);
    r.Call("fchmod", fchmod(fd, 0604));
    r.Call("fchown", fchown(fd, 7, 8));
    const timespec times[2] = {{.tv_sec = 5, .tv_nsec = 6}, {.tv_sec = 7, .tv_nsec = 8}};
    r.Call("futimens", futimens(fd, times));
    r.Call("link", LinkByProc(fd, "d/name"));
    const struct stat status = Look("d/name");
    r.Mode("mode", status.st_mode & 07777, 0604);
    r.Equal("uid", status.st_uid, 7);
    r.Equal("mtime", status.st_mtim.tv_sec, 7);
    r.Equal("content", ReadFile("d/name"), "text");
  });
}

void AddLinking(Registry& registry) {
  AddWithFile(registry, "link by /proc", [](Report& r, int fd) {
    r.Equal("write", write(fd, "text", 4), 4);
    r.Call("link", LinkByProc(fd, "d/name"));
    r.Equal("content", ReadFile("d/name"), "text");
    r.Equal("links", Look(fd).st_nlink, 1);
    r.Equal("inode", Look("d/name").st_ino, Look(fd).st_ino);
    r.Equal("write after it", pwrite(fd, "T", 1, 0), 1);
    r.Equal("content", ReadFile("d/name"), "Text");
  });
  AddWithFile(registry, "link by AT_EMPTY_PATH", [](Report& r, int fd) {
    r.Call("link", linkat(fd, "", AT_FDCWD, "d/name", AT_EMPTY_PATH));
    r.Equal("links", Look("d/name").st_nlink, 1);
  });
  AddWithFile(registry, "link into another directory", [](Report& r, int fd) {
    r.Call("mkdir", mkdir("e", 0755));
    r.Call("link", LinkByProc(fd, "e/name"));
    r.True("there", Exists("e/name"));
    r.True("not where it was made", Names("d").empty());
  });
  AddWithFile(registry, "link twice, unlink both", [](Report& r, int fd) {
    r.Call("one", LinkByProc(fd, "d/one"));
    r.Call("two", LinkByProc(fd, "d/two"));
    r.Equal("links", Look(fd).st_nlink, 2);
    r.Call("unlink", unlink("d/one"));
    r.Call("unlink", unlink("d/two"));
    r.Equal("links", Look(fd).st_nlink, 0);
    // What had names and lost them cannot come back.
    r.Call("link again", LinkByProc(fd, "d/three"), ENOENT);
  });
  AddWithFile(registry, "link onto what is there", [](Report& r, int fd) {
    r.Call("make", MakeFile("d/name", "old"));
    r.Call("link", LinkByProc(fd, "d/name"), EEXIST);
    r.Equal("content", ReadFile("d/name"), "old");
  });
  AddWithFile(
      registry, "O_EXCL forbids a name",
      [](Report& r, int fd) {
        r.Equal("write", write(fd, "text", 4), 4);
        r.Call("link", LinkByProc(fd, "d/name"), ENOENT);
        r.True("the directory is empty", Names("d").empty());
      },
      O_RDWR | O_EXCL);
  AddWithFile(registry, "survives its directory's rename", [](Report& r, int fd) {
    r.Call("rename", rename("d", "e"));
    r.Call("link", LinkByProc(fd, "e/name"));
    r.True("there", Exists("e/name"));
  });
  for (int i = 0; i < 3; ++i) {
    AddWithFile(registry, "attributes go with it/" + std::to_string(i), [i](Report& r, int fd) {
      const std::string value = Pattern(10 + i * 500);
      const int set = fsetxattr(fd, "user.x", value.data(), value.size(), 0);
      if (set != 0 && errno == EOPNOTSUPP) return r.Unsupported("no user attributes");
      r.Call("fsetxattr", set);
      r.Call("link", LinkByProc(fd, "d/name"));
      std::string got(4096, '\0');
      r.Equal("size", getxattr("d/name", "user.x", got.data(), got.size()), value.size());
    });
  }
}

void AddRefusals(Registry& registry) {
  static const struct {
    const char* name;
    const char* path;
    int flags;
    int want;
  } kRefusals[] = {
      {"read only", "d", O_TMPFILE | O_RDONLY, EINVAL},
      {"in a file", "f", O_TMPFILE | O_RDWR, ENOTDIR},
      {"in what is absent", "absent", O_TMPFILE | O_RDWR, ENOENT},
      {"with O_CREAT", "d", O_TMPFILE | O_RDWR | O_CREAT, EINVAL},
      {"in a symlink to a directory, not followed", "link", O_TMPFILE | O_RDWR | O_NOFOLLOW,
       ENOTDIR},
  };
  for (const auto& one : kRefusals) {
    registry.Add(std::string("tmpfile/refused/") + one.name, [&one](Report& r) {
      r.Call("d", mkdir("d", 0755));
      r.Call("f", MakeFile("f"));
      r.Call("link", symlink("d", "link"));
      const Fd fd = Open(one.path, one.flags, 0644);
      r.Call("open", fd.get() < 0 ? -1 : 0, one.want);
    });
  }
  registry.Add("tmpfile/refused/without the right to write in the directory", [](Report& r) {
    r.Call("d", MakeDir("d", 0755));
    const int got =
        RunAs(kOther, [] { return Open("d", O_TMPFILE | O_RDWR, 0644).get() < 0 ? errno : 0; });
    if (got == EOPNOTSUPP) return r.Unsupported("no O_TMPFILE");
    r.Errno("open", got, EACCES);
  });
  registry.Add("tmpfile/as another user", [](Report& r) {
    r.Call("d", MakeDir("d", 0777));
    const int got = RunAs(kOther, [] {
      Fd fd = Open("d", O_TMPFILE | O_RDWR, 0600);
      return fd.get() < 0 ? errno : ErrnoOf(LinkByProc(fd.get(), "d/name"));
    });
    if (got == EOPNOTSUPP) return r.Unsupported("no O_TMPFILE");
    r.Errno("open and link", got, 0);
    r.Equal("uid", Look("d/name").st_uid, kOther.uid);
    r.Mode("mode", ModeOf("d/name"), 0600);
  });
}

}  // namespace

void AddTemporaryFileChecks(Registry& registry) {
  AddUse(registry);
  AddLinking(registry);
  AddRefusals(registry);
}

}  // namespace posix_check
