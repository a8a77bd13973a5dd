// Files with holes: SEEK_DATA and SEEK_HOLE, sizes against blocks, zeros where nothing was written.
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <string>

#include "tests/semantics/areas.h"
#include "tests/semantics/files.h"

namespace posix_check {
namespace {

constexpr off_t kUnit = 65536;  // a multiple of any block size

// In a file whose letters are units, 'd' data and '.' a hole.
struct Layout {
  const char* units;
  off_t tail;  // bytes of a hole at the end, beyond the units
};

const Layout kLayouts[] = {
    {"", 0},     {"d", 0},   {".", 0},        {".d", 0},       {"d.", 0},
    {"d.d", 0},  {".d.", 0}, {"..dd..dd", 0}, {"d.d.d.d.", 0}, {"dddd", 0},
    {"....", 0}, {"d", 100}, {".", 1},        {"d.d", 5000},
};

int MakeLayout(const std::string& path, const Layout& layout) {
  Fd fd = Open(path, O_RDWR | O_CREAT | O_EXCL);
  if (fd.get() < 0) return -1;
  const std::string units = layout.units;
  const std::string data = Pattern(kUnit);
  for (size_t i = 0; i < units.size(); ++i) {
    if (units[i] == 'd' && pwrite(fd.get(), data.data(), kUnit, i * kUnit) != kUnit) return -1;
  }
  if (ftruncate(fd.get(), units.size() * kUnit + layout.tail) != 0) return -1;
  // Delayed allocation would show as whatever the file system likes.
  return fsync(fd.get());
}

off_t Size(const Layout& layout) { return std::string(layout.units).size() * kUnit + layout.tail; }

// What SEEK_DATA or SEEK_HOLE answers, by the definition; minus ENXIO past the end.
off_t Expected(const Layout& layout, off_t from, int whence) {
  const std::string units = layout.units;
  if (from < 0 || from >= Size(layout)) return -ENXIO;
  const char wanted = whence == SEEK_DATA ? 'd' : '.';
  for (size_t i = from / kUnit; i < units.size(); ++i) {
    if (units[i] == wanted) return std::max<off_t>(from, i * kUnit);
  }
  // The tail is a hole, and so is the end of the file.
  if (whence == SEEK_DATA) return -ENXIO;
  return std::max<off_t>(from, units.size() * kUnit);
}

void AddSeeks(Registry& registry) {
  for (const Layout& layout : kLayouts) {
    const std::string name =
        "sparse/seek/'" + std::string(layout.units) + "'+" + std::to_string(layout.tail);
    for (const int whence : {SEEK_DATA, SEEK_HOLE}) {
      for (const int eighths : {-8, 0, 1, 8, 12, 16, 24, 32, 64, 72}) {
        const off_t from = kUnit * eighths / 8;
        registry.Add(
            name + (whence == SEEK_DATA ? "/data from " : "/hole from ") + std::to_string(from),
            [&layout, whence, from](Report& r) {
              r.Call("make", MakeLayout("f", layout));
              Fd fd = Open("f", O_RDONLY);
              const off_t got = lseek(fd.get(), from, whence);
              const off_t want = Expected(layout, from, whence);
              if (want < 0) {
                r.Call("lseek", got, -want);
              } else {
                r.Equal("lseek", got, want);
                r.Equal("the position", lseek(fd.get(), 0, SEEK_CUR), want);
              }
            });
      }
    }
    registry.Add(name + "/content", [&layout](Report& r) {
      r.Call("make", MakeLayout("f", layout));
      const std::string units = layout.units;
      const std::string data = Pattern(kUnit);
      std::string want;
      for (const char unit : units) want += unit == 'd' ? data : std::string(kUnit, '\0');
      want += std::string(layout.tail, '\0');
      r.True("content", ReadFile("f") == want);
      r.Equal("size", Look("f").st_size, want.size());
      size_t blocks = 0;
      for (const char unit : units) blocks += unit == 'd' ? kUnit / 512 : 0;
      // A file system may keep an extent block or two beside the data.
      const size_t used = Look("f").st_blocks;
      r.True("blocks match the data", used >= blocks && used <= blocks + 64);
    });
  }
}

void AddGrowth(Registry& registry) {
  static const off_t kSizes[] = {0, 1, 100, 4095, 4096, 4097, 10000, 65536};
  for (const off_t from : kSizes) {
    for (const off_t to : kSizes) {
      registry.Add("sparse/truncate/" + std::to_string(from) + " to " + std::to_string(to),
                   [from, to](Report& r) {
                     const std::string content = Pattern(from);
                     r.Call("make", MakeFile("f", content));
                     r.Call("truncate", truncate("f", to));
                     r.Equal("size", Look("f").st_size, to);
                     std::string want = content;
                     want.resize(to);
                     r.True("content", ReadFile("f") == want);
                     // What was cut off must not come back.
                     r.Call("truncate", truncate("f", from));
                     want.resize(from);
                     r.True("content after growing again", ReadFile("f") == want);
                   });
    }
  }
  for (const off_t gap : {1, 100, 4095, 4096, 4097, 100000}) {
    registry.Add("sparse/write past the end/" + std::to_string(gap), [gap](Report& r) {
      r.Call("make", MakeFile("f", "head"));
      Fd fd = Open("f", O_RDWR);
      r.Equal("write", pwrite(fd.get(), "tail", 4, 4 + gap), 4);
      r.True("content", ReadFile("f") == "head" + std::string(gap, '\0') + "tail");
    });
  }
}

}  // namespace

void AddSparseChecks(Registry& registry) {
  AddSeeks(registry);
  AddGrowth(registry);
}

}  // namespace posix_check
