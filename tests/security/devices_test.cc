// The wall around devices: a worker makes device nodes for its guest, and opens none.
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <string>

#include "gtest/gtest.h"
#include "tests/security/climb.h"
#include "tests/security/prison.h"

namespace fsd::security {
namespace {

// The outcome of opening it.
std::string MakeAndOpen(const Inmate& in, mode_t type, dev_t device, int flags) {
  if (::mknodat(in.root, "device", type | 0666, device) != 0) return "mknod: " + Outcome(-1);
  const int opened = ::openat(in.root, "device", flags | O_CLOEXEC);
  const std::string outcome = Outcome(opened);
  ::unlinkat(in.root, "device", 0);
  return outcome;
}

TEST(Devices, TheyCanBeMadeButNotOpened) {
  Prison prison;
  const std::vector<Behind> held = {
      {kEveryWall, "EACCES"}, {kMounts, "EACCES"}, {kNoWalls, "done"}};
  ExpectTheyHold(
      prison, "devices",
      {
          {"a character device to read",
           [](const Inmate& in) { return MakeAndOpen(in, S_IFCHR, makedev(1, 3), O_RDONLY); },
           held},
          {"a character device to write",
           [](const Inmate& in) { return MakeAndOpen(in, S_IFCHR, makedev(1, 3), O_WRONLY); },
           held},
          {"a block device",
           [](const Inmate& in) { return MakeAndOpen(in, S_IFBLK, makedev(511, 4095), O_RDONLY); },
           {{kEveryWall, "EACCES"}, {kMounts, "EACCES"}, {kNoWalls, "ENXIO"}}},
          {"one that the host has made",
           [](const Inmate&) { return Outcome(::open("/dev/null", O_RDWR | O_CLOEXEC)); },
           {{kEveryWall, "ENOENT"}, {kMounts, "ENOENT"}, {kNoWalls, "done"}}},
      });
}

}  // namespace
}  // namespace fsd::security
