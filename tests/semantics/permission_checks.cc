// Who may do what: each operation against each class of user and each set of permission bits.
#include <dirent.h>
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

constexpr unsigned kRead = 4;
constexpr unsigned kWrite = 2;
constexpr unsigned kSearch = 1;

// An operation on `d/f` or in `d`, and the bits it needs there.
struct Operation {
  const char* name;
  unsigned needs;
  int (*run)();
};

int OpenOnce(const char* path, int flags) { return Open(path, flags).get() < 0 ? -1 : 0; }

// A file without a program in it: what may be executed is ENOEXEC.
int Execute(const char* path) {
  char* const arguments[] = {const_cast<char*>(path), nullptr};
  char* const environment[] = {nullptr};
  execve(path, arguments, environment);
  return errno == ENOEXEC ? 0 : -1;
}

const Operation kOnFile[] = {
    {"open to read", kRead, [] { return OpenOnce("d/f", O_RDONLY); }},
    {"open to write", kWrite, [] { return OpenOnce("d/f", O_WRONLY); }},
    {"open for both", kRead | kWrite, [] { return OpenOnce("d/f", O_RDWR); }},
    {"open to truncate", kWrite, [] { return OpenOnce("d/f", O_WRONLY | O_TRUNC); }},
    {"open to append", kWrite, [] { return OpenOnce("d/f", O_WRONLY | O_APPEND); }},
    {"open to create", kWrite, [] { return OpenOnce("d/f", O_WRONLY | O_CREAT); }},
    {"open as a path", 0, [] { return OpenOnce("d/f", O_PATH); }},
    {"truncate", kWrite, [] { return truncate("d/f", 2); }},
    {"access to read", kRead, [] { return access("d/f", R_OK); }},
    {"access to write", kWrite, [] { return access("d/f", W_OK); }},
    {"access to execute", kSearch, [] { return access("d/f", X_OK); }},
    {"access for all", 7, [] { return access("d/f", R_OK | W_OK | X_OK); }},
    {"execute", kSearch, [] { return Execute("d/f"); }},
    {"read an attribute", kRead,
     [] { return getxattr("d/f", "user.x", nullptr, 0) < 0 && errno != ENODATA ? -1 : 0; }},
    {"set an attribute", kWrite, [] { return setxattr("d/f", "user.x", "1", 1, 0); }},
    {"stat", 0,
     [] {
       struct stat status;
       return stat("d/f", &status);
     }},
};

const Operation kOnDirectory[] = {
    {"stat in it", kSearch,
     [] {
       struct stat status;
       return stat("d/f", &status);
     }},
    {"open in it", kSearch, [] { return OpenOnce("d/f", O_RDWR); }},
    {"look for what is absent in it", kSearch,
     [] {
       struct stat status;
       return stat("d/absent", &status) == 0 || errno != ENOENT ? -1 : 0;
     }},
    {"truncate in it", kSearch, [] { return truncate("d/f", 2); }},
    {"enter", kSearch, [] { return chdir("d"); }},
    {"list", kRead, [] { return OpenOnce("d", O_RDONLY | O_DIRECTORY); }},
    {"access to write", kWrite, [] { return access("d", W_OK); }},
    {"create", kWrite | kSearch, [] { return OpenOnce("d/n", O_WRONLY | O_CREAT); }},
    {"mkdir", kWrite | kSearch, [] { return mkdir("d/n", 0755); }},
    {"symlink", kWrite | kSearch, [] { return symlink("x", "d/n"); }},
    {"mkfifo", kWrite | kSearch, [] { return mknod("d/n", S_IFIFO | 0644, 0); }},
    {"link", kWrite | kSearch, [] { return link("d/f", "d/n"); }},
    {"unlink", kWrite | kSearch, [] { return unlink("d/f"); }},
    {"rmdir", kWrite | kSearch, [] { return rmdir("d/sub"); }},
    {"rename in it", kWrite | kSearch, [] { return rename("d/f", "d/n"); }},
    {"rename out of it", kWrite | kSearch, [] { return rename("d/f", "n"); }},
    {"rename into it", kWrite | kSearch, [] { return rename("outside", "d/n"); }},
};

struct Class {
  const User* user;
  int shift;  // of its bits in a mode
};

const Class kClasses[] = {{&kOwner, 6}, {&kGroupMember, 3}, {&kAlsoMember, 3}, {&kOther, 0}};

// The class has exactly `bits`, the other classes exactly what it lacks.
mode_t ModeFor(const Class& who, unsigned bits) {
  mode_t mode = (7 - bits) * 0111;
  mode &= ~(7 << who.shift);
  return mode | bits << who.shift;
}

void MakeScene(Report& r, bool with_all = true) {
  r.Call("working directory", chmod(".", 0777));
  umask(0);
  r.Call("d", mkdir("d", 0777));
  r.Call("f", mknod("d/f", S_IFREG | 0666, 0));
  r.Call("chown", chown("d", kOwner.uid, kOwner.gid));
  r.Call("chown", chown("d/f", kOwner.uid, kOwner.gid));
  if (with_all) {
    r.Call("sub", mkdir("d/sub", 0777));
    r.Call("outside", mknod("outside", S_IFREG | 0666, 0));
  }
}

