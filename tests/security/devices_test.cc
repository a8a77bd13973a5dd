// The wall around devices: a worker makes device nodes for its guest, and opens none.
#include <fcntl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <unistd.h>

#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "server/errors/check.h"
#include "server/os/unique_fd.h"
#include "server/supervisor/device_wall.h"
#include "server/supervisor/own_cgroup.h"
#include "tests/security/climb.h"
#include "tests/security/prison.h"

namespace fsd::security {
namespace {

// The outcome of opening it.
std::string MakeAndOpen(const Inmate& in, const std::string& path, mode_t type, dev_t device,
                        int flags) {
  if (::mknodat(in.root, path.c_str(), type | 0666, device) != 0) return "mknod: " + Outcome(-1);
  const int opened = ::openat(in.root, path.c_str(), flags | O_CLOEXEC);
  const std::string outcome = Outcome(opened);
  ::unlinkat(in.root, path.c_str(), 0);
  return outcome;
}

Attempt Device(const std::string& path, mode_t type, dev_t device, int flags) {
  return [=](const Inmate& in) { return MakeAndOpen(in, path, type, device, flags); };
}

Attempt Null(const std::string& path) { return Device(path, S_IFCHR, makedev(1, 3), O_RDWR); }

// No driver has it.
const dev_t kNoBlockDevice = makedev(511, 4095);

TEST(Devices, TheyCanBeMadeButNotOpened) {
  Prison prison;
  const std::vector<Behind> held = {{kEveryWall, "EACCES"},
                                    {kEveryWallOfChroot, "mknod: EPERM"},
                                    {kEveryWallOfNone, "mknod: EPERM"},
                                    {kMounts, "EACCES"},
                                    {kNoWalls, "done"}};
  ExpectTheyHold(
      prison, "devices",
      {
          {"a character device to read", Device("device", S_IFCHR, makedev(1, 3), O_RDONLY), held},
          {"a character device to write", Device("device", S_IFCHR, makedev(1, 3), O_WRONLY), held},
          {"a block device",
           Device("device", S_IFBLK, kNoBlockDevice, O_RDONLY),
           {{kEveryWall, "EACCES"},
            {kEveryWallOfChroot, "mknod: EPERM"},
            {kEveryWallOfNone, "mknod: EPERM"},
            {kMounts, "EACCES"},
            {kNoWalls, "ENXIO"}}},
          {"one that the host has made",
           [](const Inmate&) { return Outcome(::open("/dev/null", O_RDWR | O_CLOEXEC)); },
           {{kEveryWall, "ENOENT"},
            {kEveryWallOfChroot, "ENOENT"},
            {kEveryWallOfNone, "EACCES"},
            {kMounts, "ENOENT"},
            {kNoWalls, "done"}}},
      });
}

// A cgroup (v2) below the one that the test was started in, with the wall.
class WalledCgroup {
 public:
  explicit WalledCgroup(const std::string& parent)
      : directory_(absl::StrCat(parent, "/fsd-devices-", ::getpid())) {
    FSD_CHECK(::mkdir(directory_.c_str(), 0755) == 0);
    const os::UniqueFd directory(::open(directory_.c_str(), O_PATH | O_CLOEXEC));
    FSD_CHECK(supervisor::ForbidDevices(directory.get()).ok());
    // It takes the place of the first.
    FSD_CHECK(supervisor::ForbidDevices(directory.get()).ok());
    procs_ = os::UniqueFd(::open((directory_ + "/cgroup.procs").c_str(), O_WRONLY | O_CLOEXEC));
    FSD_CHECK(procs_.valid());
  }
  ~WalledCgroup() { EXPECT_EQ(::rmdir(directory_.c_str()), 0); }
  WalledCgroup(const WalledCgroup&) = delete;
  WalledCgroup& operator=(const WalledCgroup&) = delete;

  int procs() const { return procs_.get(); }

 private:
  const std::string directory_;
  os::UniqueFd procs_;
};

// The host's, if it has cgroups (v2).
std::vector<std::string> OwnCgroups() {
  const auto own = supervisor::OwnCgroupDirectory();
  return own.ok() ? std::vector{*own} : std::vector<std::string>();
}

class DeviceWallTest : public ::testing::TestWithParam<std::string> {
 protected:
  DeviceWallTest() : cgroup_(GetParam()) { prison_.PutInto(cgroup_.procs()); }

