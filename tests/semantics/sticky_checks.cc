// Sticky directories: only root and the owners of the file or the directory remove and rename
// there.
#include <fcntl.h>
#include <linux/fs.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include <string>

#include "tests/semantics/areas.h"
#include "tests/semantics/files.h"
#include "tests/semantics/process.h"

namespace posix_check {
namespace {

// On `s/object`, in the sticky directory; `open` is a directory open to all and `open/mine` belongs
// to the caller.
struct Operation {
  const char* name;
  bool directory;
  int (*run)();
};

const Operation kOperations[] = {
    {"unlink", false, [] { return unlink("s/object"); }},
    {"rmdir", true, [] { return rmdir("s/object"); }},
    {"rename in place", false, [] { return rename("s/object", "s/other"); }},
    {"rename out", false, [] { return rename("s/object", "open/other"); }},
    {"rename a directory in place", true, [] { return rename("s/object", "s/other"); }},
    {"rename over it", false, [] { return rename("open/mine", "s/object"); }},
    {"exchange with it", false,
     [] { return renameat2(AT_FDCWD, "open/mine", AT_FDCWD, "s/object", RENAME_EXCHANGE); }},
};

}  // namespace

void AddStickyChecks(Registry& registry) {
  static const User* const kDirectoryOwners[] = {&kRoot, &kOwner, &kOther};
  static const User* const kObjectOwners[] = {&kRoot, &kOwner, &kOther};
  static const User* const kCallers[] = {&kRoot, &kOwner, &kOther};
  for (const Operation& operation : kOperations) {
    for (const bool sticky : {true, false}) {
      for (const User* directory : kDirectoryOwners) {
        for (const User* object : kObjectOwners) {
          for (const User* caller : kCallers) {
            if (!sticky && directory != &kRoot) continue;
            registry.Add(std::string("sticky/") + operation.name + "/" +
                             (sticky ? "sticky" : "plain") + " directory of " + directory->name +
                             "/object of " + object->name + "/" + caller->name,
                         [&operation, sticky, directory, object, caller](Report& r) {
                           r.Call("s", MakeDir("s"));
                           r.Call("object", operation.directory ? MakeDir("s/object", 0777)
                                                                : MakeFile("s/object", "", 0666));
                           r.Call("chown", chown("s/object", object->uid, object->gid));
                           r.Call("chown", chown("s", directory->uid, directory->gid));
                           r.Call("chmod", chmod("s", sticky ? 01777 : 0777));
                           r.Call("open", MakeDir("open", 0777));
                           r.Call("mine", MakeFile("open/mine", "mine"));
                           r.Call("chown", chown("open/mine", caller->uid, caller->gid));
                           const bool allowed = !sticky || caller == &kRoot ||
                                                caller == directory || caller == object;
                           const int got = RunAs(*caller, [&] { return ErrnoOf(operation.run()); });
                           r.Errno(operation.name, got, allowed ? 0 : EPERM);
                         });
          }
        }
      }
    }
  }
  for (const User* caller : kCallers) {
    registry.Add(std::string("sticky/anybody creates in it/") + caller->name, [caller](Report& r) {
      r.Call("s", MakeDir("s", 01777));
      const int got = RunAs(*caller, [] {
        if (MakeFile("s/a") != 0 || mkdir("s/d", 0755) != 0 || symlink("x", "s/l") != 0) {
          return errno;
        }
        return ErrnoOf(link("s/a", "s/b"));
      });
      r.Errno("create", got, 0);
    });
  }
}

}  // namespace posix_check
