// Owners: whose a new file is, who may give it away, and what directories with setgid pass on.
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <string>

#include "tests/semantics/areas.h"
#include "tests/semantics/files.h"
#include "tests/semantics/process.h"

namespace posix_check {
namespace {

struct Maker {
  const char* name;
  int (*make)(const char* path, mode_t mode);
};

int MakeTemporary(const char* path, mode_t mode) {
  Fd fd = Open("d", O_TMPFILE | O_RDWR, mode);
  if (fd.get() < 0) return -1;
  return linkat(AT_FDCWD, ("/proc/self/fd/" + std::to_string(fd.get())).c_str(), AT_FDCWD, path,
                AT_SYMLINK_FOLLOW);
}

const Maker kMakers[] = {
    {"file", [](const char* path,
                mode_t mode) { return Open(path, O_CREAT | O_EXCL, mode).get() < 0 ? -1 : 0; }},
    {"directory", [](const char* path, mode_t mode) { return mkdir(path, mode); }},
    {"symlink", [](const char* path, mode_t) { return symlink("x", path); }},
    {"fifo", [](const char* path, mode_t mode) { return mknod(path, S_IFIFO | mode, 0); }},
    {"mknod", [](const char* path, mode_t mode) { return mknod(path, S_IFREG | mode, 0); }},
    {"temporary file", MakeTemporary},
};

// The directories' group, of which kGroupMember and kAlsoMember are.
constexpr gid_t kGroup = 20000;

bool IsMember(const User& user) {
  if (user.gid == kGroup) return true;
  for (const gid_t gid : user.groups) {
    if (gid == kGroup) return true;
  }
  return false;
}

void AddCreation(Registry& registry) {
  for (const Maker& maker : kMakers) {
    for (const User* user : {&kRoot, &kOwner, &kGroupMember, &kAlsoMember, &kOther}) {
      for (const bool setgid : {false, true}) {
        for (const mode_t mode : {0644, 02755, 02644, 02770}) {
          const std::string name = std::string("owners/new ") + maker.name + "/" + user->name +
                                   (setgid ? "/setgid directory/" : "/plain directory/");
          char text[8];
          snprintf(text, sizeof(text), "%04o", mode);
          registry.Add(name + text, [&maker, user, setgid, mode](Report& r) {
            r.Call("d", MakeDir("d"));
            r.Call("chown", chown("d", 0, kGroup));
            r.Call("chmod", chmod("d", setgid ? 02777 : 0777));
            umask(0);
            const int made = RunAs(*user, [&] { return ErrnoOf(maker.make("d/x", mode)); });
            if (made == EOPNOTSUPP) return r.Unsupported("no O_TMPFILE");
            r.Errno("make", made, 0);
            const struct stat status = Look("d/x");
            r.Equal("uid", status.st_uid, user->uid);
            r.Equal("gid", status.st_gid, setgid ? kGroup : user->gid);
            if (S_ISLNK(status.st_mode)) return;
            mode_t want = mode;
            if (S_ISDIR(status.st_mode)) {
              // mkdir takes no setgid bit from its argument.
              want = (mode & 0777) | (setgid ? S_ISGID : 0);
            } else if (setgid && (mode & 02010) == 02010 && !IsMember(*user) && user->uid != 0) {
              want &= ~S_ISGID;
            }
            r.Mode("mode", status.st_mode & 07777, want);
          });
        }
      }
    }
  }
}

struct Giving {
  const char* name;
  const User* user;
  uid_t uid;
  gid_t gid;
  int want;
};

constexpr uid_t kKeep = -1;
// An owner with a supplementary group, beside those of process.h.
const User kOwnerOfTwo = {"owner with a second group", kOwner.uid, kOwner.gid, {777}};

const Giving kGivings[] = {
    {"root gives a user", &kRoot, 5, kKeep, 0},
    {"root gives a group", &kRoot, kKeep, 5, 0},
    {"root gives both", &kRoot, 5, 6, 0},
    {"root gives the largest ids", &kRoot, 0xfffffffe, 0xfffffffe, 0},
    {"root gives ids over 16 bits", &kRoot, 70000, 80000, 0},
    {"root gives nothing", &kRoot, kKeep, kKeep, 0},
    {"owner gives to another", &kOwner, 5, kKeep, EPERM},
    {"owner gives to root", &kOwner, 0, kKeep, EPERM},
    {"owner gives to itself", &kOwner, 20000, kKeep, 0},
    {"owner gives its group", &kOwner, kKeep, 20000, 0},
    {"owner gives a foreign group", &kOwner, kKeep, 5, EPERM},
    {"owner gives root's group", &kOwner, kKeep, 0, EPERM},
    {"owner gives a second group of its", &kOwnerOfTwo, kKeep, 777, 0},
    {"owner gives a second group and itself", &kOwnerOfTwo, 20000, 777, 0},
    {"owner gives a second group and another", &kOwnerOfTwo, 5, 777, EPERM},
    {"group member gives its group", &kGroupMember, kKeep, 20000, EPERM},
    {"group member takes", &kGroupMember, 20001, kKeep, EPERM},
    {"other takes", &kOther, 20003, kKeep, EPERM},
    {"other takes the group", &kOther, kKeep, 20003, EPERM},
};

void AddGiving(Registry& registry) {
  for (const char* kind : {"file", "directory", "symlink", "descriptor"}) {
    for (const Giving& one : kGivings) {
      registry.Add(std::string("owners/chown ") + kind + "/" + one.name, [&one, kind](Report& r) {
        r.Call("chmod", chmod(".", 0777));
        const std::string_view what = kind;
        r.Call("make", what == "directory" ? MakeDir("x")
                       : what == "symlink" ? symlink("y", "x")
                                           : MakeFile("x"));
        r.Call("chown", lchown("x", kOwner.uid, kOwner.gid));
        Fd fd;
        if (what == "descriptor") fd = Open("x", O_RDONLY);
        const int got = RunAs(*one.user, [&] {
          return ErrnoOf(fd.get() >= 0 ? fchown(fd.get(), one.uid, one.gid)
                                       : lchown("x", one.uid, one.gid));
        });
        r.Errno("chown", got, one.want);
        const struct stat status = Look("x");
        const bool done = one.want == 0;
        r.Equal("uid", status.st_uid, done && one.uid != kKeep ? one.uid : kOwner.uid);
        r.Equal("gid", status.st_gid, done && one.gid != kKeep ? one.gid : kOwner.gid);
      });
    }
  }
}

void AddSetgidByChmod(Registry& registry) {
  // The bit is dropped without a word when the caller is not in the file's group.
  for (const User* user : {&kOwner, &kOwnerOfTwo}) {
    for (const gid_t gid : {kOwner.gid, gid_t{777}, gid_t{5}}) {
      for (const char* kind : {"file", "directory"}) {
        registry.Add(std::string("owners/chmod with setgid/") + kind + "/" + user->name +
                         ", group " + std::to_string(gid),
                     [user, gid, kind](Report& r) {
                       r.Call("make", kind[0] == 'f' ? MakeFile("x") : MakeDir("x"));
                       r.Call("chown", chown("x", user->uid, gid));
                       r.Errno("chmod", RunAs(*user, [] { return ErrnoOf(chmod("x", 06755)); }), 0);
                       const bool member =
                           gid == user->gid || (!user->groups.empty() && user->groups[0] == gid);
                       r.Mode("mode", ModeOf("x"), member ? 06755 : 04755);
                     });
      }
    }
  }
}

}  // namespace

void AddOwnerChecks(Registry& registry) {
  AddCreation(registry);
  AddGiving(registry);
  AddSetgidByChmod(registry);
}

}  // namespace posix_check
