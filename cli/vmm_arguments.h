// What attaches a guest to an export with other programs than QEMU's command line.
#ifndef FSD_CLI_VMM_ARGUMENTS_H_
#define FSD_CLI_VMM_ARGUMENTS_H_

#include <string>
#include <vector>

#include "proto/fsd/v1/export.pb.h"

namespace fsd::cli {

// Elements of a libvirt domain: the shared memory that vhost-user needs, and below <devices> a
// <filesystem> whose daemon libvirt does not start.
std::string LibvirtXml(const v1::Export& resource);

// QMP commands, one a line, that plug the device into a running QEMU. Its memory must be shared
// already.
std::vector<std::string> QmpCommands(const v1::Export& resource);

// --memory and --fs of cloud-hypervisor, one argument an element. `memory_size` as its size= takes
// it, e.g. "4G".
std::vector<std::string> CloudHypervisorArguments(const v1::Export& resource,
                                                  const std::string& memory_size);

}  // namespace fsd::cli

#endif  // FSD_CLI_VMM_ARGUMENTS_H_