void AddMatrix(Registry& registry, const char* family, const char* object,
               const Operation& operation) {
  auto check = [&](const User& user, mode_t mode, int want, const std::string& situation) {
    registry.Add(std::string("permissions/") + family + "/" + operation.name + "/" + user.name +
                     "/" + situation,
                 [&operation, &user, mode, want, object](Report& r) {
                   MakeScene(r, object == std::string_view("d"));
                   r.Call("chmod", chmod(object, mode));
                   const int got = RunAs(user, [&] { return ErrnoOf(operation.run()); });
                   if (got == EOPNOTSUPP) return r.Unsupported("no user attributes");
                   r.Errno("the operation", got, want);
                 });
  };
  for (const Class& who : kClasses) {
    for (unsigned bits = 0; bits < 8; ++bits) {
      const bool allowed = (operation.needs & ~bits) == 0;
      check(*who.user, ModeFor(who, bits), allowed ? 0 : EACCES, std::to_string(bits));
    }
  }
  // Root needs nothing but, for what it executes, somebody who may.
  const bool executes = object == std::string("d/f") && (operation.needs & kSearch) != 0;
  check(kRoot, 0, executes ? EACCES : 0, "000");
  if (executes) check(kRoot, 0001, 0, "001");
}

struct OwnersOnly {
  const char* name;
  int (*run)();
};

const OwnersOnly kOwnersOnly[] = {
    {"chmod", [] { return chmod("d/f", 0600); }},
    {"chmod of a directory", [] { return chmod("d", 0700); }},
    {"fchmod", [] { return fchmod(Open("d/f", O_RDONLY).get(), 0600); }},
    {"utimens to given times",
     [] {
       const timespec times[2] = {{.tv_sec = 1, .tv_nsec = 0}, {.tv_sec = 2, .tv_nsec = 0}};
       return utimensat(AT_FDCWD, "d/f", times, 0);
     }},
    {"utimens to now and omit",
     [] {
       const timespec times[2] = {{.tv_sec = 0, .tv_nsec = UTIME_NOW},
                                  {.tv_sec = 0, .tv_nsec = UTIME_OMIT}};
       return utimensat(AT_FDCWD, "d/f", times, 0);
     }},
    {"O_NOATIME", [] { return OpenOnce("d/f", O_RDONLY | O_NOATIME); }},
    {"chown to itself", [] { return chown("d/f", kOwner.uid, -1); }},
};

void AddOwnersOnly(Registry& registry) {
  for (const OwnersOnly& one : kOwnersOnly) {
    for (const User* user : {&kRoot, &kOwner, &kGroupMember, &kAlsoMember, &kOther}) {
      registry.Add(std::string("permissions/owner only/") + one.name + "/" + user->name,
                   [&one, user](Report& r) {
                     MakeScene(r);
                     const int want = user == &kRoot || user == &kOwner ? 0 : EPERM;
                     r.Errno("the operation", RunAs(*user, [&] { return ErrnoOf(one.run()); }),
                             want);
                   });
    }
  }
  // The present time may be set by who may write.
  for (const Class& who : kClasses) {
    for (const unsigned bits : {0u, kRead, kWrite}) {
      registry.Add(
          std::string("permissions/utimens to now/") + who.user->name + "/" + std::to_string(bits),
          [&who, bits](Report& r) {
            MakeScene(r);
            r.Call("chmod", chmod("d/f", ModeFor(who, bits)));
            const int got =
                RunAs(*who.user, [] { return ErrnoOf(utimensat(AT_FDCWD, "d/f", nullptr, 0)); });
            r.Errno("utimensat", got, who.user == &kOwner || bits == kWrite ? 0 : EACCES);
          });
    }
  }
}

}  // namespace

void AddPermissionChecks(Registry& registry) {
  for (const Operation& operation : kOnFile) AddMatrix(registry, "file", "d/f", operation);
  for (const Operation& operation : kOnDirectory) AddMatrix(registry, "directory", "d", operation);
  AddOwnersOnly(registry);
  registry.Add("permissions/open file keeps its rights after chmod", [](Report& r) {
    MakeScene(r);
    Fd fd = Open("d/f", O_RDWR);
    r.Call("chmod", chmod("d/f", 0));
    const int got = RunAs(kOther, [&] {
      if (ErrnoOf(pwrite(fd.get(), "x", 1, 0)) != 0) return errno;
      return ReadAt(fd.get(), 1, 0) == "x" ? 0 : EIO;
    });
    r.Errno("write and read through an inherited descriptor", got, 0);
  });
  registry.Add("permissions/rights taken away are gone at once", [](Report& r) {
    MakeScene(r);
    auto try_open = [] { return RunAs(kOther, [] { return ErrnoOf(OpenOnce("d/f", O_RDONLY)); }); };
    r.Errno("before", try_open(), 0);
    r.Call("chmod", chmod("d/f", 0660));
    r.Errno("after chmod of the file", try_open(), EACCES);
    r.Call("chmod", chmod("d/f", 0666));
    r.Errno("given back", try_open(), 0);
    r.Call("chmod", chmod("d", 0770));
    r.Errno("after chmod of the directory", try_open(), EACCES);
  });
}

}  // namespace posix_check
