// The options of `fsctl export create` and `update` that say who may connect.
#ifndef FSD_CLI_SOCKET_OPTIONS_H_
#define FSD_CLI_SOCKET_OPTIONS_H_

#include <memory>

#include "CLI/CLI.hpp"
#include "proto/fsd/v1/export.pb.h"

namespace fsd::cli {

// Owner, group and mode of the socket's file. A CLI::ValidationError names what is no mode.
void AddSocketAccessOptions(CLI::App& command, const std::shared_ptr<v1::Export>& resource);

}  // namespace fsd::cli

#endif  // FSD_CLI_SOCKET_OPTIONS_H_
