#include "tests/semantics/path_operations.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>

#include "tests/semantics/files.h"

namespace posix_check {
namespace {

int OpenOnce(const char* path, int flags) { return Open(path, flags).get() < 0 ? -1 : 0; }

int Chdir(const char* path) {
  Fd here = Open(".", O_PATH | O_DIRECTORY);
  if (chdir(path) != 0) return -1;
  return fchdir(here.get());
}

int SetTimes(const char* path, int flags) {
  const timespec times[2] = {{.tv_sec = 1000, .tv_nsec = 0}, {.tv_sec = 1000, .tv_nsec = 0}};
  return utimensat(AT_FDCWD, path, times, flags);
}

// An attribute that is not there proves as well that the file was reached.
int Reached(ssize_t returned) { return returned < 0 && errno != ENODATA ? -1 : 0; }

}  // namespace

const std::vector<PathOperation> kPathOperations = {
    {"stat", Target::kFile, true, false,
     [](const char* path) {
       struct stat status;
       return stat(path, &status);
     }},
    {"lstat", Target::kFile, false, false,
     [](const char* path) {
       struct stat status;
       return lstat(path, &status);
     }},
    {"statx", Target::kFile, true, false,
     [](const char* path) {
       struct statx status;
       return statx(AT_FDCWD, path, AT_STATX_FORCE_SYNC, STATX_ALL, &status);
     }},
    {"statfs", Target::kFile, true, false,
     [](const char* path) {
       struct statfs status;
       return statfs(path, &status);
     }},
    {"access", Target::kFile, true, false, [](const char* path) { return access(path, R_OK); }},
    {"open-read", Target::kFile, true, false,
     [](const char* path) { return OpenOnce(path, O_RDONLY); }},
    {"open-path", Target::kFile, true, false,
     [](const char* path) { return OpenOnce(path, O_PATH); }},
    {"open-write", Target::kFile, true, true,
     [](const char* path) { return OpenOnce(path, O_WRONLY); }},
    {"open-truncate", Target::kFile, true, true,
     [](const char* path) { return OpenOnce(path, O_WRONLY | O_TRUNC); }},
    {"truncate", Target::kFile, true, true, [](const char* path) { return truncate(path, 7); }},
    {"chmod", Target::kFile, true, true, [](const char* path) { return chmod(path, 0755); }},
    {"chown", Target::kFile, true, true, [](const char* path) { return chown(path, 1, 1); }},
    {"lchown", Target::kFile, false, true, [](const char* path) { return lchown(path, 1, 1); }},
    {"utimens", Target::kFile, true, true, [](const char* path) { return SetTimes(path, 0); }},
    {"lutimens", Target::kFile, false, true,
     [](const char* path) { return SetTimes(path, AT_SYMLINK_NOFOLLOW); }},
    {"getxattr", Target::kFile, true, false,
     [](const char* path) { return Reached(getxattr(path, "user.absent", nullptr, 0)); }},
    {"listxattr", Target::kFile, true, false,
     [](const char* path) { return Reached(listxattr(path, nullptr, 0)); }},
    {"setxattr", Target::kFile, true, true,
     [](const char* path) { return setxattr(path, "user.some", "1", 1, 0); }},
    {"removexattr", Target::kFile, true, true,
     [](const char* path) { return Reached(removexattr(path, "user.absent")); }},
    {"unlink", Target::kFile, false, true, [](const char* path) { return unlink(path); }},
    {"link-from", Target::kFile, false, true,
     [](const char* path) { return link(path, "linked"); }},
    {"rename-from", Target::kFile, false, true,
     [](const char* path) { return rename(path, "renamed"); }},
    {"readlink", Target::kSymlink, false, false,
     [](const char* path) {
       char text[64];
       return readlink(path, text, 64) < 0 ? -1 : 0;
     }},
    {"opendir", Target::kDirectory, true, false,
     [](const char* path) { return OpenOnce(path, O_RDONLY | O_DIRECTORY); }},
    {"chdir", Target::kDirectory, true, false, Chdir},
    {"rmdir", Target::kDirectory, false, true, [](const char* path) { return rmdir(path); }},
    {"create", Target::kNothing, true, true,
     [](const char* path) { return OpenOnce(path, O_WRONLY | O_CREAT); }},
    {"create-exclusively", Target::kNothing, false, true,
     [](const char* path) { return OpenOnce(path, O_WRONLY | O_CREAT | O_EXCL); }},
    {"mkdir", Target::kNothing, false, true, [](const char* path) { return mkdir(path, 0755); }},
    {"mkfifo", Target::kNothing, false, true,
     [](const char* path) { return mknod(path, S_IFIFO | 0644, 0); }},
    {"mknod", Target::kNothing, false, true,
     [](const char* path) { return mknod(path, S_IFREG | 0644, 0); }},
    {"symlink", Target::kNothing, false, true,
     [](const char* path) { return symlink("anything", path); }},
    {"link-to", Target::kNothing, false, true,
     [](const char* path) { return link("source", path); }},
    {"rename-to", Target::kNothing, false, true,
     [](const char* path) { return rename("source", path); }},
};

}  // namespace posix_check
