// Every system call that takes a path, as rows of a table that areas multiply with situations.
#ifndef TESTS_SEMANTICS_PATH_OPERATIONS_H_
#define TESTS_SEMANTICS_PATH_OPERATIONS_H_

#include <vector>

namespace posix_check {

// What must stand at the path for the operation to succeed.
enum class Target { kFile, kDirectory, kSymlink, kNothing };

struct PathOperation {
  const char* name;
  Target target;
  bool follows;  // a symlink that stands at the path
  bool mutates;
  // Returns -1 with errno. Those that take two paths find a file `source` in the working directory.
  int (*run)(const char* path);
};

extern const std::vector<PathOperation> kPathOperations;

}  // namespace posix_check

#endif  // TESTS_SEMANTICS_PATH_OPERATIONS_H_
