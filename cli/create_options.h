// The options of `fsctl export create` and `update` that shape what the guest sees and what its
// worker may, in groups for the help.
//
// Each sets its field of the resource while the command line is parsed; one that is not given
// leaves its field unset, so that the server's default holds.
#ifndef FSD_CLI_CREATE_OPTIONS_H_
#define FSD_CLI_CREATE_OPTIONS_H_

#include <memory>

#include "CLI/CLI.hpp"
#include "proto/fsd/v1/export.pb.h"

namespace fsd::cli {

void AddDeviceOptions(CLI::App& command, const std::shared_ptr<v1::Export>& resource);
// Cache, semantics, ids, inodes, transport, sandbox and qos.
void AddBehaviorOptions(CLI::App& command, const std::shared_ptr<v1::Export>& resource);

}  // namespace fsd::cli

#endif  // FSD_CLI_CREATE_OPTIONS_H_
