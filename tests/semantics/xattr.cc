#include "tests/semantics/xattr.h"

#include <limits.h>
#include <sys/xattr.h>

#include <cerrno>
#include <cstring>

#include "tests/semantics/files.h"

namespace posix_check {

const XattrWay kXattrWays[3] = {
    {"path",
     [](const char* path, const char* name, std::string_view value, int flags) {
       return setxattr(path, name, value.data(), value.size(), flags);
     },
     getxattr, listxattr, removexattr},
    {"path itself",
     [](const char* path, const char* name, std::string_view value, int flags) {
       return lsetxattr(path, name, value.data(), value.size(), flags);
     },
     lgetxattr, llistxattr, lremovexattr},
    {"descriptor",
     [](const char* path, const char* name, std::string_view value, int flags) {
       return fsetxattr(Open(path, O_RDONLY).get(), name, value.data(), value.size(), flags);
     },
     [](const char* path, const char* name, void* value, size_t size) {
       return fgetxattr(Open(path, O_RDONLY).get(), name, value, size);
     },
     [](const char* path, char* names, size_t size) {
       return flistxattr(Open(path, O_RDONLY).get(), names, size);
     },
     [](const char* path, const char* name) {
       return fremovexattr(Open(path, O_RDONLY).get(), name);
     }},
};

int SetXattr(const char* path, const std::string& name, std::string_view value, int flags) {
  return setxattr(path, name.c_str(), value.data(), value.size(), flags);
}

std::string GetXattr(const char* path, const std::string& name, const XattrWay& way) {
  std::string value(XATTR_SIZE_MAX, '\0');
  const ssize_t size = way.get(path, name.c_str(), value.data(), value.size());
  if (size < 0) return "<" + ErrnoName(errno) + ">";
  value.resize(size);
  return value;
}

std::set<std::string> ListXattrs(const char* path, const XattrWay& way, std::string_view prefix) {
  std::string bytes(XATTR_LIST_MAX, '\0');
  const ssize_t size = way.list(path, bytes.data(), bytes.size());
  if (size < 0) return {"<" + ErrnoName(errno) + ">"};
  std::set<std::string> names;
  for (const char* name = bytes.data(); name < bytes.data() + size; name += strlen(name) + 1) {
    if (std::string_view(name).substr(0, prefix.size()) == prefix) names.insert(name);
  }
  return names;
}

void AddXattrCheck(Registry& registry, const std::string& name, const Body& body) {
  registry.Add("xattr/" + name, [body](Report& r) {
    r.Call("make the file", MakeFile("file", "text"));
    r.Call("make the directory", MakeDir("dir"));
    if (SetXattr("file", "user.probe", "1") != 0 && errno == EOPNOTSUPP) {
      return r.Unsupported("no user attributes");
    }
    r.Call("remove the probe", removexattr("file", "user.probe"));
    body(r);
  });
}

}  // namespace posix_check
