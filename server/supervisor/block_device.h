// Which disk a file system is on.
#ifndef FSD_SERVER_SUPERVISOR_BLOCK_DEVICE_H_
#define FSD_SERVER_SUPERVISOR_BLOCK_DEVICE_H_

#include <string>

#include "absl/status/statusor.h"

namespace fsd::supervisor {

// "MAJOR:MINOR" of the device that the file system of `fd` is on, as stat(2) has it. Asks no
// network, so that it does not wait for one.
absl::StatusOr<std::string> DeviceOf(int fd);

// The whole disk of a device, which may be a partition of it. `sysfs`: /sys/dev/block. NOT_FOUND:
// there is no such block device; network and overlay file systems have numbers without one.
absl::StatusOr<std::string> WholeDiskOf(const std::string& device, const std::string& sysfs);

}  // namespace fsd::supervisor

#endif  // FSD_SERVER_SUPERVISOR_BLOCK_DEVICE_H_
