#include "server/supervisor/block_device.h"

#include <fcntl.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "gmock/gmock.h"
#include "server/os/unique_fd.h"

namespace fsd::supervisor {
namespace {

using ::testing::HasSubstr;
using ::testing::MatchesRegex;

// /sys as it is of a disk with a partition.
class WholeDiskTest : public ::testing::Test {
 protected:
  WholeDiskTest() {
    char name[] = "/tmp/fsd-sysfs-XXXXXX";
    root_ = ::mkdtemp(name);
    std::filesystem::create_directories(root_ + "/devices/sda/sda1");
    std::filesystem::create_directories(root_ + "/dev/block");
    Write("/devices/sda/dev", "8:0\n");
    Write("/devices/sda/sda1/dev", "8:1\n");
    Write("/devices/sda/sda1/partition", "1\n");
    std::filesystem::create_symlink("../../devices/sda", root_ + "/dev/block/8:0");
    std::filesystem::create_symlink("../../devices/sda/sda1", root_ + "/dev/block/8:1");
  }
  ~WholeDiskTest() override { std::filesystem::remove_all(root_); }

  void Write(const std::string& path, const char* text) const {
    std::ofstream(root_ + path) << text;
  }
  absl::StatusOr<std::string> DiskOf(const std::string& device) const {
    return WholeDiskOf(device, root_ + "/dev/block");
  }

  std::string root_;
};

TEST_F(WholeDiskTest, OfAPartitionIsTheDiskThatItLiesOn) { EXPECT_EQ(*DiskOf("8:1"), "8:0"); }

TEST_F(WholeDiskTest, OfADiskIsTheDisk) { EXPECT_EQ(*DiskOf("8:0"), "8:0"); }

TEST_F(WholeDiskTest, OfANumberWithoutDeviceIsNone) {
  EXPECT_THAT(std::string(DiskOf("0:47").status().message()), HasSubstr("no block device"));
}

TEST_F(WholeDiskTest, OfAPartitionWithoutDiskIsNone) {
  std::filesystem::remove(root_ + "/devices/sda/dev");
  EXPECT_THAT(std::string(DiskOf("8:1").status().message()), HasSubstr("disk of partition 8:1"));
}

TEST(DeviceOfTest, IsThatOfTheFileSystem) {
  const os::UniqueFd proc(::open("/proc", O_PATH | O_DIRECTORY | O_CLOEXEC));
  EXPECT_THAT(*DeviceOf(proc.get()), MatchesRegex("0:[0-9]+"));
  EXPECT_FALSE(DeviceOf(-1).ok());
}

}  // namespace
}  // namespace fsd::supervisor
