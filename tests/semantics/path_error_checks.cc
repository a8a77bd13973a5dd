// What the walk along a path can fail with, for each operation.
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <string>

#include "tests/semantics/areas.h"
#include "tests/semantics/files.h"
#include "tests/semantics/path_operations.h"
#include "tests/semantics/process.h"

namespace posix_check {
namespace {

struct Walk {
  const char* name;
  std::string path;
  int want;
};

// "dir/", as many slashes as it takes, and `last`.
std::string Padded(size_t size, const std::string& last) {
  return "dir" + std::string(size - 3 - last.size(), '/') + last;
}

std::string Last(Target target) {
  switch (target) {
    case Target::kFile:
      return "file";
    case Target::kDirectory:
      return "sub";
    case Target::kSymlink:
      return "symlink";
    case Target::kNothing:
      break;
  }
  return "fresh";
}

// The operation's object in `dir`, and whatever else the path goes through.
void MakeScene(Report& r, const PathOperation& operation, const std::string& path) {
  r.Call("mkdir", mkdir("dir", 0755));
  r.Call("subdirectory", mkdir("dir/sub", 0755));
  if (operation.target == Target::kFile) r.Call("file", MakeFile("dir/file", "text"));
  if (operation.target == Target::kSymlink) r.Call("symlink", symlink("sub", "dir/symlink"));
  const std::string name = operation.name;
  if (name == "link-to" || name == "rename-to") r.Call("source", MakeFile("source", "text"));
  const std::string first = path.substr(0, path.find('/'));
  if (first == "file") r.Call("file", MakeFile("file", "text"));
  if (first == "link") r.Call("link", symlink("dir", "link"));
  if (first == "loop") r.Call("loop", symlink("loop", "loop"));
  if (first == "dangling") r.Call("dangling", symlink("absent", "dangling"));
  if (first == "one") {
    r.Call("one", symlink("two", "one"));
    r.Call("two", symlink("one", "two"));
  }
}

}  // namespace

void AddPathErrorChecks(Registry& registry) {
  const std::string long_name(256, 'n');
  for (const PathOperation& operation : kPathOperations) {
    const std::string last = Last(operation.target);
    const std::vector<Walk> walks = {
        {"through a directory", "dir/" + last, 0},
        {"through a symlink", "link/" + last, 0},
        {"through dots and slashes", ".//dir/./sub/..//" + last, 0},
        {"a path of 4095 bytes", Padded(4095, last), 0},
        {"absent directory", "absent/" + last, ENOENT},
        {"a file as directory", "file/" + last, ENOTDIR},
        {"a file's dot-dot", "file/../dir/" + last, ENOTDIR},
        {"dangling symlink as directory", "dangling/" + last, ENOENT},
        {"symlink to itself as directory", "loop/" + last, ELOOP},
        {"two symlinks in a circle", "one/" + last, ELOOP},
        {"last name of 256 bytes", "dir/" + long_name, ENAMETOOLONG},
        {"directory name of 256 bytes", long_name + "/" + last, ENAMETOOLONG},
        {"a path of 4096 bytes", Padded(4096, last), ENAMETOOLONG},
        {"empty path", "", ENOENT},
    };
    for (const Walk& walk : walks) {
      registry.Add(std::string("path/") + operation.name + "/" + walk.name,
                   [&operation, walk](Report& r) {
                     MakeScene(r, operation, walk.path);
                     r.Call(walk.name, operation.run(walk.path.c_str()), walk.want);
                   });
    }
    if (operation.target != Target::kNothing) {
      registry.Add(std::string("path/") + operation.name + "/absent", [&operation](Report& r) {
        MakeScene(r, operation, "dir/absent");
        r.Call("the operation", operation.run("dir/absent"), ENOENT);
      });
    }
    // Search permission on the way is asked of every operation.
    registry.Add(std::string("path/") + operation.name + "/unsearchable directory",
                 [&operation, last](Report& r) {
                   MakeScene(r, operation, "dir");
                   r.Call("cwd", chmod(".", 0777));
                   r.Call("chmod", chmod("dir", 0766));
                   const std::string path = "dir/" + last;
                   const int got =
                       RunAs(kOther, [&] { return ErrnoOf(operation.run(path.c_str())); });
                   r.Errno("the operation", got, EACCES);
                 });
    if (operation.target == Target::kFile) {
      registry.Add(std::string("path/") + operation.name + "/a file with a trailing slash",
                   [&operation](Report& r) {
                     MakeScene(r, operation, "file/");
                     r.Call("the operation", operation.run("file/"), ENOTDIR);
                   });
      registry.Add(std::string("path/") + operation.name + "/a dangling symlink at the end",
                   [&operation](Report& r) {
                     MakeScene(r, operation, "dangling");
                     // Extended attributes of a symlink and links of it are areas of their own.
                     r.Call("the operation", operation.run("dangling"),
                            operation.follows ? ENOENT : 0);
                   });
      registry.Add(std::string("path/") + operation.name + "/a loop at the end",
                   [&operation](Report& r) {
                     MakeScene(r, operation, "loop");
                     r.Call("the operation", operation.run("loop"), operation.follows ? ELOOP : 0);
                   });
    }
    if (operation.target == Target::kDirectory) {
      registry.Add(std::string("path/") + operation.name + "/a file in its stead",
                   [&operation](Report& r) {
                     MakeScene(r, operation, "file");
                     r.Call("the operation", operation.run("file"), ENOTDIR);
                   });
    }
  }
}

}  // namespace posix_check
