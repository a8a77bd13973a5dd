// Extended attributes: which names and values are taken on what, who may use them, and how they
// stay with a file.
#include <limits.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <set>
#include <string>
#include <string_view>

#include "tests/semantics/areas.h"
#include "tests/semantics/files.h"
#include "tests/semantics/xattr.h"

namespace posix_check {
namespace {

struct Use {
  const char* name;
  void (*run)(Report& r, const XattrWay& way, const char* path);
};

const Use kUses[] = {
    {"set and get",
     [](Report& r, const XattrWay& way, const char* path) {
       r.Call("set", way.set(path, "user.x", "value", 0));
       r.Equal("value", GetXattr(path, "user.x", way), "value");
     }},
    {"set again",
     [](Report& r, const XattrWay& way, const char* path) {
       r.Call("set", way.set(path, "user.x", "a longer value", 0));
       r.Call("set again", way.set(path, "user.x", "short", 0));
       r.Equal("value", GetXattr(path, "user.x", way), "short");
       r.Call("set again", way.set(path, "user.x", "the longest value of all", 0));
       r.Equal("value", GetXattr(path, "user.x", way), "the longest value of all");
     }},
    {"absent",
     [](Report& r, const XattrWay& way, const char* path) {
       r.Call("get", way.get(path, "user.x", nullptr, 0), ENODATA);
       r.Call("remove", way.remove(path, "user.x"), ENODATA);
       r.Call("replace", way.set(path, "user.x", "1", XATTR_REPLACE), ENODATA);
       r.Call("get", way.get(path, "user.x", nullptr, 0), ENODATA);
     }},
    {"create",
     [](Report& r, const XattrWay& way, const char* path) {
       r.Call("create", way.set(path, "user.x", "1", XATTR_CREATE));
       r.Call("create again", way.set(path, "user.x", "2", XATTR_CREATE), EEXIST);
       r.Equal("value", GetXattr(path, "user.x", way), "1");
     }},
    {"replace",
     [](Report& r, const XattrWay& way, const char* path) {
       r.Call("set", way.set(path, "user.x", "1", 0));
       r.Call("replace", way.set(path, "user.x", "2", XATTR_REPLACE));
       r.Equal("value", GetXattr(path, "user.x", way), "2");
     }},
    {"an unknown flag",
     [](Report& r, const XattrWay& way, const char* path) {
       r.Call("set", way.set(path, "user.x", "1", 4), EINVAL);
     }},
    {"an empty value",
     [](Report& r, const XattrWay& way, const char* path) {
       r.Call("set", way.set(path, "user.x", "", 0));
       r.Equal("value", GetXattr(path, "user.x", way), "");
       r.True("listed", ListXattrs(path, way) == std::set<std::string>{"user.x"});
       r.Call("create", way.set(path, "user.x", "", XATTR_CREATE), EEXIST);
     }},
    {"a value of all bytes",
     [](Report& r, const XattrWay& way, const char* path) {
       std::string value;
       for (int byte = 0; byte < 256; ++byte) value += static_cast<char>(byte);
       r.Call("set", way.set(path, "user.x", value, 0));
       r.True("value", GetXattr(path, "user.x", way) == value);
     }},
    {"the size of a value",
     [](Report& r, const XattrWay& way, const char* path) {
       char value[8] = "zzzzzzz";
       r.Call("set", way.set(path, "user.x", "12345", 0));
       r.Equal("probe", way.get(path, "user.x", nullptr, 0), 5);
       r.Call("too little", way.get(path, "user.x", value, 4), ERANGE);
       r.Equal("exact", way.get(path, "user.x", value, 5), 5);
       r.Equal("more", way.get(path, "user.x", value, 8), 5);
       r.Equal("value", std::string_view(value, 7), "12345zz");
     }},
    {"the size of a list",
     [](Report& r, const XattrWay& way, const char* path) {
       r.Call("set", way.set(path, "user.x", "1", 0));
       const ssize_t size = way.list(path, nullptr, 0);
       std::string names(size + 10, 'z');
       r.Call("too little", way.list(path, names.data(), size - 1), ERANGE);
       r.Equal("exact", way.list(path, names.data(), size), size);
       r.Equal("more", way.list(path, names.data(), size + 10), size);
     }},
    {"a list",
     [](Report& r, const XattrWay& way, const char* path) {
       r.True("of none", ListXattrs(path, way).empty());
       r.Call("set", way.set(path, "user.b", "1", 0));
       r.Call("set", way.set(path, "user.a", "2", 0));
       r.Call("set", way.set(path, "user.a.b", "3", 0));
       r.True("names",
              ListXattrs(path, way) == std::set<std::string>{"user.a", "user.a.b", "user.b"});
     }},
    {"remove",
     [](Report& r, const XattrWay& way, const char* path) {
       r.Call("set", way.set(path, "user.x", "1", 0));
       r.Call("set", way.set(path, "user.y", "2", 0));
       r.Call("remove", way.remove(path, "user.x"));
       r.Equal("removed", GetXattr(path, "user.x", way), "<ENODATA>");
       r.Equal("the other", GetXattr(path, "user.y", way), "2");
       r.True("names", ListXattrs(path, way) == std::set<std::string>{"user.y"});
       r.Call("remove again", way.remove(path, "user.x"), ENODATA);
     }},
    {"names differ by case",
     [](Report& r, const XattrWay& way, const char* path) {
       r.Call("set", way.set(path, "user.x", "small", 0));
       r.Call("set", way.set(path, "user.X", "capital", 0));
       r.Equal("value", GetXattr(path, "user.x", way), "small");
       r.Equal("value", GetXattr(path, "user.X", way), "capital");
     }},
    {"set changes the ctime alone",
     [](Report& r, const XattrWay& way, const char* path) {
       const struct stat before = Look(path);
       usleep(20000);  // more than a tick of the clock that stamps files
       r.Call("set", way.set(path, "user.x", "1", 0));
       const struct stat after = Look(path);
       r.True("ctime", after.st_ctim.tv_sec > before.st_ctim.tv_sec ||
                           after.st_ctim.tv_nsec != before.st_ctim.tv_nsec);
       r.True("mtime", after.st_mtim.tv_sec == before.st_mtim.tv_sec &&
                           after.st_mtim.tv_nsec == before.st_mtim.tv_nsec);
     }},
    {"remove changes the ctime alone",
     [](Report& r, const XattrWay& way, const char* path) {
       r.Call("set", way.set(path, "user.x", "1", 0));
       const struct stat before = Look(path);
       usleep(20000);
       r.Call("remove", way.remove(path, "user.x"));
       const struct stat after = Look(path);
       r.True("ctime", after.st_ctim.tv_sec > before.st_ctim.tv_sec ||
                           after.st_ctim.tv_nsec != before.st_ctim.tv_nsec);
       r.True("mtime", after.st_mtim.tv_sec == before.st_mtim.tv_sec &&
                           after.st_mtim.tv_nsec == before.st_mtim.tv_nsec);
     }},
};

// A file system may keep all of a file's attributes in one block; it then says ENOSPC.
void AddSizes(Registry& registry) {
  for (const size_t size :
       {1,    2,    3,    4,    7,    60,    100,   255,   256,   1000,  2000,
        3000, 3900, 4000, 4096, 8192, 16384, 32768, 65535, 65536, 65537, 100000}) {
    AddXattrCheck(registry, "size/" + std::to_string(size), [size](Report& r) {
      const std::string value = Pattern(size);
      r.Call("a small one", SetXattr("file", "user.small", "1"));
      const int error = ErrnoOf(SetXattr("file", "user.x", value));
      r.Equal("the other", GetXattr("file", "user.small"), "1");
      if (size > XATTR_SIZE_MAX) {
        r.Errno("set", error, E2BIG);
      } else if (size > 3900 && error == ENOSPC) {
        r.Equal("value", GetXattr("file", "user.x"), "<ENODATA>");
      } else if (r.Errno("set", error, 0)) {
        r.Equal("probe", getxattr("file", "user.x", nullptr, 0), size);
        r.True("value", GetXattr("file", "user.x") == value);
      }
    });
  }
  AddXattrCheck(registry, "size/what does not fit leaves the old value", [](Report& r) {
    r.Call("set", SetXattr("file", "user.x", "old"));
    r.Call("set too much", SetXattr("file", "user.x", Pattern(XATTR_SIZE_MAX + 1)), E2BIG);
    r.Equal("value", GetXattr("file", "user.x"), "old");
  });
  AddXattrCheck(registry, "size/a buffer larger than any value", [](Report& r) {
    r.Call("set", SetXattr("file", "user.x", "12345"));
    std::string value(XATTR_SIZE_MAX * 2, '\0');
    r.Equal("get", getxattr("file", "user.x", value.data(), value.size()), 5);
    r.True("list", listxattr("file", value.data(), value.size()) >= 7);
  });
  AddXattrCheck(registry, "size/grows and shrinks", [](Report& r) {
    for (const size_t size : {10, 3000, 1, 500, 0, 2000, 30}) {
      r.Call("set", SetXattr("file", "user.x", Pattern(size, size)));
      r.True("value", GetXattr("file", "user.x") == Pattern(size, size));
    }
  });
  AddXattrCheck(registry, "size/fifty attributes", [](Report& r) {
    std::set<std::string> names;
    for (int i = 0; i < 50; ++i) {
      names.insert("user.number." + std::to_string(i));
      r.Call("set", SetXattr("file", "user.number." + std::to_string(i), std::to_string(i * i)));
    }
    r.True("names", ListXattrs("file") == names);
    for (int i = 0; i < 50; ++i) {
      r.Equal("value", GetXattr("file", "user.number." + std::to_string(i)), std::to_string(i * i));
    }
  });
}

}  // namespace

void AddXattrChecks(Registry& registry) {
  for (const XattrWay& way : kXattrWays) {
    for (const char* path : {"file", "dir"}) {
      for (const Use& use : kUses) {
        AddXattrCheck(registry, std::string("use/") + way.name + "/" + path + "/" + use.name,
                      [&way, &use, path](Report& r) { use.run(r, way, path); });
      }
    }
  }
  AddSizes(registry);
}

}  // namespace posix_check
