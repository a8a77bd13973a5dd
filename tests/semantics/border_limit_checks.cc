// What a file system that is mounted read-only refuses (EROFS), and what does not go from one file
// system to another (EXDEV).
#include <fcntl.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/un.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <string>

#include "tests/semantics/files.h"
#include "tests/semantics/limit_parts.h"

namespace posix_check {
namespace {

int OpenOnce(const char* path, int flags) { return Open(path, flags).get() < 0 ? -1 : 0; }

int SetTimes(const char* path, int flags) { return utimensat(AT_FDCWD, path, nullptr, flags); }

int Bind(const char* path) {
  const Fd fd(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_un address = {};
  address.sun_family = AF_UNIX;
  strncpy(address.sun_path, path, sizeof(address.sun_path) - 1);
  return bind(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address));
}

// In the read-only file system, whose root is the working directory.
struct Refused {
  const char* name;
  int (*run)();
  int want = EROFS;
};

const Refused kRefused[] = {
    {"open for writing", [] { return OpenOnce("file", O_WRONLY); }},
    {"open for both", [] { return OpenOnce("file", O_RDWR); }},
    {"open to append", [] { return OpenOnce("file", O_WRONLY | O_APPEND); }},
    {"open for reading with O_TRUNC", [] { return OpenOnce("file", O_RDONLY | O_TRUNC); }},
    {"open by the symlink", [] { return OpenOnce("link", O_WRONLY); }},
    {"create", [] { return OpenOnce("new", O_WRONLY | O_CREAT); }},
    {"create for reading", [] { return OpenOnce("new", O_RDONLY | O_CREAT); }},
    {"create in a directory", [] { return OpenOnce("dir/new", O_WRONLY | O_CREAT | O_EXCL); }},
    {"create what is there", [] { return OpenOnce("file", O_WRONLY | O_CREAT); }},
    {"create exclusively what is there",
     [] { return OpenOnce("file", O_WRONLY | O_CREAT | O_EXCL); }, EEXIST},
    {"a temporary file", [] { return OpenOnce("dir", O_RDWR | O_TMPFILE); }},
    {"truncate", [] { return truncate("file", 0); }},
    {"chmod of a file", [] { return chmod("file", 0600); }},
    {"chmod of a directory", [] { return chmod("dir", 0700); }},
    {"fchmod", [] { return fchmod(Open("file", O_RDONLY).get(), 0600); }},
    {"chown of a file", [] { return chown("file", 1, 1); }},
    {"chown of a directory", [] { return chown("dir", 1, 1); }},
    {"lchown of a symlink", [] { return lchown("link", 1, 1); }},
    {"fchown", [] { return fchown(Open("file", O_RDONLY).get(), 1, 1); }},
    {"utimens of a file", [] { return SetTimes("file", 0); }},
    {"utimens of a directory", [] { return SetTimes("dir", 0); }},
    {"utimens of a symlink", [] { return SetTimes("link", AT_SYMLINK_NOFOLLOW); }},
    {"futimens", [] { return futimens(Open("file", O_RDONLY).get(), nullptr); }},
    {"setxattr", [] { return setxattr("file", "user.x", "1", 1, 0); }},
    {"fsetxattr", [] { return fsetxattr(Open("dir", O_RDONLY).get(), "user.x", "1", 1, 0); }},
    {"lsetxattr", [] { return lsetxattr("link", "trusted.x", "1", 1, 0); }},
    {"removexattr", [] { return removexattr("file", "user.x"); }},
    {"mkdir", [] { return mkdir("new", 0755); }},
    {"mkdir of what is there", [] { return mkdir("dir", 0755); }, EEXIST},
    {"mkdir in a directory", [] { return mkdir("dir/new", 0755); }},
    {"rmdir", [] { return rmdir("dir"); }},
    {"rmdir of what is absent", [] { return rmdir("absent"); }, EROFS},
    {"unlink of a file", [] { return unlink("file"); }},
    {"unlink of a symlink", [] { return unlink("link"); }},
    {"symlink", [] { return symlink("file", "new"); }},
    {"link", [] { return link("file", "new"); }},
    {"link in a directory", [] { return link("file", "dir/new"); }},
    {"rename of a file", [] { return rename("file", "new"); }},
    {"rename of a directory", [] { return rename("dir", "new"); }},
    {"rename onto another", [] { return rename("file", "link"); }},
    {"rename into a directory", [] { return rename("file", "dir/new"); }},
    {"exchange", [] { return renameat2(AT_FDCWD, "file", AT_FDCWD, "dir", RENAME_EXCHANGE); }},
    {"rename without replacing",
     [] { return renameat2(AT_FDCWD, "file", AT_FDCWD, "new", RENAME_NOREPLACE); }},
    {"mkfifo", [] { return mkfifo("new", 0644); }},
    {"mknod of a file", [] { return mknod("new", S_IFREG | 0644, 0); }},
    {"mknod of a device", [] { return mknod("new", S_IFCHR | 0644, 0x103); }},
    {"bind of a socket", [] { return Bind("new"); }},
    {"access to write", [] { return access("file", W_OK); }},
    {"access to write to a directory", [] { return access("dir", W_OK); }},
};

const Refused kGranted[] = {
    {"open for reading", [] { return OpenOnce("file", O_RDONLY); }, 0},
    {"open for reading with O_CREAT", [] { return OpenOnce("file", O_RDONLY | O_CREAT); }, 0},
    {"open a directory", [] { return OpenOnce("dir", O_RDONLY | O_DIRECTORY); }, 0},
    {"read", [] { return ReadFile("file").substr(0, 1) == "<" ? -1 : 0; }, 0},
    {"list", [] { return Names(".").count("file") == 1 ? 0 : -1; }, 0},
    {"readlink", [] { return LinkText("link").substr(0, 1) == "<" ? -1 : 0; }, 0},
    {"access to read", [] { return access("file", R_OK); }, 0},
    {"what is absent", [] { return OpenOnce("absent", O_RDONLY); }, ENOENT},
    {"fsync", [] { return fsync(Open("file", O_RDONLY).get()); }, 0},
    {"flock", [] { return flock(Open("file", O_RDONLY).get(), LOCK_EX | LOCK_NB); }, 0},
    {"map",
     [] {
       void* mapped = mmap(nullptr, 4096, PROT_READ, MAP_SHARED, Open("file", O_RDONLY).get(), 0);
       return mapped == MAP_FAILED ? -1 : munmap(mapped, 4096);
     },
     0},
    {"statvfs says so",
     [] {
       struct statvfs status;
       if (statvfs(".", &status) != 0) return -1;
       return (status.f_flag & ST_RDONLY) != 0 ? 0 : -1;
     },
     0},
};

void AddReadOnly(Registry& registry) {
  const std::string& place = registry.places().read_only_fs;
  if (place.empty()) return;
  const auto add = [&](const char* family, const Refused& one) {
    registry.Add(std::string("limit/read-only/") + family + "/" + one.name,
                 [place, &one](Report& r) {
                   if (!r.Call("chdir", chdir(place.c_str()))) return;
                   const std::set<std::string> names = Names(".");
                   errno = 0;
                   r.Call(one.name, one.run(), one.want);
                   r.True("the names are the same", Names(".") == names);
                 });
  };
  for (const Refused& one : kRefused) add("refused", one);
  for (const Refused& one : kGranted) add("granted", one);
}

// Between `here`, which holds the file `file`, the directory `dir` and the symlink `link`, and
// `there`, which holds `file` and `dir` as well.
struct Crossing {
  const char* name;
  int (*run)(int here, int there);
};

const Crossing kCrossings[] = {
    {"rename of a file", [](int a, int b) { return renameat(a, "file", b, "new"); }},
    {"rename onto a file", [](int a, int b) { return renameat(a, "file", b, "file"); }},
    {"rename of a directory", [](int a, int b) { return renameat(a, "dir", b, "new"); }},
    {"rename onto a directory", [](int a, int b) { return renameat(a, "dir", b, "dir"); }},
    {"rename of a symlink", [](int a, int b) { return renameat(a, "link", b, "new"); }},
    {"rename without replacing",
     [](int a, int b) { return renameat2(a, "file", b, "new", RENAME_NOREPLACE); }},
    {"exchange", [](int a, int b) { return renameat2(a, "file", b, "file", RENAME_EXCHANGE); }},
    {"rename of what is absent", [](int a, int b) { return renameat(a, "absent", b, "new"); }},
    {"link of a file", [](int a, int b) { return linkat(a, "file", b, "new", 0); }},
    {"link of a symlink", [](int a, int b) { return linkat(a, "link", b, "new", 0); }},
    {"link of what a symlink leads to",
     [](int a, int b) { return linkat(a, "link", b, "new", AT_SYMLINK_FOLLOW); }},
    {"link of a descriptor",
     [](int a, int b) {
       const Fd fd(openat(a, "file", O_RDONLY | O_CLOEXEC));
       return linkat(fd.get(), "", b, "new", AT_EMPTY_PATH);
     }},
};

void Furnish(Report& r, const std::string& directory) {
  r.Call("file", MakeFile(directory + "/file", "of " + directory));
  r.Call("dir", mkdir((directory + "/dir").c_str(), 0755));
  r.Call("link", symlink("file", (directory + "/link").c_str()));
}

void AddCrossings(Registry& registry) {
  const std::string& place = registry.places().other_fs;
  if (place.empty()) return;
  for (const Crossing& one : kCrossings) {
    for (const bool outwards : {true, false}) {
      registry.Add(
          std::string("limit/to another file system/") + one.name +
              (outwards ? " out of it" : " into it"),
          [place, &one, outwards](Report& r) {
            std::string other = place + "/posix_check.XXXXXX";
            if (!r.True("a directory of the other", mkdtemp(other.data()) != nullptr)) return;
            Furnish(r, ".");
            Furnish(r, other);
            const std::set<std::string> names = {"file", "dir", "link"};
            {
              const Fd here = Open(".", O_RDONLY | O_DIRECTORY);
              const Fd there = Open(other, O_RDONLY | O_DIRECTORY);
              r.Call(one.name,
                     outwards ? one.run(here.get(), there.get()) : one.run(there.get(), here.get()),
                     EXDEV);
            }
            r.True("here nothing is changed", Names(".") == names);
            r.True("there nothing is changed", Names(other) == names);
            r.Equal("the file here", ReadFile("file"), "of .");
            r.Equal("the file there", ReadFile(other + "/file"), "of " + other);
            for (const char* name : {"/file", "/link", "/new"}) unlink((other + name).c_str());
            for (const char* name : {"/dir", "/new", ""}) rmdir((other + name).c_str());
          });
    }
  }
}

}  // namespace

void AddBorderLimitChecks(Registry& registry) {
  AddReadOnly(registry);
  AddCrossings(registry);
}

}  // namespace posix_check