  const WalledCgroup cgroup_;
  Prison prison_;
};

TEST_P(DeviceWallTest, HoldsByItselfWhateverTheMount) {
  const std::vector<Behind> held = {{kEveryWall | kDeviceWall, "EACCES"},
                                    {kEveryWallOfChroot | kDeviceWall, "mknod: EPERM"},
                                    {kEveryWallOfNone | kDeviceWall, "mknod: EPERM"},
                                    {kDeviceWall, "EPERM"},
                                    {kNoWalls, "done"}};
  ExpectTheyHold(
      prison_, "the device wall",
      {
          {"to read", Device("device", S_IFCHR, makedev(1, 3), O_RDONLY), held},
          {"to write", Device("device", S_IFCHR, makedev(1, 3), O_WRONLY), held},
          {"both", Null("device"), held},
          {"a block device",
           Device("device", S_IFBLK, kNoBlockDevice, O_RDONLY),
           {{kEveryWall | kDeviceWall, "EACCES"}, {kDeviceWall, "EPERM"}, {kNoWalls, "ENXIO"}},
           /*of_namespaces_only=*/true},
      });
}

// The host's own devices, in an export of a mode without a nodev mount.
TEST_P(DeviceWallTest, HoldsForDevicesThatAreThere) {
  ASSERT_EQ(::mknod((prison_.export_path() + "/null").c_str(), S_IFCHR | 0666, makedev(1, 3)), 0);
  const Attempt open = [](const Inmate& in) {
    return Outcome(::openat(in.root, "null", O_RDWR | O_CLOEXEC));
  };
  ExpectTheyHold(prison_, "devices of the host's in the export",
                 {{"one that is there",
                   open,
                   {{kEveryWall, "EACCES"},
                    {kEveryWallOfChroot | kDeviceWall, "EPERM"},
                    {kEveryWallOfNone | kDeviceWall, "EPERM"},
                    {kNoWalls, "done"}}}});
  // What ../../server/README.md says of these modes.
  EXPECT_EQ(prison_.Run(kEveryWallOfChroot, open), "done");
  EXPECT_EQ(prison_.Run(kEveryWallOfNone, open), "done");
}

// A host that mounts a file system below the export once it is asked to, with a device in it, on
// its own terms.
class LateMount {
 public:
  explicit LateMount(Prison& prison) : point_(prison.export_path() + "/sub") {
    const std::string root = prison.export_path();
    FSD_CHECK(::mount(root.c_str(), root.c_str(), "", MS_BIND, "") == 0);
    FSD_CHECK(::mount("", root.c_str(), nullptr, MS_SHARED, "") == 0);
    FSD_CHECK(::pipe2(wanted_, O_CLOEXEC) == 0 && ::pipe2(there_, O_CLOEXEC) == 0);
    prison.LetIn(wanted_[1]);
    prison.LetIn(there_[0]);
    pid_ = ::fork();
    FSD_CHECK(pid_ >= 0);
    if (pid_ == 0) Serve();
  }
  ~LateMount() {
    ::close(wanted_[1]);
    ::waitpid(pid_, nullptr, 0);
    ::umount2(point_.substr(0, point_.rfind('/')).c_str(), MNT_DETACH);
  }
  LateMount(const LateMount&) = delete;
  LateMount& operator=(const LateMount&) = delete;

  // `attempt` once the mount is there. It is gone before the next.
  Attempt Before(const Attempt& attempt) const {
    return [this, attempt](const Inmate& in) {
      char byte = 'm';
      FSD_CHECK(::write(wanted_[1], &byte, 1) == 1 && ::read(there_[0], &byte, 1) == 1);
      const std::string outcome = attempt(in);
      byte = 'u';
      FSD_CHECK(::write(wanted_[1], &byte, 1) == 1 && ::read(there_[0], &byte, 1) == 1);
      return outcome;
    };
  }

 private:
  [[noreturn]] void Serve() {
    ::close(wanted_[1]);
    for (char byte; ::read(wanted_[0], &byte, 1) == 1;) {
      if (byte == 'm') {
        FSD_CHECK(::mount("none", point_.c_str(), "tmpfs", 0, nullptr) == 0);
        FSD_CHECK(::mknod((point_ + "/null").c_str(), S_IFCHR | 0666, makedev(1, 3)) == 0);
      } else {
        FSD_CHECK(::umount2(point_.c_str(), MNT_DETACH) == 0);
      }
      FSD_CHECK(::write(there_[1], &byte, 1) == 1);
    }
    ::_exit(0);
  }

  const std::string point_;
  int wanted_[2];
  int there_[2];
  pid_t pid_ = -1;
};

std::string OpenTheHosts(const Inmate& in) {
  return Outcome(::openat(in.root, "sub/null", O_RDWR | O_CLOEXEC));
}

TEST(LateMounts, WithoutADeviceWallNoDeviceIsMade) {
  Prison prison;
  const LateMount late(prison);
  ExpectTheyHold(prison, "late mounts",
                 {{"a device of the worker's own making",
                   late.Before(Null("sub/device")),
                   {{kEveryMode, "mknod: EPERM"}, {kMounts, "done"}}},
                  {"in a place where it could not be opened",
                   late.Before(Null("device")),
                   {{kEveryMode, "mknod: EPERM"}, {kMounts, "EACCES"}, {kNoWalls, "done"}}}});
  // What ../../server/sandbox/README.md leaves to the host.
  EXPECT_EQ(prison.Run(kEveryWall, late.Before(OpenTheHosts)), "done");
}

TEST_P(DeviceWallTest, HoldsOnLateMountsAndLeavesMknodAsItIs) {
  const LateMount late(prison_);
  ExpectTheyHold(prison_, "late mounts, with the device wall",
                 {{"a device of the worker's own making",
                   late.Before(Null("sub/device")),
                   {{kEveryWall | kDeviceWall, "EPERM"},
                    {kEveryWallOfChroot | kDeviceWall, "mknod: EPERM"},
                    {kEveryWallOfNone | kDeviceWall, "mknod: EPERM"},
                    {kMounts, "done"}}},
                  {"a device of the host's",
                   late.Before(OpenTheHosts),
                   {{kEveryWall | kDeviceWall, "EPERM"},
                    {kEveryWallOfChroot | kDeviceWall, "EPERM"},
                    {kEveryWallOfNone | kDeviceWall, "EPERM"},
                    {kMounts, "done"}}}});
}

INSTANTIATE_TEST_SUITE_P(Host, DeviceWallTest, ::testing::ValuesIn(OwnCgroups()),
                         [](const auto& info) { return "cgroup" + std::to_string(info.index); });
GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(DeviceWallTest);

}  // namespace
}  // namespace fsd::security
