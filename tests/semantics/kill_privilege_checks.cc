// Setuid and setgid bits, and file capabilities, go away when others change a file.
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <cstdio>
#include <string>

#include "tests/semantics/areas.h"
#include "tests/semantics/files.h"
#include "tests/semantics/process.h"

namespace posix_check {
namespace {

// What an operation does to the bits: nothing; what a write does (root keeps them); or what a
// change of owner does, also to root.
enum class Effect { kNone, kWrite, kOwner };

struct Operation {
  const char* name;
  Effect effect;
  int (*run)();  // on the file `f` of four bytes
};

int OnOpen(int flags, int (*run)(int fd)) {
  Fd fd = Open("f", flags);
  return fd.get() < 0 ? -1 : run(fd.get());
}

const Operation kOperations[] = {
    {"write", Effect::kWrite,
     [] { return OnOpen(O_WRONLY, [](int fd) { return write(fd, "x", 1) == 1 ? 0 : -1; }); }},
    {"pwrite past the end", Effect::kWrite,
     [] { return OnOpen(O_WRONLY, [](int fd) { return pwrite(fd, "x", 1, 99) == 1 ? 0 : -1; }); }},
    {"append", Effect::kWrite,
     [] {
       return OnOpen(O_WRONLY | O_APPEND, [](int fd) { return write(fd, "x", 1) == 1 ? 0 : -1; });
     }},
    {"open with O_TRUNC", Effect::kWrite,
     [] { return OnOpen(O_WRONLY | O_TRUNC, [](int) { return 0; }); }},
    {"truncate to less", Effect::kWrite, [] { return truncate("f", 2); }},
    {"truncate to more", Effect::kWrite, [] { return truncate("f", 99); }},
    {"truncate to the same", Effect::kWrite, [] { return truncate("f", 4); }},
    {"ftruncate", Effect::kWrite,
     [] { return OnOpen(O_WRONLY, [](int fd) { return ftruncate(fd, 2); }); }},
    {"fallocate", Effect::kWrite,
     [] { return OnOpen(O_WRONLY, [](int fd) { return fallocate(fd, 0, 0, 8192); }); }},
    {"punch a hole", Effect::kWrite,
     [] {
       return OnOpen(O_WRONLY, [](int fd) {
         return fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, 4096);
       });
     }},
    {"copy_file_range", Effect::kWrite,
     [] {
       Fd from = Open("source", O_RDONLY);
       Fd to = Open("f", O_WRONLY);
       return copy_file_range(from.get(), nullptr, to.get(), nullptr, 4, 0) == 4 ? 0 : -1;
     }},
    {"open to write", Effect::kNone, [] { return OnOpen(O_WRONLY, [](int) { return 0; }); }},
    {"write nothing", Effect::kNone,
     [] { return OnOpen(O_WRONLY, [](int fd) { return static_cast<int>(write(fd, "", 0)); }); }},
    {"read", Effect::kNone,
     [] {
       return OnOpen(O_RDONLY, [](int fd) {
         ReadAt(fd, 4, 0);
         return 0;
       });
     }},
    {"fsync", Effect::kNone, [] { return OnOpen(O_RDONLY, [](int fd) { return fsync(fd); }); }},
    {"utimens", Effect::kNone, [] { return utimensat(AT_FDCWD, "f", nullptr, 0); }},
    {"rename", Effect::kNone, [] { return rename("f", "g") != 0 ? -1 : rename("g", "f"); }},
    {"chown to the same user", Effect::kOwner, [] { return chown("f", kOwner.uid, -1); }},
    {"chown to the same group", Effect::kOwner, [] { return chown("f", -1, kOwner.gid); }},
    {"chown to nobody", Effect::kOwner, [] { return chown("f", -1, -1); }},
};

constexpr mode_t kModes[] = {04777, 02777, 06777, 02767, 06767, 01777, 0777};

mode_t Expected(const Operation& operation, const User& user, mode_t mode) {
  if (operation.effect == Effect::kNone) return mode;
  if (operation.effect == Effect::kWrite && user.uid == 0) return mode;
  mode_t want = mode & ~S_ISUID;
  // Without the group's execute bit, setgid is dropped only for those outside the group.
  const bool member = user.uid == 0 || user.gid == kOwner.gid || !user.groups.empty();
  if ((mode & 02010) == 02010 || !member) want &= ~S_ISGID;
  return want;
}

void MakeScene(Report& r, mode_t mode) {
  r.Call("working directory", chmod(".", 0777));
  r.Call("source", MakeFile("source", "text", 0644));
  r.Call("f", MakeFile("f", "text"));
  r.Call("chown", chown("f", kOwner.uid, kOwner.gid));
  r.Call("chmod", chmod("f", mode));
  r.Mode("mode before", ModeOf("f"), mode);
}

void AddModeBits(Registry& registry) {
  for (const Operation& operation : kOperations) {
    for (const User* user : {&kRoot, &kOwner, &kAlsoMember, &kOther}) {
      if (operation.effect == Effect::kOwner && user != &kRoot && user != &kOwner) continue;
      for (const mode_t mode : kModes) {
        char text[8];
        snprintf(text, sizeof(text), "%04o", mode);
        registry.Add(std::string("killpriv/") + operation.name + "/" + user->name + "/" + text,
                     [&operation, user, mode](Report& r) {
                       MakeScene(r, mode);
                       const int got = RunAs(*user, [&] { return ErrnoOf(operation.run()); });
                       if (got == EOPNOTSUPP) return r.Unsupported("not on this file system");
                       r.Errno(operation.name, got, 0);
                       r.Mode("mode", ModeOf("f"), Expected(operation, *user, mode));
                     });
      }
    }
  }
  registry.Add("killpriv/directory/chown keeps its bits", [](Report& r) {
    r.Call("mkdir", MakeDir("d", 06755));
    r.Call("chown", chown("d", 5, 6));
    r.Mode("mode", ModeOf("d"), 06755);
  });
  registry.Add("killpriv/through a descriptor that root opened", [](Report& r) {
    MakeScene(r, 06777);
    Fd fd = Open("f", O_WRONLY);
    const int got = RunAs(kOther, [&] { return ErrnoOf(pwrite(fd.get(), "x", 1, 0)); });
    r.Errno("write", got, 0);
    r.Mode("mode", ModeOf("f"), 0777);
  });
  registry.Add("killpriv/a second write after the bits were set again", [](Report& r) {
    MakeScene(r, 06777);
    Fd fd = Open("f", O_WRONLY);
    for (int round = 0; round < 3; ++round) {
      r.Call("chmod", chmod("f", 06777));
      const int got = RunAs(kOther, [&] { return ErrnoOf(pwrite(fd.get(), "x", 1, 0)); });
      r.Errno("write", got, 0);
      r.Mode("mode", ModeOf("f"), 0777);
    }
  });
}

// A version 2 capability record with CAP_NET_RAW permitted and effective.
constexpr char kCapability[20] = {1, 0, 0, 2, 0, 0x20, 0, 0};

void AddCapabilities(Registry& registry) {
  for (const Operation& operation : kOperations) {
    for (const User* user : {&kRoot, &kOther}) {
      if (operation.effect == Effect::kOwner && user != &kRoot) continue;
      registry.Add(std::string("killpriv/capability/") + operation.name + "/" + user->name,
                   [&operation, user](Report& r) {
                     MakeScene(r, 0777);
                     const int set =
                         setxattr("f", "security.capability", kCapability, sizeof(kCapability), 0);
                     if (set != 0 && errno == EOPNOTSUPP) {
                       return r.Unsupported("no security attributes");
                     }
                     r.Call("setxattr", set);
                     const int got = RunAs(*user, [&] { return ErrnoOf(operation.run()); });
                     if (got == EOPNOTSUPP) return r.Unsupported("not on this file system");
                     r.Errno(operation.name, got, 0);
                     // Capabilities go whoever writes, root too.
                     const bool left = operation.effect == Effect::kNone;
                     const ssize_t size = getxattr("f", "security.capability", nullptr, 0);
                     r.Equal("bytes of capability left", size, left ? ssize_t{20} : ssize_t{-1});
                   });
    }
  }
}

}  // namespace

void AddKillPrivilegeChecks(Registry& registry) {
  AddModeBits(registry);
  AddCapabilities(registry);
}

}  // namespace posix_check
