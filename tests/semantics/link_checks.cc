// Hard links: what they share, how they are counted, what they refuse.
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <string>

#include "tests/semantics/areas.h"
#include "tests/semantics/files.h"
#include "tests/semantics/process.h"

namespace posix_check {
namespace {

struct Kind {
  const char* name;
  int (*make)(const char* path);
};

const Kind kKinds[] = {
    {"file", [](const char* path) { return MakeFile(path, "text"); }},
    {"symlink", [](const char* path) { return symlink("text", path); }},
    {"fifo", [](const char* path) { return mknod(path, S_IFIFO | 0640, 0); }},
    {"socket", [](const char* path) { return mknod(path, S_IFSOCK | 0640, 0); }},
};

void CheckShared(Report& r, const Kind& kind) {
  r.Call("mkdir", mkdir("d", 0755));
  r.Call("make", kind.make("a"));
  const struct stat alone = Look("a");
  r.Equal("links before", alone.st_nlink, 1);
  r.Call("link", link("a", "d/b"));
  const struct stat first = Look("a");
  const struct stat second = Look("d/b");
  r.Equal("links at the first name", first.st_nlink, 2);
  r.Equal("links at the second name", second.st_nlink, 2);
  r.Equal("inode", second.st_ino, alone.st_ino);
  r.Equal("device", second.st_dev, alone.st_dev);
  r.Call("chown through one name", lchown("a", 7, 8));
  r.Equal("owner through the other", Look("d/b").st_uid, 7);
  r.Call("unlink the first", unlink("a"));
  r.Equal("links of what is left", Look("d/b").st_nlink, 1);
  r.Equal("inode of what is left", Look("d/b").st_ino, alone.st_ino);
  r.Call("unlink the last", unlink("d/b"));
  r.True("it is gone", !Exists("d/b"));
}

struct Refusal {
  const char* name;
  int (*run)();
  int want;
};

// The directories `d` and `d/e`, the files `f` and `d/f`, the symlinks `to-f`, `to-d` and
// `dangling`.
const Refusal kRefusals[] = {
    {"a directory", [] { return link("d", "new"); }, EPERM},
    {"dot", [] { return link(".", "new"); }, EPERM},
    {"onto itself", [] { return link("f", "f"); }, EEXIST},
    {"onto a file", [] { return link("f", "d/f"); }, EEXIST},
    {"onto a directory", [] { return link("f", "d"); }, EEXIST},
    {"onto a symlink", [] { return link("f", "to-f"); }, EEXIST},
    {"onto a dangling symlink", [] { return link("f", "dangling"); }, EEXIST},
    {"of what is absent", [] { return link("absent", "new"); }, ENOENT},
    {"into what is absent", [] { return link("f", "absent/new"); }, ENOENT},
    {"below a file", [] { return link("f", "d/f/new"); }, ENOTDIR},
    {"from below a file", [] { return link("f/x", "new"); }, ENOTDIR},
    {"of an empty path", [] { return link("", "new"); }, ENOENT},
    {"with unknown flags", [] { return linkat(AT_FDCWD, "f", AT_FDCWD, "new", 0x40); }, EINVAL},
    {"of a symlink to a directory, followed",
     [] { return linkat(AT_FDCWD, "to-d", AT_FDCWD, "new", AT_SYMLINK_FOLLOW); }, EPERM},
    {"of a dangling symlink, followed",
     [] { return linkat(AT_FDCWD, "dangling", AT_FDCWD, "new", AT_SYMLINK_FOLLOW); }, ENOENT},
};

void AddRefusals(Registry& registry) {
  for (const Refusal& refusal : kRefusals) {
    registry.Add(std::string("links/refused/") + refusal.name, [&refusal](Report& r) {
      r.Call("d", mkdir("d", 0755));
      r.Call("d/e", mkdir("d/e", 0755));
      r.Call("f", MakeFile("f", "f"));
      r.Call("d/f", MakeFile("d/f", "d/f"));
      r.Call("to-f", symlink("f", "to-f"));
      r.Call("to-d", symlink("d", "to-d"));
      r.Call("dangling", symlink("absent", "dangling"));
      r.Call(refusal.name, refusal.run(), refusal.want);
      r.Equal("links of the source", Look("f").st_nlink, 1);
      r.Equal("content of the target", ReadFile("d/f"), "d/f");
      r.True("no new name", !Exists("new"));
    });
  }
}

void AddDirectoryCounts(Registry& registry) {
  static const int kChildren[] = {0, 1, 2, 10};
  for (const int children : kChildren) {
    registry.Add("links/directory count/" + std::to_string(children) + " children",
                 [children](Report& r) {
                   r.Call("mkdir", mkdir("d", 0755));
                   const nlink_t empty = Look("d").st_nlink;
                   // File systems that do not count say 1 throughout.
                   const int step = empty == 1 ? 0 : 1;
                   for (int i = 0; i < children; ++i) {
                     r.Call("child", mkdir(("d/" + std::to_string(i)).c_str(), 0755));
                     r.Call("file", MakeFile("d/f" + std::to_string(i)));
                   }
                   r.Equal("links", Look("d").st_nlink, empty + children * step);
                   for (int i = 0; i < children; ++i) {
                     r.Call("rmdir", rmdir(("d/" + std::to_string(i)).c_str()));
                   }
                   r.Equal("links without children", Look("d").st_nlink, empty);
                 });
  }
  registry.Add("links/directory count/after renames", [](Report& r) {
    r.Call("a", mkdir("a", 0755));
    r.Call("b", mkdir("b", 0755));
    const nlink_t empty = Look("a").st_nlink;
    const int step = empty == 1 ? 0 : 1;
    r.Call("child", mkdir("a/child", 0755));
    r.Call("rename", rename("a/child", "b/child"));
    r.Equal("links of where it was", Look("a").st_nlink, empty);
    r.Equal("links of where it is", Look("b").st_nlink, empty + step);
    r.Call("another", mkdir("a/child", 0755));
    r.Call("rename over", rename("a/child", "b/child"));
    r.Equal("links of where it was", Look("a").st_nlink, empty);
    r.Equal("links of where it is", Look("b").st_nlink, empty + step);
  });
}

void AddOthers(Registry& registry) {
  registry.Add("links/content/written through one name", [](Report& r) {
    r.Call("make", MakeFile("a", "before"));
    r.Call("link", link("a", "b"));
    r.Call("write", WriteFile("a", "after, and longer"));
    r.Equal("content through the other", ReadFile("b"), "after, and longer");
    r.Equal("size through the other", Look("b").st_size, 17);
    r.Call("chmod", chmod("b", 0604));
    r.Mode("mode through the first", ModeOf("a"), 0604);
  });
  registry.Add("links/many", [](Report& r) {
    constexpr int kLinks = 300;
    r.Call("make", MakeFile("0", "text"));
    for (int i = 1; i <= kLinks; ++i) r.Call("link", link("0", std::to_string(i).c_str()));
    r.Equal("links", Look("150").st_nlink, kLinks + 1);
    r.Equal("names", Names(".").size(), kLinks + 1);
    for (int i = 1; i <= kLinks; ++i) r.Call("unlink", unlink(std::to_string(i).c_str()));
    r.Equal("links", Look("0").st_nlink, 1);
    r.Equal("content", ReadFile("0"), "text");
  });
  registry.Add("links/of an open descriptor through /proc", [](Report& r) {
    if (!Exists("/proc/self/fd")) return r.Unsupported("no /proc");
    r.Call("make", MakeFile("a", "text"));
    Fd fd = Open("a", O_RDONLY);
    const std::string path = "/proc/self/fd/" + std::to_string(fd.get());
    r.Call("linkat", linkat(AT_FDCWD, path.c_str(), AT_FDCWD, "b", AT_SYMLINK_FOLLOW));
    r.Equal("links", Look("b").st_nlink, 2);
    r.Equal("content", ReadFile("b"), "text");
  });
  registry.Add("links/AT_EMPTY_PATH", [](Report& r) {
    r.Call("make", MakeFile("a", "text"));
    Fd fd = Open("a", O_RDONLY);
    r.Call("linkat", linkat(fd.get(), "", AT_FDCWD, "b", AT_EMPTY_PATH));
    r.Equal("inode", Look("b").st_ino, Look("a").st_ino);
  });
  registry.Add("links/symlink itself, not what it names", [](Report& r) {
    r.Call("make", MakeFile("f", "text"));
    r.Call("symlink", symlink("f", "s"));
    r.Call("link", link("s", "t"));
    r.Equal("text", LinkText("t"), "f");
    r.Equal("links of the file", Look("f").st_nlink, 1);
  });
  registry.Add("links/what a symlink names, when asked to follow", [](Report& r) {
    r.Call("make", MakeFile("f", "text"));
    r.Call("symlink", symlink("f", "s"));
    r.Call("link", linkat(AT_FDCWD, "s", AT_FDCWD, "t", AT_SYMLINK_FOLLOW));
    r.Equal("inode", Look("t").st_ino, Look("f").st_ino);
  });
  registry.Add("links/inode survives removal and reuse of its first name", [](Report& r) {
    r.Call("make", MakeFile("a", "old"));
    r.Call("link", link("a", "b"));
    r.Call("unlink", unlink("a"));
    r.Call("make anew", MakeFile("a", "new"));
    r.Equal("old", ReadFile("b"), "old");
    r.Equal("new", ReadFile("a"), "new");
    r.True("two inodes", Look("a").st_ino != Look("b").st_ino);
  });
}

}  // namespace

void AddLinkChecks(Registry& registry) {
  for (const Kind& kind : kKinds) {
    registry.Add(std::string("links/shared/") + kind.name,
                 [&kind](Report& r) { CheckShared(r, kind); });
  }
  AddRefusals(registry);
  AddDirectoryCounts(registry);
  AddOthers(registry);
}

}  // namespace posix_check
