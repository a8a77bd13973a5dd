// The arguments that attach a QEMU guest to an export.
#ifndef FSD_CLI_QEMU_ARGUMENTS_H_
#define FSD_CLI_QEMU_ARGUMENTS_H_

#include <string>
#include <string_view>
#include <vector>

#include "proto/fsd/v1/export.pb.h"

namespace fsd::cli {

// -chardev …, -device vhost-user-fs-pci,…, and the shared memory that vhost-user needs, one
// argument an element. `memory_size` as QEMU's -m takes it, e.g. "4G": the guest's whole memory.
std::vector<std::string> QemuArguments(const v1::Export& resource, const std::string& memory_size);

// One line that a POSIX shell splits into `arguments` again; quoted only where it must be.
std::string ShellLine(const std::vector<std::string>& arguments);

// True of "512", "4096M", "4G": what QEMU takes as a size.
bool IsMemorySize(std::string_view text);

}  // namespace fsd::cli

#endif  // FSD_CLI_QEMU_ARGUMENTS_H_
