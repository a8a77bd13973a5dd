#include "cli/owner_options.h"

#include <string>
#include <utility>
#include <vector>

#include "cli/printable.h"

namespace fsd::cli {
namespace {

std::pair<std::string, std::string> ParseLabel(const std::string& text) {
  const size_t equals = text.find('=');
  if (equals == std::string::npos) {
    throw CLI::ValidationError("--label", "'" + Printable(text) + "' is not KEY=VALUE");
  }
  return {text.substr(0, equals), text.substr(equals + 1)};
}

}  // namespace

void AddOwnerOptions(CLI::App& command, const std::shared_ptr<v1::Export>& resource) {
  constexpr char kGroup[] = "Labels and owner";
  command
      .add_option_function<std::vector<std::string>>(
          "--label",
          [resource](const std::vector<std::string>& texts) {
            for (const std::string& text : texts) {
              auto [key, value] = ParseLabel(text);
              resource->mutable_labels()->insert({std::move(key), std::move(value)});
            }
          },
          "A label; may be repeated")
      ->type_name("KEY=VALUE")
      ->allow_extra_args(false)
      ->group(kGroup);
  command
      .add_option_function<std::string>(
          "--owner-system",
          [resource](const std::string& name) { resource->mutable_owner()->set_system(name); },
          "The system that the export is for")
      ->group(kGroup);
  command
      .add_option_function<std::string>(
          "--owner-vm",
          [resource](const std::string& id) { resource->mutable_owner()->set_vm_id(id); },
          "That system's name of the virtual machine")
      ->group(kGroup);
}

}  // namespace fsd::cli
