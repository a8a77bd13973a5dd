// Renames: every kind of object over every other, the flags of renameat2, and what stays open.
#include <fcntl.h>
#include <linux/fs.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <string>

#include "tests/semantics/areas.h"
#include "tests/semantics/files.h"

namespace posix_check {
namespace {

enum Kind { kNothing, kFile, kEmptyDirectory, kFullDirectory, kSymlink, kFifo };

struct NamedKind {
  const char* name;
  Kind kind;
};

constexpr NamedKind kKinds[] = {
    {"file", kFile},
    {"empty directory", kEmptyDirectory},
    {"full directory", kFullDirectory},
    {"symlink", kSymlink},
    {"fifo", kFifo},
};

bool IsDirectory(Kind kind) { return kind == kEmptyDirectory || kind == kFullDirectory; }

int Make(Kind kind, const std::string& path) {
  switch (kind) {
    case kNothing:
      return 0;
    case kFile:
      return MakeFile(path, "content of " + path);
    case kEmptyDirectory:
      return mkdir(path.c_str(), 0755);
    case kFullDirectory:
      return mkdir(path.c_str(), 0755) != 0 ? -1 : MakeFile(path + "/inside", "inside");
    case kSymlink:
      return symlink("anywhere", path.c_str());
    case kFifo:
      return mknod(path.c_str(), S_IFIFO | 0644, 0);
  }
  return -1;
}

int PlainRename(Kind from, Kind to) {
  if (to == kNothing) return 0;
  if (IsDirectory(from) && !IsDirectory(to)) return ENOTDIR;
  if (!IsDirectory(from) && IsDirectory(to)) return EISDIR;
  return to == kFullDirectory ? ENOTEMPTY : 0;
}

void CheckMoved(Report& r, const std::string& to, const struct stat& before, Kind kind) {
  const struct stat after = Look(to);
  r.Equal("inode", after.st_ino, before.st_ino);
  r.Mode("type and mode", after.st_mode, before.st_mode);
  if (kind == kFullDirectory) r.True("what is inside", Exists(to + "/inside"));
}

// In one directory and from one to another.
void AddPlain(Registry& registry) {
  static constexpr NamedKind kNone = {"nothing", kNothing};
  static const struct {
    const char* name;
    const char* to;
  } kPlaces[] = {{"same directory", "to"}, {"other directory", "d/to"}};
  for (const auto& place : kPlaces) {
    for (const NamedKind& from : kKinds) {
      auto add = [&](const NamedKind& to, unsigned flags, const char* family) {
        const int want = flags == RENAME_NOREPLACE && to.kind != kNothing  ? EEXIST
                         : flags == RENAME_EXCHANGE && to.kind == kNothing ? ENOENT
                         : flags == RENAME_EXCHANGE                        ? 0
                                                    : PlainRename(from.kind, to.kind);
        registry.Add(
            std::string("rename/") + family + "/" + place.name + "/" + from.name + " onto " +
                to.name,
            [from, to, flags, want, place](Report& r) {
              r.Call("d", mkdir("d", 0755));
              r.Call("from", Make(from.kind, "from"));
              r.Call("to", Make(to.kind, place.to));
              const struct stat source = Look("from");
              const struct stat target = Look(place.to);
              if (!r.Call("rename", renameat2(AT_FDCWD, "from", AT_FDCWD, place.to, flags), want)) {
                return;
              }
              if (want != 0) {
                CheckMoved(r, "from", source, from.kind);
                if (to.kind != kNothing) CheckMoved(r, place.to, target, to.kind);
              } else {
                CheckMoved(r, place.to, source, from.kind);
                if (flags == RENAME_EXCHANGE) {
                  CheckMoved(r, "from", target, to.kind);
                } else {
                  r.True("the old name is gone", !Exists("from"));
                }
              }
            });
      };
      add(kNone, 0, "plain");
      add(kNone, RENAME_NOREPLACE, "noreplace");
      add(kNone, RENAME_EXCHANGE, "exchange");
      for (const NamedKind& to : kKinds) {
        add(to, 0, "plain");
        add(to, RENAME_NOREPLACE, "noreplace");
        add(to, RENAME_EXCHANGE, "exchange");
      }
    }
  }
}

struct Situation {
  const char* name;
  const char* from;
  const char* to;
  unsigned flags;
  int want;
};

// The directories `a/b/c`, the file `f`, the hard link `g` of it.
const Situation kSituations[] = {
    {"into its child", "a", "a/x", 0, EINVAL},
    {"into its grandchild", "a", "a/b/x", 0, EINVAL},
    {"onto its child", "a", "a/b", 0, EINVAL},
    {"onto its parent", "a/b", "a", 0, ENOTEMPTY},
    {"onto its grandparent", "a/b/c", "a", 0, ENOTEMPTY},
    {"exchange with its child", "a", "a/b", RENAME_EXCHANGE, EINVAL},
    {"exchange with its parent", "a/b", "a", RENAME_EXCHANGE, EINVAL},
    {"noreplace into its child", "a", "a/b/x", RENAME_NOREPLACE, EINVAL},
    {"onto itself", "f", "f", 0, 0},
    {"a directory onto itself", "a", "a", 0, 0},
    {"onto itself by another path", "f", "a/../f", 0, 0},
    {"noreplace onto itself", "f", "f", RENAME_NOREPLACE, EEXIST},
    {"onto a link of the same file", "f", "g", 0, 0},
    {"exchange with a link of the same file", "f", "g", RENAME_EXCHANGE, 0},
    {"from what is absent", "absent", "f", 0, ENOENT},
    {"from what is absent to what is absent", "absent", "other", 0, ENOENT},
    {"into what is absent", "f", "absent/x", 0, ENOENT},
    {"below a file", "a", "f/x", 0, ENOTDIR},
    {"both noreplace and exchange", "f", "x", RENAME_NOREPLACE | RENAME_EXCHANGE, EINVAL},
    {"both whiteout and exchange", "f", "g", RENAME_WHITEOUT | RENAME_EXCHANGE, EINVAL},
    {"unknown flag", "f", "x", 1u << 10, EINVAL},
};

void AddSituations(Registry& registry) {
  for (const Situation& one : kSituations) {
    registry.Add(std::string("rename/situation/") + one.name, [&one](Report& r) {
      r.Call("a", mkdir("a", 0755));
      r.Call("a/b", mkdir("a/b", 0755));
      r.Call("a/b/c", mkdir("a/b/c", 0755));
      r.Call("f", MakeFile("f", "text"));
      r.Call("g", link("f", "g"));
      r.Call(one.name, renameat2(AT_FDCWD, one.from, AT_FDCWD, one.to, one.flags), one.want);
      r.True("the tree is whole", Exists("a/b/c"));
      r.Equal("one link", ReadFile("f"), "text");
      r.Equal("other link", ReadFile("g"), "text");
    });
  }
}

void AddOpenFiles(Registry& registry) {
  registry.Add("rename/open/the replaced file can still be read and written", [](Report& r) {
    r.Call("old", MakeFile("old", "old content"));
    r.Call("new", MakeFile("new", "new content"));
    Fd fd = Open("old", O_RDWR);
    r.Call("rename", rename("new", "old"));
    r.Equal("through the descriptor", ReadAt(fd.get(), 100, 0), "old content");
    r.Equal("write", pwrite(fd.get(), "OLD", 3, 0), 3);
    r.Equal("through the descriptor", ReadAt(fd.get(), 100, 0), "OLD content");
    r.Equal("through the name", ReadFile("old"), "new content");
    r.Equal("links of the replaced", Look(fd.get()).st_nlink, 0);
  });
  registry.Add("rename/open/the moved file goes on under its new name", [](Report& r) {
    r.Call("mkdir", mkdir("d", 0755));
    Fd fd = Open("a", O_RDWR | O_CREAT);
    r.Equal("write", write(fd.get(), "one ", 4), 4);
    r.Call("rename", rename("a", "d/b"));
    r.Equal("write", write(fd.get(), "two", 3), 3);
    r.Equal("content", ReadFile("d/b"), "one two");
    r.Equal("links", Look(fd.get()).st_nlink, 1);
  });
  registry.Add("rename/open/a directory that is listed goes on under its new name", [](Report& r) {
    r.Call("mkdir", mkdir("d", 0755));
    Fd fd = Open("d", O_RDONLY | O_DIRECTORY);
    r.Call("rename", rename("d", "e"));
    Fd inside = Fd(openat(fd.get(), "file", O_WRONLY | O_CREAT, 0644));
    r.Call("create in it", inside.get() < 0 ? -1 : 0);
    r.True("it is there", Exists("e/file"));
    r.True("dot-dot is the same", Look("e/..").st_ino == Look(".").st_ino);
  });
  registry.Add("rename/open/dot-dot follows a moved directory", [](Report& r) {
    r.Call("a", mkdir("a", 0755));
    r.Call("b", mkdir("b", 0755));
    r.Call("a/d", mkdir("a/d", 0755));
    r.Equal("before", Look("a/d/..").st_ino, Look("a").st_ino);
    r.Call("rename", rename("a/d", "b/d"));
    r.Equal("after", Look("b/d/..").st_ino, Look("b").st_ino);
  });
  registry.Add("rename/open/an empty directory that is replaced", [](Report& r) {
    r.Call("a", mkdir("a", 0755));
    r.Call("b", mkdir("b", 0755));
    r.Call("file", MakeFile("a/file"));
    Fd fd = Open("b", O_RDONLY | O_DIRECTORY);
    r.Call("rename", rename("a", "b"));
    const Fd inside = Fd(openat(fd.get(), "new", O_WRONLY | O_CREAT, 0644));
    r.Call("create in the removed one", inside.get() < 0 ? -1 : 0, ENOENT);
    r.True("what is there", Names("b") == std::set<std::string>{"file"});
  });
}

void AddWhiteouts(Registry& registry) {
  static constexpr NamedKind kNone = {"nothing", kNothing};
  for (const NamedKind& to : {kNone, kKinds[0]}) {
    for (const NamedKind& from : {kKinds[0], kKinds[3]}) {
      registry.Add(std::string("rename/whiteout/") + from.name + " onto " + to.name,
                   [from, to](Report& r) {
                     r.Call("from", Make(from.kind, "from"));
                     r.Call("to", Make(to.kind, "to"));
                     const struct stat source = Look("from");
                     const int done = renameat2(AT_FDCWD, "from", AT_FDCWD, "to", RENAME_WHITEOUT);
                     if (done != 0 && errno == EINVAL) return r.Unsupported("no whiteouts");
                     if (!r.Call("rename", done)) return;
                     CheckMoved(r, "to", source, from.kind);
                     const struct stat left = Look("from");
                     r.True("a character device is left", S_ISCHR(left.st_mode));
                     r.Equal("its number", left.st_rdev, makedev(0, 0));
                   });
    }
  }
}

}  // namespace

void AddRenameChecks(Registry& registry) {
  AddPlain(registry);
  AddSituations(registry);
  AddOpenFiles(registry);
  AddWhiteouts(registry);
}

}  // namespace posix_check
