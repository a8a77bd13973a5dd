// Modes: every mode a file can be created with or changed to, under umasks.
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <cstdio>
#include <string>

#include "tests/semantics/areas.h"
#include "tests/semantics/files.h"
#include "tests/semantics/process.h"

namespace posix_check {
namespace {

constexpr unsigned kModesPerCheck = 64;
constexpr mode_t kUmasks[] = {0, 022, 077, 027, 0777, 0137, 02, 0124};

struct Maker {
  const char* name;
  unsigned modes;  // how many there are: 010000 with, 01000 without the upper three bits
  int (*make)(const char* path, mode_t mode);
};

const Maker kMakers[] = {
    {"open", 010000,
     [](const char* path, mode_t mode) {
       return Open(path, O_CREAT | O_EXCL, mode).get() < 0 ? -1 : 0;
     }},
    {"mkdir", 01000, [](const char* path, mode_t mode) { return mkdir(path, mode); }},
    {"mknod of a file", 01000,
     [](const char* path, mode_t mode) { return mknod(path, S_IFREG | mode, 0); }},
    {"mknod of a fifo", 01000,
     [](const char* path, mode_t mode) { return mknod(path, S_IFIFO | mode, 0); }},
};

std::string Octal(unsigned value) {
  char text[16];
  snprintf(text, sizeof(text), "%04o", value);
  return text;
}

void AddCreation(Registry& registry) {
  for (const Maker& maker : kMakers) {
    for (unsigned first = 0; first < maker.modes; first += kModesPerCheck) {
      registry.Add(
          std::string("modes/") + maker.name + "/from " + Octal(first), [&maker, first](Report& r) {
            for (unsigned mode = first; mode < first + kModesPerCheck && !r.failed(); ++mode) {
              const mode_t mask = kUmasks[mode % std::size(kUmasks)];
              umask(mask);
              const std::string what = "mode " + Octal(mode) + " under umask " + Octal(mask);
              r.Call(what, maker.make("x", mode));
              r.Mode(what, ModeOf("x"), mode & ~mask);
              r.Call("remove", remove("x"));
            }
          });
    }
    for (unsigned first = 0; first < 01000; first += kModesPerCheck) {
      registry.Add(std::string("modes/umask/") + maker.name + "/from " + Octal(first),
                   [&maker, first](Report& r) {
                     for (mode_t mask = first; mask < first + kModesPerCheck && !r.failed();
                          ++mask) {
                       umask(mask);
                       const std::string what = "umask " + Octal(mask);
                       r.Call(what, maker.make("x", 0777));
                       r.Mode(what, ModeOf("x"), 0777 & ~mask);
                       r.Call("remove", remove("x"));
                     }
                   });
    }
  }
}

void AddChanges(Registry& registry) {
  for (const bool directory : {false, true}) {
    for (unsigned first = 0; first < 010000; first += 2 * kModesPerCheck) {
      registry.Add(std::string("modes/chmod/") + (directory ? "directory" : "file") + "/from " +
                       Octal(first),
                   [directory, first](Report& r) {
                     r.Call("make", directory ? MakeDir("x") : MakeFile("x"));
                     Fd fd = Open("x", O_RDONLY);
                     for (unsigned mode = first; mode < first + 2 * kModesPerCheck; ++mode) {
                       // By turns, since both reach the server in their own way.
                       r.Call("chmod", mode % 2 == 0 ? chmod("x", mode) : fchmod(fd.get(), mode));
                       r.Mode("mode " + Octal(mode), ModeOf("x"), mode);
                     }
                   });
    }
  }
  registry.Add("modes/chmod/umask does not matter", [](Report& r) {
    r.Call("make", MakeFile("x"));
    umask(0777);
    r.Call("chmod", chmod("x", 0777));
    r.Mode("mode", ModeOf("x"), 0777);
  });
  registry.Add("modes/chmod/of a symlink is of what it names", [](Report& r) {
    r.Call("make", MakeFile("x"));
    r.Call("symlink", symlink("x", "link"));
    r.Call("chmod", chmod("link", 0601));
    r.Mode("mode of the file", ModeOf("x"), 0601);
    r.Mode("mode of the link", ModeOf("link"), 0777);
  });
  registry.Add("modes/open/existing file keeps its mode", [](Report& r) {
    r.Call("make", MakeFile("x", "", 0604));
    const Fd fd = Open("x", O_RDWR | O_CREAT | O_TRUNC, 0777);
    r.Call("open", fd.get() < 0 ? -1 : 0);
    r.Mode("mode", ModeOf("x"), 0604);
  });
  for (const int flags : {O_RDONLY, O_WRONLY, O_RDWR}) {
    registry.Add("modes/open/a mode without rights is for others, flags " + std::to_string(flags),
                 [flags](Report& r) {
                   r.Call("chmod", chmod(".", 0777));
                   const int got = RunAs(kOther, [&] {
                     Fd fd = Open("x", flags | O_CREAT | O_EXCL, 0);
                     if (fd.get() < 0) return errno;
                     if (flags != O_RDONLY && write(fd.get(), "text", 4) != 4) return errno;
                     if (flags != O_WRONLY) ReadAt(fd.get(), 4, 0);
                     return Open("x", flags).get() < 0 && errno == EACCES ? 0 : EIO;
                   });
                   r.Errno("create and use", got, 0);
                   r.Mode("mode", ModeOf("x"), 0);
                 });
  }
}

void AddTypes(Registry& registry) {
  static const struct {
    const char* name;
    mode_t type;
    dev_t device;
  } kTypes[] = {
      {"fifo", S_IFIFO, 0},
      {"socket", S_IFSOCK, 0},
      {"character device", S_IFCHR, makedev(1, 3)},
      {"block device", S_IFBLK, makedev(7, 200)},
      {"device with a large minor", S_IFCHR, makedev(240, 0xfffff)},
      {"device with a large major", S_IFCHR, makedev(4095, 1)},
      {"regular file", S_IFREG, 0},
  };
  for (const auto& type : kTypes) {
    registry.Add(std::string("modes/type/") + type.name, [&type](Report& r) {
      umask(0);
      r.Call("mknod", mknod("x", type.type | 0642, type.device));
      const struct stat status = Look("x");
      r.Mode("mode", status.st_mode, type.type | 0642);
      r.Equal("device", status.st_rdev, type.device);
      r.Equal("size", status.st_size, 0);
      r.Equal("links", status.st_nlink, 1);
      r.Call("chmod", chmod("x", 0604));
      r.Call("chown", chown("x", 3, 4));
      r.Mode("type after changes", Look("x").st_mode, type.type | 0604);
    });
  }
  for (const mode_t type : {S_IFCHR, S_IFBLK}) {
    registry.Add(
        std::string("modes/type/only root makes devices, ") + Octal(type), [type](Report& r) {
          r.Call("chmod", chmod(".", 0777));
          const int got =
              RunAs(kOwner, [&] { return ErrnoOf(mknod("x", type | 0644, makedev(1, 3))); });
          r.Errno("mknod", got, EPERM);
        });
  }
  registry.Add("modes/type/mknod of a directory",
               [](Report& r) { r.Call("mknod", mknod("x", S_IFDIR | 0755, 0), EPERM); });
  registry.Add("modes/type/a fifo carries bytes", [](Report& r) {
    r.Call("mknod", mknod("x", S_IFIFO | 0644, 0));
    Fd reader = Open("x", O_RDONLY | O_NONBLOCK);
    Fd writer = Open("x", O_WRONLY | O_NONBLOCK);
    r.Equal("write", write(writer.get(), "text", 4), 4);
    char buffer[8] = {};
    r.Equal("read", read(reader.get(), buffer, sizeof(buffer)), 4);
    r.Equal("bytes", buffer, "text");
  });
  registry.Add("modes/type/a device on the share can be opened by root", [](Report& r) {
    r.Call("mknod", mknod("x", S_IFCHR | 0666, makedev(1, 5)));  // zero
    Fd fd = Open("x", O_RDONLY);
    if (fd.get() < 0 && errno == EACCES) return r.Unsupported("mounted with nodev");
    char byte = 1;
    r.Equal("read", read(fd.get(), &byte, 1), 1);
    r.Equal("byte", byte, 0);
  });
}

}  // namespace

void AddModeChecks(Registry& registry) {
  AddCreation(registry);
  AddChanges(registry);
  AddTypes(registry);
}

}  // namespace posix_check
