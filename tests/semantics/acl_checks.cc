// POSIX access control lists, by their raw extended attributes: whom they let in, how they and the
// mode keep step, and which of them are no more than a mode.
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <string>

#include "tests/semantics/acl.h"
#include "tests/semantics/areas.h"
#include "tests/semantics/files.h"
#include "tests/semantics/process.h"

namespace posix_check {
namespace {

constexpr char kTypical[] = "u::rw-,u:other:r--,g::r--,m::rw-,o::---";

struct Stored {
  const char* name;
  const char* list;
  unsigned mode;
  bool is_mode = false;  // the list says no more than the mode and is not kept beside it
};

const Stored kStored[] = {
    {"a named user", kTypical, 0660},
    {"a named group", "u::rwx,g::r--,g:other:rwx,m::rwx,o::r--", 0774},
    {"users and groups", "u::rw-,u:1:r--,u:2:-w-,u:3:--x,g::---,g:1:r--,g:2:rw-,m::rwx,o::--x",
     0671},
    {"root by its name", "u::rw-,u:root:---,g::r--,m::r--,o::r--", 0644},
    {"a mask and nobody named", "u::rw-,g::rw-,m::r--,o::---", 0640},
    {"a mask that allows nothing", "u::rw-,u:other:rwx,g::rwx,m::---,o::---", 0600},
    {"the largest id", "u::rw-,u:4294967294:r--,g::r--,m::r--,o::---", 0640},
    {"minimal, as the mode", "u::rw-,g::r--,o::r--", 0644, true},
    {"minimal, more than the mode", "u::rwx,g::rwx,o::rwx", 0777, true},
    {"minimal, less than the mode", "u::---,g::---,o::---", 0000, true},
};

void AddStored(Registry& registry) {
  for (const Stored& one : kStored) {
    for (const char* path : {"file", "dir"}) {
      AddAclCheck(registry, std::string("stored/") + path + "/" + one.name,
                  [&one, path](Report& r) {
                    r.Call("set", SetAcl(path, kAccessAcl, one.list));
                    r.Equal("list", GetAcl(path, kAccessAcl), one.is_mode ? kNoAcl : one.list);
                    r.Mode("mode", ModeOf(path), one.mode);
                    r.Equal("default list", GetAcl(path, kDefaultAcl), kNoAcl);
                  });
    }
    AddAclCheck(registry, std::string("stored/over another/") + one.name, [&one](Report& r) {
      r.Call("the first",
             SetAcl("file", kAccessAcl, "u::---,u:77:rwx,g::-w-,g:78:r--,m::--x,o::-w-"));
      r.Call("set", SetAcl("file", kAccessAcl, one.list));
      r.Equal("list", GetAcl("file", kAccessAcl), one.is_mode ? kNoAcl : one.list);
      r.Mode("mode", ModeOf("file"), one.mode);
    });
    // A default list stands for no mode, so that even a minimal one is kept.
    AddAclCheck(registry, std::string("stored/default/") + one.name, [&one](Report& r) {
      r.Call("set", SetAcl("dir", kDefaultAcl, one.list));
      r.Equal("list", GetAcl("dir", kDefaultAcl), one.list);
      r.Mode("mode", ModeOf("dir"), 0755);
      r.Equal("access list", GetAcl("dir", kAccessAcl), kNoAcl);
    });
  }
}

struct Access {
  const char* name;
  const char* list;
  const User& user;
  const char* want;
};

const Access kAccesses[] = {
    {"the owner by his own entry", "u::rw-,u:other:---,g::---,m::---,o::---", kOwner, "rw-"},
    {"the owner despite a wide mask", "u::r--,u:other:rwx,g::rwx,m::rwx,o::rwx", kOwner, "r--"},
    {"the owner despite his being named", "u::r--,u:owner:rwx,g::rwx,m::rwx,o::---", kOwner, "r--"},
    {"a named user", "u::---,u:other:rw-,g::---,m::rwx,o::---", kOther, "rw-"},
    {"a named user under the mask", "u::rwx,u:other:rwx,g::rwx,m::r--,o::rwx", kOther, "r--"},
    {"a named user under an empty mask", "u::rwx,u:other:rwx,g::rwx,m::---,o::---", kOther, "---"},
    // Linux does not look at a list whose mask allows nothing: he is then one of the others.
    {"a named user under an empty mask, open to others", "u::rwx,u:other:r--,g::rwx,m::---,o::rw-",
     kOther, "rw-"},
    {"a named user against the others", "u::rwx,u:other:---,g::rwx,m::rwx,o::rwx", kOther, "---"},
    {"a named user against his group", "u::rwx,u:group:r--,g::rwx,m::rwx,o::rwx", kGroupMember,
     "r--"},
    {"a named user against a named group", "u::rwx,u:other:-w-,g::r--,g:other:rwx,m::rwx,o::rwx",
     kOther, "-w-"},
    {"somebody else is named", "u::rwx,u:99:rwx,g::r--,m::rwx,o::--x", kOther, "--x"},
    {"the others under the mask", "u::rwx,u:99:rwx,g::rwx,m::---,o::rw-", kOther, "rw-"},
    {"the file's group", "u::---,u:other:rwx,g::rw-,m::rwx,o::---", kGroupMember, "rw-"},
    {"the file's group under the mask", "u::rwx,u:other:rwx,g::rwx,m::-w-,o::rwx", kGroupMember,
     "-w-"},
    {"the file's group against the others", "u::rwx,u:other:rwx,g::---,m::rwx,o::rwx", kGroupMember,
     "---"},
    {"the file's group as a supplementary one", "u::---,u:other:---,g::r-x,m::rwx,o::---",
     kAlsoMember, "r-x"},
    {"a named group", "u::---,g::---,g:other:rwx,m::rwx,o::---", kOther, "rwx"},
    {"a named group under the mask", "u::rwx,g::rwx,g:other:rw-,m::-wx,o::rwx", kOther, "-w-"},
    {"a named group against the others", "u::rwx,g::rwx,g:other:---,m::rwx,o::rwx", kOther, "---"},
    {"a named group that is a supplementary one", "u::---,g::---,g:20009:r--,m::rwx,o::---",
     kAlsoMember, "r--"},
    // Group entries add up for separate requests.
    {"the file's group and a named one", "u::---,g::r--,g:supplementary:-w-,m::rwx,o::---",
     kAlsoMember, "rw-"},
    {"two named groups", "u::---,g::---,g:supplementary:r--,g:20009:--x,m::rwx,o::-w-", kAlsoMember,
     "r-x"},
    {"two named groups under the mask",
     "u::---,g::rwx,g:supplementary:r--,g:20009:rwx,m::--x,o::-w-", kAlsoMember, "--x"},
    {"the file's group named again", "u::---,g::---,g:group:rw-,m::rwx,o::---", kGroupMember,
     "rw-"},
    {"root", "u::---,u:root:---,g::---,g:root:---,m::---,o::---", kRoot, "rw-"},
    {"root where somebody may execute", "u::---,u:other:--x,g::---,m::--x,o::---", kRoot, "rwx"},
};

// What the user may open the file for, and whether he may execute it.
std::string Allowed(const User& user) {
  const int bits = RunAs(user, [] {
    const int readable = Open("file", O_RDONLY).get() >= 0 ? 4 : 0;
    const int writable = Open("file", O_WRONLY).get() >= 0 ? 2 : 0;
    return readable | writable | (access("file", X_OK) == 0 ? 1 : 0);
  });
  return {bits & 4 ? 'r' : '-', bits & 2 ? 'w' : '-', bits & 1 ? 'x' : '-'};
}

void AddAccesses(Registry& registry) {
  for (const Access& one : kAccesses) {
    AddAclCheck(registry, std::string("access/") + one.name, [&one](Report& r) {
      r.Call("set", SetAcl("file", kAccessAcl, one.list));
      r.Equal("allowed", Allowed(one.user), one.want);
    });
  }
  AddAclCheck(registry, "access/two groups do not add up for one request", [](Report& r) {
    r.Call("set", SetAcl("file", kAccessAcl, "u::---,g::r--,g:supplementary:-w-,m::rwx,o::---"));
    const int error = RunAs(kAlsoMember, [] { return ErrnoOf(Open("file", O_RDWR).get()); });
    r.Errno("open for both", error, EACCES);
  });
  AddAclCheck(registry, "access/changes at once for a new open", [](Report& r) {
    r.Equal("before", Allowed(kOther), "r--");
    r.Call("set", SetAcl("file", kAccessAcl, "u::rw-,u:other:rw-,g::r--,m::rw-,o::r--"));
    r.Equal("with the list", Allowed(kOther), "rw-");
    r.Call("remove", removexattr("file", kAccessAcl));
    r.Equal("without it", Allowed(kOther), "r--");
  });
  AddAclCheck(registry, "access/an open file stays open", [](Report& r) {
    const Fd fd = Open("file", O_RDONLY);
    r.Call("set", SetAcl("file", kAccessAcl, "u::---,u:other:---,g::---,m::---,o::---"));
    r.Equal("in the child", RunAs(kOther, [&] { return ReadAt(fd.get(), 4, 0) == "text" ? 0 : 1; }),
            0);
  });
  AddAclCheck(registry, "access/a directory to search and not to list", [](Report& r) {
    r.Call("inside", MakeFile("dir/inside"));
    r.Call("set", SetAcl("dir", kAccessAcl, "u::rwx,u:other:--x,g::---,m::--x,o::---"));
    const auto search = [] { return ErrnoOf(access("dir/inside", F_OK)); };
    const auto list = [] { return ErrnoOf(Open("dir", O_RDONLY).get()); };
    r.Errno("search", RunAs(kOther, search), 0);
    r.Errno("list", RunAs(kOther, list), EACCES);
    r.Errno("search by the group", RunAs(kGroupMember, search), EACCES);
  });
  AddAclCheck(registry, "access/a directory to make and remove files in", [](Report& r) {
    r.Call("set", SetAcl("dir", kAccessAcl, "u::rwx,u:other:-wx,g::r-x,m::rwx,o::r-x"));
    const auto make = [] { return ErrnoOf(mknod("dir/new", S_IFREG | 0644, 0)); };
    r.Errno("make by the group", RunAs(kGroupMember, make), EACCES);
    r.Errno("make", RunAs(kOther, make), 0);
    r.Errno("unlink", RunAs(kOther, [] { return ErrnoOf(unlink("dir/new")); }), 0);
  });
}

struct Changed {
  const char* name;
  const char* list;
  unsigned mode;  // given to chmod
  const char* kept;
};

const Changed kChanged[] = {
    {"to less", kTypical, 0400, "u::r--,u:other:r--,g::r--,m::---,o::---"},
    {"to more", kTypical, 0777, "u::rwx,u:other:r--,g::r--,m::rwx,o::rwx"},
    {"the group's bits are the mask", kTypical, 0650, "u::rw-,u:other:r--,g::r--,m::r-x,o::---"},
    {"the owner's bits", kTypical, 0360, "u::-wx,u:other:r--,g::r--,m::rw-,o::---"},
    {"the others' bits", kTypical, 0665, "u::rw-,u:other:r--,g::r--,m::rw-,o::r-x"},
    {"to nothing", kTypical, 0000, "u::---,u:other:r--,g::r--,m::---,o::---"},
    {"to what it is", kTypical, 0660, kTypical},
    {"a mask and nobody named", "u::rw-,g::rw-,m::r--,o::---", 0670, "u::rw-,g::rw-,m::rwx,o::---"},
    {"with the sticky bit", kTypical, 01640, "u::rw-,u:other:r--,g::r--,m::r--,o::---"},
    {"with the set-user-id bit", kTypical, 04710, "u::rwx,u:other:r--,g::r--,m::--x,o::---"},
    {"with the set-group-id bit", kTypical, 02770, "u::rwx,u:other:r--,g::r--,m::rwx,o::---"},
    {"no list", "u::rw-,g::r--,o::r--", 0751, kNoAcl},
};

void AddChanged(Registry& registry) {
  for (const Changed& one : kChanged) {
    for (const char* path : {"file", "dir"}) {
      AddAclCheck(registry, std::string("chmod/") + path + "/" + one.name, [&one, path](Report& r) {
        r.Call("set", SetAcl(path, kAccessAcl, one.list));
        r.Call("chmod", chmod(path, one.mode));
        r.Mode("mode", ModeOf(path), one.mode);
        r.Equal("list", GetAcl(path, kAccessAcl), one.kept);
      });
    }
  }
  AddAclCheck(registry, "chmod/the default list stays", [](Report& r) {
    r.Call("set", SetAcl("dir", kDefaultAcl, kTypical));
    r.Call("chmod", chmod("dir", 0700));
    r.Equal("list", GetAcl("dir", kDefaultAcl), kTypical);
  });
  AddAclCheck(registry, "chmod/the mask takes effect", [](Report& r) {
    r.Call("set", SetAcl("file", kAccessAcl, "u::rw-,u:other:rw-,g::---,m::rw-,o::---"));
    r.Equal("before", Allowed(kOther), "rw-");
    r.Call("chmod", chmod("file", 0640));
    r.Equal("under less", Allowed(kOther), "r--");
    r.Call("chmod", chmod("file", 0660));
    r.Equal("under the old mask again", Allowed(kOther), "rw-");
  });
  AddAclCheck(registry, "chown/the list stays", [](Report& r) {
    r.Call("set", SetAcl("file", kAccessAcl, kTypical));
    r.Call("chown", chown("file", kOther.uid, kOther.gid));
    r.Equal("list", GetAcl("file", kAccessAcl), kTypical);
    r.Mode("mode", ModeOf("file"), 0660);
  });
}

}  // namespace

void AddAclChecks(Registry& registry) {
  AddStored(registry);
  AddAccesses(registry);
  AddChanged(registry);
}

}  // namespace posix_check
