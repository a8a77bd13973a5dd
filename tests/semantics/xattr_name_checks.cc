// Extended attributes: which names and kinds of file take one, who may use it, and how it stays
// with its file.
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <set>
#include <string>
#include <string_view>

#include "tests/semantics/areas.h"
#include "tests/semantics/files.h"
#include "tests/semantics/process.h"
#include "tests/semantics/xattr.h"

namespace posix_check {
namespace {

struct Name {
  const char* title;
  std::string name;
  int want;
};

const Name kNames[] = {
    {"one letter", "user.x", 0},
    {"254 bytes", "user." + std::string(249, 'n'), 0},
    {"255 bytes", "user." + std::string(250, 'n'), 0},
    {"256 bytes", "user." + std::string(251, 'n'), ERANGE},
    {"4000 bytes", "user." + std::string(3995, 'n'), ERANGE},
    {"a space", "user.a b", 0},
    {"a line feed", "user.a\nb", 0},
    {"a slash", "user.a/b", 0},
    {"only a dot", "user..", 0},
    {"a backslash", "user.a\\b", 0},
    {"UTF-8", "user.\xc3\xa4\xe2\x82\xac", 0},
    {"not UTF-8", "user.\xff\xfe", 0},
    {"a control character", "user.\x01", 0},
    {"no name in the namespace", "user.", EINVAL},
    {"nothing", "", ERANGE},
    {"no namespace", "x", EOPNOTSUPP},
    {"a namespace without its dot", "user", EOPNOTSUPP},
    {"an unknown namespace", "unknown.x", EOPNOTSUPP},
    {"a namespace in capitals", "USER.x", EOPNOTSUPP},
    {"no name of a namespace", ".x", EOPNOTSUPP},
    {"an unknown name of the system's", "system.x", EOPNOTSUPP},
};

void AddNames(Registry& registry) {
  for (const Name& one : kNames) {
    AddXattrCheck(registry, std::string("name/") + one.title, [&one](Report& r) {
      r.Call("set", SetXattr("file", one.name, "value"), one.want);
      if (one.want != 0) {
        r.Call("get", getxattr("file", one.name.c_str(), nullptr, 0), one.want);
        r.Call("remove", removexattr("file", one.name.c_str()), one.want);
        return;
      }
      r.Equal("value", GetXattr("file", one.name), "value");
      r.True("listed", ListXattrs("file") == std::set<std::string>{one.name});
      r.Call("remove", removexattr("file", one.name.c_str()));
      r.Call("get", getxattr("file", one.name.c_str(), nullptr, 0), ENODATA);
    });
  }
}

// What only root may set.
constexpr const char* kPrivileged[] = {"trusted.x", "security.x"};

// False, and reported, where not even root may.
bool SetPrivileged(Report& r, const char* path, const char* name) {
  const int error = ErrnoOf(lsetxattr(path, name, "1", 1, 0));
  if (error == EPERM || error == EOPNOTSUPP) {
    r.Unsupported(std::string("root cannot set ") + name);
    return false;
  }
  return r.Errno("set", error, 0);
}

struct SpecialKind {
  const char* name;
  int (*make)();
};

const SpecialKind kSpecialKinds[] = {
    {"symlink", [] { return symlink("file", "special"); }},
    {"broken symlink", [] { return symlink("absent", "special"); }},
    {"fifo", [] { return mkfifo("special", 0666); }},
};

void AddKinds(Registry& registry) {
  for (const SpecialKind& kind : kSpecialKinds) {
    AddXattrCheck(registry, std::string("kind/") + kind.name + "/user", [&kind](Report& r) {
      r.Call("make", kind.make());
      r.Call("set", lsetxattr("special", "user.x", "1", 1, 0), EPERM);
      r.Call("get", lgetxattr("special", "user.x", nullptr, 0), ENODATA);
      r.Call("remove", lremovexattr("special", "user.x"), EPERM);
      r.True("none is listed", ListXattrs("special", kXattrWays[1]).empty());
    });
    for (const char* name : kPrivileged) {
      AddXattrCheck(registry, std::string("kind/") + kind.name + "/" + name,
                    [&kind, name](Report& r) {
                      r.Call("make", kind.make());
                      if (!SetPrivileged(r, "special", name)) return;
                      r.Equal("value", GetXattr("special", name, kXattrWays[1]), "1");
                      r.Equal("value of the file", GetXattr("file", name), "<ENODATA>");
                      r.Call("remove", lremovexattr("special", name));
                      r.Equal("removed", GetXattr("special", name, kXattrWays[1]), "<ENODATA>");
                    });
    }
  }
  AddXattrCheck(registry, "kind/through a symlink", [](Report& r) {
    r.Call("symlink", symlink("file", "link"));
    r.Call("set", SetXattr("link", "user.x", "1"));
    r.Equal("value of the file", GetXattr("file", "user.x"), "1");
    r.True("listed", ListXattrs("link").size() == 1);
    r.Equal("value of the symlink", GetXattr("link", "user.x", kXattrWays[1]), "<ENODATA>");
    r.Call("remove", removexattr("link", "user.x"));
    r.Equal("removed", GetXattr("file", "user.x"), "<ENODATA>");
  });
  AddXattrCheck(registry, "kind/absent", [](Report& r) {
    r.Call("set", SetXattr("absent", "user.x", "1"), ENOENT);
    r.Call("get", getxattr("absent", "user.x", nullptr, 0), ENOENT);
    r.Call("list", listxattr("absent", nullptr, 0), ENOENT);
    r.Call("remove", removexattr("absent", "user.x"), ENOENT);
    r.Call("set below a file", SetXattr("file/x", "user.x", "1"), ENOTDIR);
  });
  AddXattrCheck(registry, "kind/a descriptor that only names the file", [](Report& r) {
    const Fd fd = Open("file", O_PATH);
    r.Call("set", fsetxattr(fd.get(), "user.x", "1", 1, 0), EBADF);
    r.Call("get", fgetxattr(fd.get(), "user.x", nullptr, 0), EBADF);
  });
}

struct Access {
  const char* name;
  unsigned mode;
  const User& user;
  int get;
  int set;
};

// The mode alone decides, even for a descriptor that was opened before.
const Access kAccesses[] = {
    {"the owner", 0600, kOwner, 0, 0},
    {"the owner who may only read", 0400, kOwner, 0, EACCES},
    {"the owner who may only write", 0200, kOwner, EACCES, 0},
    {"the owner without any right", 0000, kOwner, EACCES, EACCES},
    {"the group", 0060, kGroupMember, 0, 0},
    {"the group that may only read", 0640, kGroupMember, 0, EACCES},
    {"a supplementary group that may only write", 0620, kAlsoMember, EACCES, 0},
    {"others", 0006, kOther, 0, 0},
    {"others who may only read", 0604, kOther, 0, EACCES},
    {"others who may only write", 0602, kOther, EACCES, 0},
    {"others without any right", 0660, kOther, EACCES, EACCES},
    {"root", 0000, kRoot, 0, 0},
};

void AddAccesses(Registry& registry) {
  for (const Access& one : kAccesses) {
    AddXattrCheck(registry, std::string("access/") + one.name, [&one](Report& r) {
      r.Call("set", SetXattr("file", "user.x", "1"));
      r.Call("chown", chown("file", kOwner.uid, kOwner.gid));
      r.Call("chmod", chmod("file", one.mode));
      const Fd fd = Open("file", O_RDWR);
      const auto as = [&](auto work) { return RunAs(one.user, [&] { return ErrnoOf(work()); }); };
      r.Errno("get", as([] { return getxattr("file", "user.x", nullptr, 0); }), one.get);
      r.Errno("fget", as([&] { return fgetxattr(fd.get(), "user.x", nullptr, 0); }), one.get);
      r.Errno("list", as([] { return listxattr("file", nullptr, 0); }), 0);
      r.Errno("set", as([] { return SetXattr("file", "user.x", "2"); }), one.set);
      r.Errno("fset", as([&] { return fsetxattr(fd.get(), "user.x", "2", 1, 0); }), one.set);
      r.Errno("remove", as([] { return removexattr("file", "user.x"); }), one.set);
    });
  }
  AddXattrCheck(registry, "access/a sticky directory of somebody else", [](Report& r) {
    r.Call("set", SetXattr("dir", "user.x", "1"));
    r.Call("chmod", chmod("dir", 01777));
    r.Errno("get", RunAs(kOther, [] { return GetXattr("dir", "user.x") == "1" ? 0 : EACCES; }), 0);
    r.Errno("set", RunAs(kOther, [] { return ErrnoOf(SetXattr("dir", "user.x", "2")); }), EPERM);
    r.Call("chown", chown("dir", kOther.uid, kOther.gid));
    r.Errno("by its owner", RunAs(kOther, [] { return ErrnoOf(SetXattr("dir", "user.x", "2")); }),
            0);
  });
  AddXattrCheck(registry, "access/a descriptor for reading alone sets", [](Report& r) {
    const Fd fd = Open("file", O_RDONLY);
    r.Call("set", fsetxattr(fd.get(), "user.x", "1", 1, 0));
    r.Equal("value", GetXattr("file", "user.x"), "1");
  });
}

void AddPrivileged(Registry& registry) {
  for (const char* name : kPrivileged) {
    for (const char* path : {"file", "dir"}) {
      const std::string prefix = std::string("privileged/") + name + "/" + path + "/";
      AddXattrCheck(registry, prefix + "root", [name, path](Report& r) {
        if (!SetPrivileged(r, path, name)) return;
        r.Equal("value", GetXattr(path, name), "1");
        r.True("listed", ListXattrs(path, kByPath, name).size() == 1);
        r.Call("create", SetXattr(path, name, "2", XATTR_CREATE), EEXIST);
        r.Call("replace", SetXattr(path, name, "2", XATTR_REPLACE));
        r.Equal("value", GetXattr(path, name), "2");
        r.Call("remove", removexattr(path, name));
        r.Equal("removed", GetXattr(path, name), "<ENODATA>");
        r.Call("remove again", removexattr(path, name), ENODATA);
      });
      AddXattrCheck(registry, prefix + "the owner", [name, path](Report& r) {
        if (!SetPrivileged(r, path, name)) return;
        r.Call("chown", chown(path, kOwner.uid, kOwner.gid));
        const auto set = [&] { return ErrnoOf(SetXattr(path, name, "2")); };
        const auto remove = [&] { return ErrnoOf(removexattr(path, name)); };
        r.Errno("set", RunAs(kOwner, set), EPERM);
        r.Errno("remove", RunAs(kOwner, remove), EPERM);
        r.Equal("value", GetXattr(path, name), "1");
      });
    }
  }
  AddXattrCheck(registry, "privileged/trusted.x is hidden from others", [](Report& r) {
    if (!SetPrivileged(r, "file", "trusted.x")) return;
    const auto get = [] { return ErrnoOf(getxattr("file", "trusted.x", nullptr, 0)); };
    const auto list = [] { return ListXattrs("file", kByPath, "trusted.").size(); };
    r.Errno("get", RunAs(kOther, get), ENODATA);
    r.Equal("listed", RunAs(kOther, list), 0);
  });
  AddXattrCheck(registry, "privileged/security.x is shown to others", [](Report& r) {
    if (!SetPrivileged(r, "file", "security.x")) return;
    r.Call("chmod", chmod("file", 0600));
    const auto get = [] { return ErrnoOf(getxattr("file", "security.x", nullptr, 0)); };
    r.Errno("get", RunAs(kOther, get), 0);
  });
  AddXattrCheck(registry, "privileged/one name in three namespaces", [](Report& r) {
    if (!SetPrivileged(r, "file", "trusted.x") || !SetPrivileged(r, "file", "security.x")) return;
    r.Call("set", SetXattr("file", "user.x", "3"));
    r.Call("set", SetXattr("file", "security.x", "2"));
    r.Equal("trusted", GetXattr("file", "trusted.x"), "1");
    r.Equal("security", GetXattr("file", "security.x"), "2");
    r.Equal("user", GetXattr("file", "user.x"), "3");
  });
}

struct Change {
  const char* name;
  int (*run)(int fd);  // an open descriptor of `file`
  const char* path;    // where the file is afterwards
};

const Change kChanges[] = {
    {"rename", [](int) { return rename("file", "dir/moved"); }, "dir/moved"},
    {"rename over another", [](int) { return MakeFile("over") != 0 ? -1 : rename("file", "over"); },
     "over"},
    {"link", [](int) { return link("file", "dir/name"); }, "dir/name"},
    {"unlink of one name", [](int) { return link("file", "name") != 0 ? -1 : unlink("file"); },
     "name"},
    {"chmod", [](int fd) { return fchmod(fd, 0606); }, "file"},
    {"chown", [](int fd) { return fchown(fd, 5, 6); }, "file"},
    {"write", [](int fd) { return pwrite(fd, "more", 4, 3) == 4 ? 0 : -1; }, "file"},
    {"truncate", [](int fd) { return ftruncate(fd, 0); }, "file"},
    {"open with O_TRUNC", [](int) { return WriteFile("file", "other"); }, "file"},
    {"fsync", [](int fd) { return fsync(fd); }, "file"},
    {"a rename of its directory",
     [](int) { return rename("file", "dir/file") != 0 ? -1 : rename("dir", "moved"); },
     "moved/file"},
};

void AddStaying(Registry& registry) {
  for (const Change& change : kChanges) {
    AddXattrCheck(registry, std::string("stays/") + change.name, [&change](Report& r) {
      const Fd fd = Open("file", O_RDWR);
      r.Call("set", SetXattr("file", "user.x", "1"));
      r.Call(change.name, change.run(fd.get()));
      r.Equal("value", GetXattr(change.path, "user.x"), "1");
      r.Call("set again", fsetxattr(fd.get(), "user.x", "2", 1, 0));
      r.Equal("value", GetXattr(change.path, "user.x"), "2");
    });
  }
  AddXattrCheck(registry, "stays/on an unlinked file", [](Report& r) {
    const Fd fd = Open("file", O_RDWR);
    char value[8];
    r.Call("set", SetXattr("file", "user.x", "before"));
    r.Call("unlink", unlink("file"));
    r.Equal("get", fgetxattr(fd.get(), "user.x", value, sizeof(value)), 6);
    r.Call("set", fsetxattr(fd.get(), "user.y", "y", 1, 0));
    r.True("list", flistxattr(fd.get(), nullptr, 0) >= 14);
    r.Call("remove", fremovexattr(fd.get(), "user.x"));
    r.Call("get", fgetxattr(fd.get(), "user.x", value, sizeof(value)), ENODATA);
    r.Equal("get", fgetxattr(fd.get(), "user.y", value, sizeof(value)), 1);
  });
  AddXattrCheck(registry, "stays/on a directory that is removed while open", [](Report& r) {
    const Fd fd = Open("dir", O_RDONLY);
    r.Call("set", SetXattr("dir", "user.x", "1"));
    r.Call("rmdir", rmdir("dir"));
    r.Equal("get", fgetxattr(fd.get(), "user.x", nullptr, 0), 1);
    r.Call("set", fsetxattr(fd.get(), "user.x", "22", 2, 0));
    r.Equal("get", fgetxattr(fd.get(), "user.x", nullptr, 0), 2);
  });
  AddXattrCheck(registry, "stays/not with a new file of the name", [](Report& r) {
    r.Call("set", SetXattr("file", "user.x", "1"));
    r.Call("unlink", unlink("file"));
    r.Call("make", MakeFile("file"));
    r.Equal("value", GetXattr("file", "user.x"), "<ENODATA>");
    r.True("none is listed", ListXattrs("file").empty());
  });
  AddXattrCheck(registry, "stays/not with what replaced it", [](Report& r) {
    r.Call("set", SetXattr("file", "user.x", "1"));
    r.Call("make", MakeFile("next"));
    r.Call("rename", rename("next", "file"));
    r.Equal("value", GetXattr("file", "user.x"), "<ENODATA>");
  });
  AddXattrCheck(registry, "stays/not inherited from a directory", [](Report& r) {
    r.Call("set", SetXattr("dir", "user.x", "1"));
    r.Call("make", MakeFile("dir/file"));
    r.Equal("value", GetXattr("dir/file", "user.x"), "<ENODATA>");
  });
}

}  // namespace

void AddXattrNameChecks(Registry& registry) {
  AddNames(registry);
  AddKinds(registry);
  AddAccesses(registry);
  AddPrivileged(registry);
  AddStaying(registry);
}

}  // namespace posix_check
