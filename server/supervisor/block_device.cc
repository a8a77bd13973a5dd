#include "server/supervisor/block_device.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fstream>

#include "absl/strings/str_cat.h"
#include "server/errors/status_macros.h"

namespace fsd::supervisor {

absl::StatusOr<std::string> DeviceOf(int fd) {
  struct statx info;
  if (::statx(fd, "", AT_EMPTY_PATH | AT_STATX_DONT_SYNC, 0, &info) != 0) {
    return ErrnoStatus(Errno::Last(), "find the source's device");
  }
  return absl::StrCat(info.stx_dev_major, ":", info.stx_dev_minor);
}

absl::StatusOr<std::string> WholeDiskOf(const std::string& device, const std::string& sysfs) {
  const std::string directory = absl::StrCat(sysfs, "/", device);
  if (::access(directory.c_str(), F_OK) != 0) {
    return absl::NotFoundError("the source's file system is on no block device of its own");
  }
  if (::access((directory + "/partition").c_str(), F_OK) != 0) return device;
  // A link leads to the partition's directory, which lies in its disk's.
  std::ifstream file(directory + "/../dev");
  std::string disk;
  if (!std::getline(file, disk) || disk.empty()) {
    return absl::NotFoundError(absl::StrCat("the disk of partition ", device, " is not known"));
  }
  return disk;
}

}  // namespace fsd::supervisor
