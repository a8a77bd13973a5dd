// Extended attributes as checks set and look at them.
#ifndef TESTS_SEMANTICS_XATTR_H_
#define TESTS_SEMANTICS_XATTR_H_

#include <sys/types.h>

#include <set>
#include <string>
#include <string_view>

#include "tests/semantics/check.h"

namespace posix_check {

// The three ways to name the file that has the attribute: its path, its path without following a
// symlink, and a descriptor of it.
struct XattrWay {
  const char* name;
  int (*set)(const char* path, const char* name, std::string_view value, int flags);
  ssize_t (*get)(const char* path, const char* name, void* value, size_t size);
  ssize_t (*list)(const char* path, char* names, size_t size);
  int (*remove)(const char* path, const char* name);
};
extern const XattrWay kXattrWays[3];
inline const XattrWay& kByPath = kXattrWays[0];

int SetXattr(const char* path, const std::string& name, std::string_view value, int flags = 0);
// The value; "<ENODATA>" and the like when it cannot be read.
std::string GetXattr(const char* path, const std::string& name, const XattrWay& way = kByPath);
// The names that begin with `prefix`: a file may be given others by who mounted or labelled it.
// "<EACCES>" and the like when they cannot be read.
std::set<std::string> ListXattrs(const char* path, const XattrWay& way = kByPath,
                                 std::string_view prefix = "user.");

// Adds the check "xattr/NAME". `body` finds the file `file`, which holds "text", and the directory
// `dir`; it is not run where there are no user attributes.
void AddXattrCheck(Registry& registry, const std::string& name, const Body& body);

}  // namespace posix_check

#endif  // TESTS_SEMANTICS_XATTR_H_
