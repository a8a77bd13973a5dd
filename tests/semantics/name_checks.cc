// Names: their lengths, their bytes, dots and slashes.
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdio>
#include <string>

#include "tests/semantics/areas.h"
#include "tests/semantics/files.h"

namespace posix_check {
namespace {

struct Kind {
  const char* name;
  int (*make)(const char* path);
  bool directory;
};

// link and rename find a file `source`.
const Kind kKinds[] = {
    {"file", [](const char* path) { return MakeFile(path); }, false},
    {"directory", [](const char* path) { return mkdir(path, 0755); }, true},
    {"symlink", [](const char* path) { return symlink("x", path); }, false},
    {"fifo", [](const char* path) { return mknod(path, S_IFIFO | 0644, 0); }, false},
    {"link", [](const char* path) { return link("source", path); }, false},
    {"rename", [](const char* path) { return rename("source", path); }, false},
};

// The name works in every operation that takes one.
void CheckName(Report& r, const Kind& kind, const std::string& name) {
  r.Call("source", MakeFile("source"));
  r.Call("mkdir", mkdir("d", 0755));
  const std::string path = "d/" + name;
  if (!r.Call("make", kind.make(path.c_str()))) return;
  r.True("lstat finds it", Exists(path));
  r.True("the listing is exactly this name", Names("d") == std::set<std::string>{name});
  r.Call("make again", kind.make(path.c_str()),
         kind.name == std::string("rename") ? ENOENT : EEXIST);
  r.Call("rename away", rename(path.c_str(), "d/other"));
  r.True("it is gone", !Exists(path));
  r.Call("rename back", rename("d/other", path.c_str()));
  r.Call("remove", kind.directory ? rmdir(path.c_str()) : unlink(path.c_str()));
  r.True("the directory is empty", Names("d").empty());
}

void AddLengths(Registry& registry) {
  for (const Kind& kind : kKinds) {
    for (const int length : {1, 2, 3, 7, 8, 63, 64, 127, 128, 200, 253, 254, 255}) {
      registry.Add("names/length/" + std::string(kind.name) + "/" + std::to_string(length),
                   [&kind, length](Report& r) { CheckName(r, kind, std::string(length, 'n')); });
    }
    for (const int length : {256, 257, 511, 512, 1023, 1024, 1025, 4000}) {
      registry.Add("names/length/" + std::string(kind.name) + "/" + std::to_string(length),
                   [&kind, length](Report& r) {
                     r.Call("source", MakeFile("source"));
                     const std::string name(length, 'n');
                     r.Call("make", kind.make(name.c_str()), ENAMETOOLONG);
                     r.True("nothing was made", Names(".") == std::set<std::string>{"source"});
                   });
    }
  }
}

void AddBytes(Registry& registry) {
  for (int byte = 1; byte < 256; ++byte) {
    if (byte == '/' || byte == '.') continue;
    char name[32];
    snprintf(name, sizeof(name), "names/byte/0x%02x", byte);
    registry.Add(name, [byte](Report& r) {
      CheckName(r, kKinds[0], std::string(1, static_cast<char>(byte)) + "x");
    });
  }
  static const struct {
    const char* name;
    const char* text;
  } kTexts[] = {
      {"three dots", "..."},
      {"two dots and a letter", "..a"},
      {"hidden", ".hidden"},
      {"trailing dots", "a.."},
      {"one space", " "},
      {"trailing space", "a "},
      {"a dash", "-"},
      {"an option", "--force"},
      {"a newline", "a\nb"},
      {"a tab and a carriage return", "a\t\r"},
      {"a backslash", "a\\b"},
      {"a colon", "C:"},
      {"a star", "*"},
      {"a reserved name elsewhere", "NUL"},
      {"composed UTF-8", "\xc3\xa9"},
      {"four-byte UTF-8", "\xf0\x9f\x90\xa7"},
      {"broken UTF-8", "\xc3\x28"},
      {"overlong UTF-8 slash", "\xc0\xaf"},
      {"a lone continuation byte", "\x80"},
      {"a surrogate in UTF-8", "\xed\xa0\x80"},
      {"all bytes of 0xff", "\xff\xff\xff"},
      {"an escape sequence", "\x1b[31m"},
      {"a fuse-like name", ".fuse_hidden0001"},
      {"a network-like name", ".nfs0001"},
  };
  for (const auto& text : kTexts) {
    for (const Kind& kind : kKinds) {
      registry.Add(std::string("names/text/") + kind.name + "/" + text.name,
                   [&kind, &text](Report& r) { CheckName(r, kind, text.text); });
    }
  }
  registry.Add("names/distinct/case", [](Report& r) {
    r.Call("a", MakeFile("name", "small"));
    r.Call("A", MakeFile("NAME", "large"));
    r.Equal("content", ReadFile("name"), "small");
    r.Equal("content", ReadFile("NAME"), "large");
  });
  registry.Add("names/distinct/composed and decomposed", [](Report& r) {
    r.Call("composed", MakeFile("\xc3\xa9", "composed"));
    r.Call("decomposed", MakeFile("e\xcc\x81", "decomposed"));
    r.Equal("content", ReadFile("\xc3\xa9"), "composed");
    r.Equal("content", ReadFile("e\xcc\x81"), "decomposed");
  });
  registry.Add("names/distinct/255 bytes that differ in the last", [](Report& r) {
    const std::string stem(254, 'n');
    r.Call("first", MakeFile(stem + "a", "a"));
    r.Call("second", MakeFile(stem + "b", "b"));
    r.Equal("content", ReadFile(stem + "a"), "a");
    r.Equal("content", ReadFile(stem + "b"), "b");
  });
}

struct Situation {
  const char* name;
  int (*run)();
  int want;
};

// The directory `d`, the file `f`, the symlinks `ld` -> d and `lf` -> f.
const Situation kDots[] = {
    {"mkdir dot", [] { return mkdir(".", 0755); }, EEXIST},
    {"mkdir dot-dot", [] { return mkdir("..", 0755); }, EEXIST},
    {"mkdir d/.", [] { return mkdir("d/.", 0755); }, EEXIST},
    {"mkdir new/.", [] { return mkdir("new/.", 0755); }, ENOENT},
    {"rmdir dot", [] { return rmdir("d/."); }, EINVAL},
    {"rmdir dot-dot", [] { return rmdir("d/.."); }, ENOTEMPTY},
    {"unlink dot", [] { return unlink("d/."); }, EISDIR},
    {"unlink dot-dot", [] { return unlink("d/.."); }, EISDIR},
    {"rename dot", [] { return rename("d/.", "e"); }, EBUSY},
    {"rename onto dot", [] { return rename("e", "d/."); }, EBUSY},
    {"rename dot-dot", [] { return rename("d/..", "e"); }, EBUSY},
    {"symlink at dot", [] { return symlink("x", "."); }, EEXIST},
    {"mknod at dot", [] { return mknod(".", S_IFREG | 0644, 0); }, EEXIST},
    {"link at dot-dot", [] { return link("f", ".."); }, EEXIST},
    {"create dot", [] { return open(".", O_WRONLY | O_CREAT, 0644); }, EISDIR},
    {"create exclusively at dot", [] { return open(".", O_WRONLY | O_CREAT | O_EXCL, 0644); },
     EEXIST},
};

const Situation kSlashes[] = {
    {"mkdir", [] { return mkdir("new/", 0755); }, 0},
    {"mkdir with three", [] { return mkdir("new///", 0755); }, 0},
    {"rmdir", [] { return rmdir("d/"); }, 0},
    {"rmdir of a symlink", [] { return rmdir("ld/"); }, ENOTDIR},
    {"unlink of a file", [] { return unlink("f/"); }, ENOTDIR},
    {"unlink of a directory", [] { return unlink("d/"); }, EISDIR},
    {"unlink of a symlink to a directory", [] { return unlink("ld/"); }, ENOTDIR},
    {"create", [] { return open("new/", O_WRONLY | O_CREAT, 0644); }, EISDIR},
    {"open a file", [] { return open("f/", O_RDONLY); }, ENOTDIR},
    {"open a symlink to a file", [] { return open("lf/", O_RDONLY); }, ENOTDIR},
    {"open a directory", [] { return Open("d/", O_RDONLY).get() < 0 ? -1 : 0; }, 0},
    {"symlink", [] { return symlink("x", "new/"); }, ENOENT},
    {"symlink over a file", [] { return symlink("x", "f/"); }, EEXIST},
    {"mknod", [] { return mknod("new/", S_IFREG | 0644, 0); }, ENOENT},
    {"link", [] { return link("f", "new/"); }, ENOENT},
    {"link of a file", [] { return link("f/", "new"); }, ENOTDIR},
    {"rename a file", [] { return rename("f", "new/"); }, ENOTDIR},
    {"rename a file with one", [] { return rename("f/", "new"); }, ENOTDIR},
    {"rename a directory", [] { return rename("d", "new/"); }, 0},
    {"rename a directory with one", [] { return rename("d/", "new"); }, 0},
    {"rename onto an empty directory", [] { return rename("d/", "e/"); }, 0},
};

void MakeScene(Report& r) {
  r.Call("d", mkdir("d", 0755));
  r.Call("e", mkdir("e", 0755));
  r.Call("f", MakeFile("f"));
  r.Call("ld", symlink("d", "ld"));
  r.Call("lf", symlink("f", "lf"));
}

}  // namespace

void AddNameChecks(Registry& registry) {
  AddLengths(registry);
  AddBytes(registry);
  for (const Situation& dot : kDots) {
    registry.Add(std::string("names/dots/") + dot.name, [&dot](Report& r) {
      MakeScene(r);
      r.Call(dot.name, dot.run(), dot.want);
    });
  }
  for (const Situation& slash : kSlashes) {
    registry.Add(std::string("names/trailing slash/") + slash.name, [&slash](Report& r) {
      MakeScene(r);
      r.Call(slash.name, slash.run(), slash.want);
    });
  }
}

}  // namespace posix_check
