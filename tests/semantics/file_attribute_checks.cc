// Inode flags and extended file attributes, as lsattr and xfs_io see them: the two ioctl families.
#include <fcntl.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <string>

#include "tests/semantics/areas.h"
#include "tests/semantics/files.h"
#include "tests/semantics/process.h"

namespace posix_check {
namespace {

struct Flag {
  const char* name;
  int flag;        // of FS_IOC_SETFLAGS
  unsigned xflag;  // of FS_IOC_FSSETXATTR
};

const Flag kFlags[] = {
    {"append", FS_APPEND_FL, FS_XFLAG_APPEND},
    {"immutable", FS_IMMUTABLE_FL, FS_XFLAG_IMMUTABLE},
    {"nodump", FS_NODUMP_FL, FS_XFLAG_NODUMP},
    {"noatime", FS_NOATIME_FL, FS_XFLAG_NOATIME},
};

// Sets it by one family or clears it; returns an errno.
int SetFlag(int fd, const Flag& flag, bool by_flags, bool on) {
  if (by_flags) {
    int flags = 0;
    if (ioctl(fd, FS_IOC_GETFLAGS, &flags) != 0) return errno;
    flags = on ? flags | flag.flag : flags & ~flag.flag;
    return ErrnoOf(ioctl(fd, FS_IOC_SETFLAGS, &flags));
  }
  fsxattr attributes = {};
  if (ioctl(fd, FS_IOC_FSGETXATTR, &attributes) != 0) return errno;
  attributes.fsx_xflags =
      on ? attributes.fsx_xflags | flag.xflag : attributes.fsx_xflags & ~flag.xflag;
  return ErrnoOf(ioctl(fd, FS_IOC_FSSETXATTR, &attributes));
}

bool Missing(int error) { return error == ENOTTY || error == EOPNOTSUPP || error == EINVAL; }

void AddRoundTrips(Registry& registry) {
  for (const Flag& flag : kFlags) {
    for (const char* kind : {"file", "directory"}) {
      for (const bool by_flags : {true, false}) {
        registry.Add(std::string("inodeflags/") + flag.name + "/" + kind +
                         (by_flags ? "/SETFLAGS" : "/FSSETXATTR"),
                     [&flag, kind, by_flags](Report& r) {
                       r.Call("make", kind[0] == 'f' ? MakeFile("x") : mkdir("x", 0755));
                       Fd fd = Open("x", O_RDONLY);
                       const int got = SetFlag(fd.get(), flag, by_flags, true);
                       if (Missing(got)) return r.Unsupported("no such inode flag");
                       r.Errno("set", got, 0);
                       int flags = 0;
                       r.Call("GETFLAGS", ioctl(fd.get(), FS_IOC_GETFLAGS, &flags));
                       fsxattr attributes = {};
                       r.Call("FSGETXATTR", ioctl(fd.get(), FS_IOC_FSGETXATTR, &attributes));
                       r.True("seen by GETFLAGS", (flags & flag.flag) != 0);
                       r.True("seen by FSGETXATTR", (attributes.fsx_xflags & flag.xflag) != 0);
                       r.Errno("clear", SetFlag(fd.get(), flag, by_flags, false), 0);
                       r.Call("GETFLAGS", ioctl(fd.get(), FS_IOC_GETFLAGS, &flags));
                       r.True("cleared", (flags & flag.flag) == 0);
                     });
      }
    }
  }
}

struct Attempt {
  const char* name;
  int (*run)();
  int on_append;     // with the flag append
  int on_immutable;  // with the flag immutable
};

int OpenOnce(int flags) { return Open("x", flags).get() < 0 ? -1 : 0; }

const Attempt kAttempts[] = {
    {"open to write", [] { return OpenOnce(O_WRONLY); }, EPERM, EPERM},
    {"open to append", [] { return OpenOnce(O_WRONLY | O_APPEND); }, 0, EPERM},
    {"open to truncate", [] { return OpenOnce(O_WRONLY | O_TRUNC); }, EPERM, EPERM},
    {"open to read", [] { return OpenOnce(O_RDONLY); }, 0, 0},
    {"truncate", [] { return truncate("x", 1); }, EPERM, EPERM},
    {"unlink", [] { return unlink("x"); }, EPERM, EPERM},
    {"rename", [] { return rename("x", "y"); }, EPERM, EPERM},
    {"link", [] { return link("x", "y"); }, EPERM, EPERM},
    {"chmod", [] { return chmod("x", 0600); }, EPERM, EPERM},
    {"chown", [] { return chown("x", 1, 1); }, EPERM, EPERM},
    {"utimens",
     [] {
       const timespec times[2] = {{.tv_sec = 1, .tv_nsec = 0}, {.tv_sec = 2, .tv_nsec = 0}};
       return utimensat(AT_FDCWD, "x", times, 0);
     },
     EPERM, EPERM},
    {"stat",
     [] {
       struct stat status;
       return stat("x", &status);
     },
     0, 0},
};

void AddEffects(Registry& registry) {
  for (const Attempt& attempt : kAttempts) {
    for (const bool append : {true, false}) {
      const Flag& flag = kFlags[append ? 0 : 1];
      registry.Add(std::string("inodeflags/") + flag.name + " file/" + attempt.name,
                   [&attempt, &flag, append](Report& r) {
                     r.Call("make", MakeFile("x", "text"));
                     Fd fd = Open("x", O_RDONLY);
                     const int set = SetFlag(fd.get(), flag, true, true);
                     if (Missing(set)) return r.Unsupported("no such inode flag");
                     r.Errno("set", set, 0);
                     r.Call(attempt.name, attempt.run(),
                            append ? attempt.on_append : attempt.on_immutable);
                     r.Errno("clear", SetFlag(fd.get(), flag, true, false), 0);
                   });
    }
  }
}

}  // namespace

void AddFileAttributeChecks(Registry& registry) {
  AddRoundTrips(registry);
  AddEffects(registry);
  registry.Add("inodeflags/unknown ioctl", [](Report& r) {
    r.Call("make", MakeFile("x"));
    Fd fd = Open("x", O_RDWR);
    int value = 0;
    r.Call("ioctl", ioctl(fd.get(), _IOWR('?', 77, int), &value), ENOTTY);
  });
  registry.Add("inodeflags/FIONREAD is of the file's end", [](Report& r) {
    r.Call("make", MakeFile("x", "0123456789"));
    Fd fd = Open("x", O_RDONLY);
    r.Equal("lseek", lseek(fd.get(), 4, SEEK_SET), 4);
    int left = 0;
    r.Call("ioctl", ioctl(fd.get(), FIONREAD, &left));
    r.Equal("bytes left", left, 6);
  });
  for (const Flag& flag : kFlags) {
    if (flag.flag != FS_APPEND_FL && flag.flag != FS_IMMUTABLE_FL) continue;
    registry.Add(std::string("inodeflags/only root sets ") + flag.name, [&flag](Report& r) {
      r.Call("make", MakeFile("x"));
      r.Call("chown", chown("x", kOwner.uid, kOwner.gid));
      const int got = RunAs(kOwner, [&flag] {
        Fd fd = Open("x", O_RDONLY);
        return SetFlag(fd.get(), flag, true, true);
      });
      if (Missing(got)) return r.Unsupported("no such inode flag");
      r.Errno("set", got, EPERM);
    });
  }
}

}  // namespace posix_check
