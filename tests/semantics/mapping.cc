#include "tests/semantics/mapping.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>

#include "tests/semantics/files.h"

namespace posix_check {

void AddMappingCheck(Registry& registry, const std::string& name, const Body& body) {
  registry.Add("mapping/" + name, [body](Report& r) {
    if (sysconf(_SC_PAGESIZE) != static_cast<long>(kPage)) {
      return r.Unsupported("pages are not of 4 KiB");
    }
    r.Call("make", MakeFile("file", Pattern(kFileSize)));
    const Fd fd = Open("file", O_RDWR);
    if (!FileMap(fd.get(), kPage, kReadWrite, MAP_SHARED).ok() && errno == ENODEV) {
      return r.Unsupported("no shared maps");
    }
    body(r);
  });
}

}  // namespace posix_check
