// Symbolic links: their texts, how far they are followed, and what acts on the link itself.
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <climits>
#include <string>

#include "tests/semantics/areas.h"
#include "tests/semantics/files.h"

namespace posix_check {
namespace {

// For names of checks, which are words of a line.
std::string Printable(const std::string& text) {
  static const char kDigits[] = "0123456789abcdef";
  std::string printable;
  for (const unsigned char byte : text) {
    if (byte > ' ' && byte < 0x7f) {
      printable += static_cast<char>(byte);
    } else {
      printable += {'\\', 'x', kDigits[byte >> 4], kDigits[byte & 15]};
    }
  }
  return printable;
}

void AddTexts(Registry& registry) {
  for (const int length :
       {1, 2, 15, 59, 60, 61, 127, 128, 255, 256, 1023, 1024, 4000, 4094, 4095}) {
    registry.Add("symlinks/text length/" + std::to_string(length), [length](Report& r) {
      std::string text(length, 't');
      for (size_t i = 200; i < text.size(); i += 200) text[i] = '/';
      r.Call("symlink", symlink(text.c_str(), "link"), 0);
      r.Equal("text", LinkText("link"), text);
      r.Equal("size", Look("link").st_size, length);
      r.True("it is a symlink", S_ISLNK(Look("link").st_mode));
    });
  }
  for (const int length : {4096, 5000}) {
    registry.Add("symlinks/text length/" + std::to_string(length), [length](Report& r) {
      r.Call("symlink", symlink(std::string(length, 't').c_str(), "link"), ENAMETOOLONG);
    });
  }
  static const char* const kTexts[] = {
      ".",           "..",   "/",        "//",   "a b",       "a\nb",           "/absent/file",
      "../../../..", "link", "\xff\xfe", "\x01", "trailing/", "/proc/self/exe", "C:\\",
      "%s%n",
  };
  for (const char* text : kTexts) {
    registry.Add("symlinks/text/" + Printable(text), [text](Report& r) {
      r.Call("symlink", symlink(text, "link"));
      r.Equal("text", LinkText("link"), text);
    });
  }
  registry.Add("symlinks/text/empty",
               [](Report& r) { r.Call("symlink", symlink("", "link"), ENOENT); });
  registry.Add("symlinks/text/cut to the buffer", [](Report& r) {
    r.Call("symlink", symlink("0123456789", "link"));
    char buffer[8] = {};
    r.Equal("readlink", readlink("link", buffer, 4), 4);
    r.Equal("text", buffer, "0123");
    r.Call("no room at all", readlink("link", buffer, 0), EINVAL);
  });
  for (const char* kind : {"file", "directory"}) {
    registry.Add(std::string("symlinks/readlink of a ") + kind, [kind](Report& r) {
      r.Call("make", kind[0] == 'f' ? MakeFile("x") : MakeDir("x"));
      char buffer[8];
      r.Call("readlink", readlink("x", buffer, sizeof(buffer)), EINVAL);
    });
  }
}

void AddChains(Registry& registry) {
  // Linux follows 40 links on one walk.
  for (const int links : {1, 2, 8, 20, 39, 40, 41, 60}) {
    registry.Add("symlinks/chain/" + std::to_string(links), [links](Report& r) {
      r.Call("file", MakeFile("0", "text"));
      for (int i = 1; i <= links; ++i) {
        r.Call("link", symlink(std::to_string(i - 1).c_str(), std::to_string(i).c_str()));
      }
      const Fd fd = Open(std::to_string(links), O_RDONLY);
      r.Call("open", fd.get() < 0 ? -1 : 0, links <= 40 ? 0 : ELOOP);
    });
  }
  registry.Add("symlinks/relative to the directory they stand in", [](Report& r) {
    r.Call("a", mkdir("a", 0755));
    r.Call("b", mkdir("b", 0755));
    r.Call("file", MakeFile("a/file", "in a"));
    r.Call("file", MakeFile("file", "outside"));
    r.Call("link", symlink("file", "a/link"));
    r.Call("link", symlink("../a/link", "b/link"));
    r.Equal("content", ReadFile("a/link"), "in a");
    r.Equal("content", ReadFile("b/link"), "in a");
    r.Call("moved", rename("a/link", "link"));
    r.Equal("content after the move", ReadFile("link"), "outside");
  });
  registry.Add("symlinks/absolute", [](Report& r) {
    char here[PATH_MAX];
    r.True("getcwd", getcwd(here, sizeof(here)) != nullptr);
    r.Call("file", MakeFile("file", "text"));
    r.Call("link", symlink((std::string(here) + "/file").c_str(), "link"));
    r.Equal("content", ReadFile("link"), "text");
  });
  registry.Add("symlinks/replaced while its old text may be remembered", [](Report& r) {
    r.Call("one", MakeFile("one", "1"));
    r.Call("two", MakeFile("two", "2"));
    r.Call("link", symlink("one", "link"));
    r.Equal("content", ReadFile("link"), "1");
    r.Call("next", symlink("two", "next"));
    r.Call("rename", rename("next", "link"));
    r.Equal("text", LinkText("link"), "two");
    r.Equal("content", ReadFile("link"), "2");
    r.Call("unlink", unlink("link"));
    r.Call("again", symlink("one", "link"));
    r.Equal("content", ReadFile("link"), "1");
  });
}

struct OnTheLink {
  const char* name;
  int (*run)();
  // What stands where after it: whether the link and the file `target` are still there.
  bool link_left;
  bool target_left;
};

const OnTheLink kOnTheLink[] = {
    {"unlink", [] { return unlink("link"); }, false, true},
    {"rename away", [] { return rename("link", "elsewhere"); }, false, true},
    {"rename over it", [] { return rename("file", "link"); }, true, true},
    {"lchown", [] { return lchown("link", 5, 6); }, true, true},
    {"lutimens",
     [] {
       const timespec times[2] = {{.tv_sec = 5, .tv_nsec = 6}, {.tv_sec = 7, .tv_nsec = 8}};
       return utimensat(AT_FDCWD, "link", times, AT_SYMLINK_NOFOLLOW);
     },
     true, true},
    {"hard link", [] { return link("link", "elsewhere"); }, true, true},
};

void AddOnTheLink(Registry& registry) {
  for (const OnTheLink& one : kOnTheLink) {
    registry.Add(std::string("symlinks/acts on the link/") + one.name, [&one](Report& r) {
      r.Call("target", MakeFile("target", "target"));
      r.Call("file", MakeFile("file", "file"));
      r.Call("link", symlink("target", "link"));
      const struct stat before = Look("target");
      r.Call(one.name, one.run());
      const struct stat after = Look("target");
      r.Equal("the link is there", Exists("link"), one.link_left);
      r.Equal("the target is there", Exists("target"), one.target_left);
      r.Equal("owner of the target", after.st_uid, before.st_uid);
      r.Equal("links of the target", after.st_nlink, before.st_nlink);
      r.Equal("mtime of the target", after.st_mtim.tv_nsec, before.st_mtim.tv_nsec);
      r.Equal("content of the target", ReadFile("target"), "target");
    });
  }
  registry.Add("symlinks/own owner and times", [](Report& r) {
    r.Call("target", MakeFile("target"));
    r.Call("link", symlink("target", "link"));
    r.Call("lchown", lchown("link", 5, 6));
    const timespec times[2] = {{.tv_sec = 5, .tv_nsec = 6000}, {.tv_sec = 7, .tv_nsec = 8000}};
    r.Call("lutimens", utimensat(AT_FDCWD, "link", times, AT_SYMLINK_NOFOLLOW));
    const struct stat status = Look("link");
    r.Equal("uid", status.st_uid, 5);
    r.Equal("gid", status.st_gid, 6);
    r.Equal("mtime", status.st_mtim.tv_sec, 7);
    r.Equal("mtime's nanoseconds", status.st_mtim.tv_nsec, 8000);
  });
  registry.Add("symlinks/mode is 0777 under any umask", [](Report& r) {
    umask(0777);
    r.Call("link", symlink("target", "link"));
    umask(022);
    r.Mode("mode", ModeOf("link"), 0777);
  });
  static const struct {
    const char* name;
    int flags;
    int want;
  } kOpens[] = {
      {"O_RDONLY", O_RDONLY, 0},
      {"O_NOFOLLOW", O_RDONLY | O_NOFOLLOW, ELOOP},
      {"O_NOFOLLOW O_DIRECTORY", O_RDONLY | O_NOFOLLOW | O_DIRECTORY, ENOTDIR},
      {"O_PATH O_NOFOLLOW", O_PATH | O_NOFOLLOW, 0},
      {"O_CREAT O_EXCL", O_WRONLY | O_CREAT | O_EXCL, EEXIST},
      {"O_CREAT O_NOFOLLOW", O_WRONLY | O_CREAT | O_NOFOLLOW, ELOOP},
  };
  for (const auto& one : kOpens) {
    registry.Add(std::string("symlinks/open/") + one.name, [&one](Report& r) {
      r.Call("target", MakeFile("target"));
      r.Call("link", symlink("target", "link"));
      const Fd fd = Open("link", one.flags);
      r.Call(one.name, fd.get() < 0 ? -1 : 0, one.want);
    });
  }
  registry.Add("symlinks/open/creates what a dangling one names", [](Report& r) {
    r.Call("d", mkdir("d", 0755));
    r.Call("link", symlink("d/made", "link"));
    r.Call("write", WriteFile("link", "text"));
    r.Equal("content", ReadFile("d/made"), "text");
    r.True("the link is still one", S_ISLNK(Look("link").st_mode));
  });
}

}  // namespace

void AddSymlinkChecks(Registry& registry) {
  AddTexts(registry);
  AddChains(registry);
  AddOnTheLink(registry);
}

}  // namespace posix_check
