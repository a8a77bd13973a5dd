// The options of create and update that say whose an export is: labels and owner.
#ifndef FSD_CLI_OWNER_OPTIONS_H_
#define FSD_CLI_OWNER_OPTIONS_H_

#include <memory>

#include "CLI/CLI.hpp"
#include "proto/fsd/v1/export.pb.h"

namespace fsd::cli {

// As create_options.h's.
void AddOwnerOptions(CLI::App& command, const std::shared_ptr<v1::Export>& resource);

}  // namespace fsd::cli

#endif  // FSD_CLI_OWNER_OPTIONS_H_
