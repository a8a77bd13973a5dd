// POSIX access control lists that new files inherit, that are refused, and that go away; and who
// may set one.
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <cstring>
#include <set>
#include <string>
#include <string_view>

#include "tests/semantics/acl.h"
#include "tests/semantics/areas.h"
#include "tests/semantics/files.h"
#include "tests/semantics/process.h"

namespace posix_check {
namespace {

constexpr char kTypical[] = "u::rw-,u:other:r--,g::r--,m::rw-,o::---";
constexpr char kWide[] = "u::rwx,u:other:rwx,g::rwx,m::rwx,o::rwx";

struct Inherited {
  const char* name;
  const char* list;  // the directory's default
  unsigned mode;     // asked for
  const char* kept;
  unsigned mode_kept;
};

const Inherited kInherited[] = {
    {"all", kWide, 0777, kWide, 0777},
    {"a usual file mode", kWide, 0666, "u::rw-,u:other:rwx,g::rwx,m::rw-,o::rw-", 0666},
    {"the group's bits limit the mask", kWide, 0640, "u::rw-,u:other:rwx,g::rwx,m::r--,o::---",
     0640},
    {"no bits", kWide, 0000, "u::---,u:other:rwx,g::rwx,m::---,o::---", 0000},
    {"the default limits the mode", "u::r-x,u:other:rwx,g::r-x,m::r--,o::--x", 0777,
     "u::r-x,u:other:rwx,g::r-x,m::r--,o::--x", 0541},
    {"both limit", "u::r-x,u:other:rwx,g::---,m::r-x,o::--x", 0666,
     "u::r--,u:other:rwx,g::---,m::r--,o::---", 0440},
    {"a named group", "u::rwx,g::r-x,g:other:rwx,m::rwx,o::---", 0750,
     "u::rwx,g::r-x,g:other:rwx,m::r-x,o::---", 0750},
    {"a mask and nobody named", "u::rwx,g::rwx,m::r-x,o::r-x", 0770, "u::rwx,g::rwx,m::r-x,o::---",
     0750},
    // What is left says no more than a mode, and only the directory's default remains a list.
    {"minimal", "u::rwx,g::r-x,o::---", 0666, kNoAcl, 0640},
    {"minimal and wide", "u::rwx,g::rwx,o::rwx", 0664, kNoAcl, 0664},
};

struct Maker {
  const char* name;
  int (*make)(const char* path, mode_t mode);
};

const Maker kMakers[] = {
    {"open",
     [](const char* path, mode_t mode) { return ErrnoOf(Open(path, O_CREAT, mode).get()); }},
    {"mknod",
     [](const char* path, mode_t mode) { return ErrnoOf(mknod(path, S_IFREG | mode, 0)); }},
    {"mkfifo", [](const char* path, mode_t mode) { return ErrnoOf(mkfifo(path, mode)); }},
    {"mkdir", [](const char* path, mode_t mode) { return ErrnoOf(mkdir(path, mode)); }},
};

void AddInherited(Registry& registry) {
  for (const Inherited& one : kInherited) {
    for (const Maker& maker : kMakers) {
      AddAclCheck(registry, std::string("inherited/") + maker.name + "/" + one.name,
                  [&one, &maker](Report& r) {
                    r.Call("set", SetAcl("dir", kDefaultAcl, one.list));
                    // A default list takes the umask's place.
                    umask(077);
                    r.Errno("make", maker.make("dir/new", one.mode), 0);
                    r.Equal("list", GetAcl("dir/new", kAccessAcl), one.kept);
                    r.Mode("mode", ModeOf("dir/new"), one.mode_kept);
                    const bool directory = S_ISDIR(Look("dir/new").st_mode);
                    r.Equal("default list", GetAcl("dir/new", kDefaultAcl),
                            directory ? one.list : kNoAcl);
                  });
    }
  }
  AddAclCheck(registry, "inherited/without a default the umask counts", [](Report& r) {
    r.Call("set", SetAcl("dir", kAccessAcl, "u::rwx,u:other:rwx,g::rwx,m::rwx,o::rwx"));
    umask(027);
    r.Errno("make", ErrnoOf(Open("dir/new", O_CREAT, 0666).get()), 0);
    r.Mode("mode", ModeOf("dir/new"), 0640);
    r.Equal("list", GetAcl("dir/new", kAccessAcl), kNoAcl);
  });
  AddAclCheck(registry, "inherited/once the default is removed the umask counts", [](Report& r) {
    r.Call("set", SetAcl("dir", kDefaultAcl, kWide));
    r.Call("remove", removexattr("dir", kDefaultAcl));
    umask(077);
    r.Errno("make", ErrnoOf(Open("dir/new", O_CREAT, 0666).get()), 0);
    r.Mode("mode", ModeOf("dir/new"), 0600);
  });
  AddAclCheck(registry, "inherited/down a tree", [](Report& r) {
    r.Call("set", SetAcl("dir", kDefaultAcl, kWide));
    r.Call("mkdir", mkdir("dir/a", 0777));
    r.Call("mkdir", mkdir("dir/a/b", 0777));
    r.Errno("make", ErrnoOf(Open("dir/a/b/new", O_CREAT, 0777).get()), 0);
    r.Equal("list", GetAcl("dir/a/b/new", kAccessAcl), kWide);
  });
  AddAclCheck(registry, "inherited/not by what is there already", [](Report& r) {
    r.Call("make", MakeFile("dir/old"));
    r.Call("set", SetAcl("dir", kDefaultAcl, kWide));
    r.Equal("list", GetAcl("dir/old", kAccessAcl), kNoAcl);
    r.Errno("open with O_CREAT", ErrnoOf(Open("dir/old", O_CREAT, 0777).get()), 0);
    r.Equal("list", GetAcl("dir/old", kAccessAcl), kNoAcl);
  });
  AddAclCheck(registry, "inherited/not by what is moved or linked", [](Report& r) {
    r.Call("set", SetAcl("dir", kDefaultAcl, kWide));
    r.Call("link", link("file", "dir/linked"));
    r.Equal("list", GetAcl("dir/linked", kAccessAcl), kNoAcl);
    r.Call("rename", rename("file", "dir/moved"));
    r.Equal("list", GetAcl("dir/moved", kAccessAcl), kNoAcl);
  });
  AddAclCheck(registry, "inherited/not by a symlink", [](Report& r) {
    r.Call("set", SetAcl("dir", kDefaultAcl, kWide));
    r.Call("symlink", symlink("../file", "dir/new"));
    r.Equal("list of its target", GetAcl("dir/new", kAccessAcl), kNoAcl);
    r.Mode("mode", ModeOf("dir/new"), 0777);
  });
  AddAclCheck(registry, "inherited/decides at once", [](Report& r) {
    r.Call("set", SetAcl("dir", kDefaultAcl, "u::rw-,u:other:rw-,g::---,m::rw-,o::---"));
    r.Errno("make", ErrnoOf(Open("dir/new", O_CREAT, 0666).get()), 0);
    const auto open_it = [] { return ErrnoOf(Open("dir/new", O_RDWR).get()); };
    r.Errno("the named user", RunAs(kOther, open_it), 0);
    r.Errno("the group", RunAs(kGroupMember, open_it), EACCES);
  });
  AddAclCheck(registry, "inherited/with the set-group-id bit", [](Report& r) {
    r.Call("chmod", chmod("dir", 02775));
    r.Call("set", SetAcl("dir", kDefaultAcl, kWide));
    r.Call("mkdir", mkdir("dir/new", 0750));
    r.Mode("mode", ModeOf("dir/new"), 02750);
    r.Equal("group", Look("dir/new").st_gid, kOwner.gid);
  });
}

struct Wrong {
  const char* name;
  const char* list;
  int want;
};

const Wrong kWrong[] = {
    {"no owner", "g::r--,o::---", EINVAL},
    {"no group", "u::rw-,o::---", EINVAL},
    {"no others", "u::rw-,g::r--", EINVAL},
    {"only the owner", "u::rw-", EINVAL},
    {"a named user without a mask", "u::rw-,u:other:r--,g::r--,o::---", EINVAL},
    {"a named group without a mask", "u::rw-,g::r--,g:other:r--,o::---", EINVAL},
    {"two owners", "u::rw-,u::rw-,g::r--,o::---", EINVAL},
    {"two groups", "u::rw-,g::r--,g::r--,o::---", EINVAL},
    {"two masks", "u::rw-,g::r--,m::r--,m::r--,o::---", EINVAL},
    {"two others", "u::rw-,g::r--,o::---,o::---", EINVAL},
    {"the group first", "g::r--,u::rw-,o::---", EINVAL},
    {"the others first", "o::---,u::rw-,g::r--", EINVAL},
    {"the mask before the group", "u::rw-,m::r--,g::r--,o::---", EINVAL},
    {"the mask last", "u::rw-,u:other:r--,g::r--,o::---,m::r--", EINVAL},
    {"a named user after the group", "u::rw-,g::r--,u:other:r--,m::r--,o::---", EINVAL},
    {"a named group before the group", "u::rw-,g:other:r--,g::r--,m::r--,o::---", EINVAL},
    {"a named user first", "u:other:r--,u::rw-,g::r--,m::r--,o::---", EINVAL},
    {"nobody's user id", "u::rw-,u:4294967295:r--,g::r--,m::r--,o::---", EINVAL},
    {"nobody's group id", "u::rw-,g::r--,g:4294967295:r--,m::r--,o::---", EINVAL},
    {"no such permission", "u::rws,g::r--,o::---", EINVAL},
    {"no such kind", "u::rw-,g::r--,x::r--,o::---", EINVAL},
};

struct WrongBytes {
  const char* name;
  std::string (*bytes)();
  int want;
};

const WrongBytes kWrongBytes[] = {
    {"less than a header", [] { return EncodeAcl(kTypical).substr(0, 3); }, EINVAL},
    {"half an entry", [] { return EncodeAcl(kTypical).substr(0, 4 + 8 + 4); }, EINVAL},
    {"one byte less", [] { return EncodeAcl(kTypical).substr(0, 4 + 5 * 8 - 1); }, EINVAL},
    {"one byte more", [] { return EncodeAcl(kTypical) + '\0'; }, EINVAL},
    {"version 0", [] { return EncodeAcl(kTypical, 0); }, EOPNOTSUPP},
    {"version 1", [] { return EncodeAcl(kTypical, 1); }, EOPNOTSUPP},
    {"version 3", [] { return EncodeAcl(kTypical, 3); }, EOPNOTSUPP},
};

void AddRefused(Registry& registry) {
  const auto add = [&](const char* name, const std::string& bytes, int want) {
    for (const char* which : {kAccessAcl, kDefaultAcl}) {
      const std::string kind = which == std::string_view(kAccessAcl) ? "access" : "default";
      AddAclCheck(registry, "refused/" + kind + "/" + name, [which, bytes, want](Report& r) {
        r.Call("a right one", SetAcl("dir", which, kTypical));
        r.Call("set", setxattr("dir", which, bytes.data(), bytes.size(), 0), want);
        r.Equal("list", GetAcl("dir", which), kTypical);
      });
    }
  };
  for (const Wrong& one : kWrong) add(one.name, EncodeAcl(one.list), one.want);
  for (const WrongBytes& one : kWrongBytes) add(one.name, one.bytes(), one.want);
  AddAclCheck(registry, "refused/a default on a file", [](Report& r) {
    r.Call("set", SetAcl("file", kDefaultAcl, kTypical), EACCES);
    r.Equal("list", GetAcl("file", kDefaultAcl), kNoAcl);
  });
  AddAclCheck(registry, "refused/a default on a fifo", [](Report& r) {
    r.Call("mkfifo", mkfifo("fifo", 0644));
    r.Call("set", SetAcl("fifo", kDefaultAcl, kTypical), EACCES);
    r.Call("an access list", SetAcl("fifo", kAccessAcl, kTypical));
    r.Equal("list", GetAcl("fifo", kAccessAcl), kTypical);
  });
  AddAclCheck(registry, "refused/any on a symlink", [](Report& r) {
    r.Call("symlink", symlink("file", "link"));
    const std::string bytes = EncodeAcl(kTypical);
    r.Call("set", lsetxattr("link", kAccessAcl, bytes.data(), bytes.size(), 0), EOPNOTSUPP);
    r.Call("through it", SetAcl("link", kAccessAcl, kTypical));
    r.Equal("list of its target", GetAcl("file", kAccessAcl), kTypical);
  });
}

struct Setter {
  const User& user;
  int want;
};

const Setter kSetters[] = {
    {kRoot, 0}, {kOwner, 0}, {kGroupMember, EPERM}, {kAlsoMember, EPERM}, {kOther, EPERM},
};

void AddSetters(Registry& registry) {
  for (const Setter& one : kSetters) {
    AddAclCheck(registry, std::string("setter/") + one.user.name, [&one](Report& r) {
      r.Call("chmod", chmod("dir", 0777));
      for (const char* which : {kAccessAcl, kDefaultAcl}) {
        const auto set = [which] { return ErrnoOf(SetAcl("dir", which, kWide)); };
        const auto remove = [which] { return ErrnoOf(removexattr("dir", which)); };
        r.Errno("set", RunAs(one.user, set), one.want);
        r.Errno("remove", RunAs(one.user, remove), one.want);
      }
    });
    AddAclCheck(registry,
                std::string("setter/a list that nobody may use is read by ") + one.user.name,
                [&one](Report& r) {
                  static constexpr char kClosed[] = "u::---,u:other:---,g::---,m::---,o::---";
                  r.Call("set", SetAcl("file", kAccessAcl, kClosed));
                  const auto read = [] { return GetAcl("file", kAccessAcl) == kClosed ? 0 : 1; };
                  r.Equal("read", RunAs(one.user, read), 0);
                });
  }
}

struct GroupBit {
  const char* name;
  const User& setter;
  gid_t group;
  const char* which;
  unsigned want;
};

const GroupBit kGroupBits[] = {
    {"the owner outside the group", kOwner, kOther.gid, kAccessAcl, 0775},
    {"the owner in the group", kOwner, kOwner.gid, kAccessAcl, 02775},
    {"root", kRoot, kOther.gid, kAccessAcl, 02775},
    // It changes nothing about who may use the directory.
    {"the owner outside the group by a default", kOwner, kOther.gid, kDefaultAcl, 02775},
};

void AddGroupBits(Registry& registry) {
  for (const GroupBit& one : kGroupBits) {
    AddAclCheck(registry, std::string("set-group-id bit/") + one.name, [&one](Report& r) {
      r.Call("chown", chown("dir", kOwner.uid, one.group));
      r.Call("chmod", chmod("dir", 02775));
      const auto set = [&] {
        return ErrnoOf(SetAcl("dir", one.which, "u::rwx,u:77:r-x,g::r-x,m::rwx,o::r-x"));
      };
      r.Errno("set", RunAs(one.setter, set), 0);
      r.Mode("mode", ModeOf("dir"), one.want);
    });
  }
}

struct Removal {
  const char* name;
  int (*run)(const char* which);
};

const Removal kRemovals[] = {
    {"removexattr", [](const char* which) { return removexattr("dir", which); }},
    {"an empty value", [](const char* which) { return setxattr("dir", which, "", 0, 0); }},
    {"a list of no entries", [](const char* which) { return SetAcl("dir", which, ""); }},
};

void AddRest(Registry& registry) {
  for (const Removal& one : kRemovals) {
    AddAclCheck(registry, std::string("removed/") + one.name, [&one](Report& r) {
      r.Call("set", SetAcl("dir", kAccessAcl, kTypical));
      r.Call("set the default", SetAcl("dir", kDefaultAcl, kTypical));
      r.Call("remove", one.run(kAccessAcl));
      r.Equal("list", GetAcl("dir", kAccessAcl), kNoAcl);
      r.Mode("what was the mask is the group's", ModeOf("dir"), 0660);
      r.Equal("default list", GetAcl("dir", kDefaultAcl), kTypical);
      r.Call("remove the default", one.run(kDefaultAcl));
      r.Equal("default list", GetAcl("dir", kDefaultAcl), kNoAcl);
      r.Call("remove what is not there", one.run(kAccessAcl));
    });
  }
  AddAclCheck(registry, "size/probed, short and exact", [](Report& r) {
    r.Call("set", SetAcl("file", kAccessAcl, kTypical));
    char bytes[64];
    r.Equal("probe", getxattr("file", kAccessAcl, nullptr, 0), 4 + 5 * 8);
    r.Call("short", getxattr("file", kAccessAcl, bytes, 4 + 5 * 8 - 1), ERANGE);
    r.Equal("exact", getxattr("file", kAccessAcl, bytes, 4 + 5 * 8), 4 + 5 * 8);
  });
  AddAclCheck(registry, "size/thirty named users", [](Report& r) {
    std::string list = "u::rw-";
    for (int i = 1; i <= 30; ++i) list += ",u:" + std::to_string(30000 + i) + ":r--";
    list += ",g::r--,m::r--,o::---";
    r.Call("set", SetAcl("file", kAccessAcl, list));
    r.Equal("list", GetAcl("file", kAccessAcl), list);
  });
  AddAclCheck(registry, "by a descriptor", [](Report& r) {
    const Fd fd = Open("file", O_RDONLY);
    const std::string list = EncodeAcl(kTypical);
    char bytes[64];
    r.Call("unlink", unlink("file"));
    r.Call("set", fsetxattr(fd.get(), kAccessAcl, list.data(), list.size(), 0));
    r.Equal("get", fgetxattr(fd.get(), kAccessAcl, bytes, sizeof(bytes)), list.size());
    r.Mode("mode", Look(fd.get()).st_mode & 07777, 0660);
    r.Call("remove", fremovexattr(fd.get(), kAccessAcl));
    r.Call("get", fgetxattr(fd.get(), kAccessAcl, bytes, sizeof(bytes)), ENODATA);
  });
  AddAclCheck(registry, "another name shows the same list", [](Report& r) {
    r.Call("link", link("file", "name"));
    r.Call("set", SetAcl("file", kAccessAcl, kTypical));
    r.Equal("list", GetAcl("name", kAccessAcl), kTypical);
    r.Call("rename", rename("name", "dir/name"));
    r.Equal("list", GetAcl("dir/name", kAccessAcl), kTypical);
  });
  AddAclCheck(registry, "setting changes the ctime and not the mtime", [](Report& r) {
    const timespec times[2] = {{.tv_sec = 5, .tv_nsec = 0}, {.tv_sec = 7, .tv_nsec = 0}};
    r.Call("utimensat", utimensat(AT_FDCWD, "file", times, 0));
    const struct stat before = Look("file");
    usleep(20000);  // more than a tick of the clock that stamps files
    r.Call("set", SetAcl("file", kAccessAcl, kTypical));
    const struct stat after = Look("file");
    r.Equal("mtime", after.st_mtim.tv_sec, 7);
    r.True("ctime", after.st_ctim.tv_sec != before.st_ctim.tv_sec ||
                        after.st_ctim.tv_nsec != before.st_ctim.tv_nsec);
  });
  AddAclCheck(registry, "listed", [](Report& r) {
    r.Call("set", SetAcl("dir", kAccessAcl, kTypical));
    r.Call("set the default", SetAcl("dir", kDefaultAcl, kTypical));
    char bytes[4096];
    const ssize_t size = listxattr("dir", bytes, sizeof(bytes));
    if (!r.True("listxattr", size >= 0)) return;
    std::set<std::string> names;
    for (const char* name = bytes; name < bytes + size; name += strlen(name) + 1)
      names.insert(name);
    r.True("the access list", names.count(kAccessAcl) == 1);
    r.True("the default list", names.count(kDefaultAcl) == 1);
  });
}

}  // namespace

void AddAclSettingChecks(Registry& registry) {
  AddInherited(registry);
  AddRefused(registry);
  AddSetters(registry);
  AddGroupBits(registry);
  AddRest(registry);
}

}  // namespace posix_check
