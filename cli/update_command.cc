#include "cli/update_command.h"

#include <iostream>
#include <memory>
#include <string>
#include <vector>

#include "cli/create_options.h"
#include "cli/export_changes.h"
#include "cli/option_paths.h"
#include "cli/output.h"
#include "cli/owner_options.h"
#include "cli/printable.h"
#include "cli/resource_name.h"
#include "cli/socket_options.h"

namespace fsd::cli {
namespace {

struct Arguments {
  v1::UpdateExportRequest request;
  std::vector<std::string> removed_labels;
  std::vector<std::string> reset;
};

// "cache.attr_timeout" of that, "attr-timeout" and "--attr-timeout".
std::string ResetPath(const std::string& field) {
  const std::string option = field.starts_with("--") ? field : "--" + field;
  const std::string_view path = PathOfOption(option);
  return path.empty() ? field : std::string(path);
}

void SetMask(const CLI::App& command, Arguments& arguments) {
  google::protobuf::FieldMask& mask = *arguments.request.mutable_update_mask();
  for (const std::string& path : GivenPaths(command)) mask.add_paths(path);
  for (const auto& [key, value] : arguments.request.export_().labels()) {
    mask.add_paths("labels." + key);
  }
  for (const std::string& key : arguments.removed_labels) mask.add_paths("labels." + key);
  for (const std::string& field : arguments.reset) mask.add_paths(ResetPath(field));
  if (mask.paths().empty()) {
    throw CLI::ValidationError("update", "nothing is to change; say what, as in --cache always");
  }
}

void Print(const v1::Export& before, const v1::UpdateExportResponse& response, bool dry_run,
           const Style& style) {
  const std::string name = Printable(response.export_().name());
  const auto table = [&] {
    return (response.effects().empty() ? "unchanged " : "updated ") + name +
           (dry_run ? " (dry run)" : "") + "\n" + ChangeLines(before, response);
  };
  std::cout << Formatted(response, style, table, [&] { return name + "\n"; });
}

ExitCode Update(const v1::UpdateExportRequest& request, const Options& options) {
  Client client(options);
  const std::string doing = "update " + Printable(request.export_().name());
  v1::GetExportRequest get;
  get.set_name(request.export_().name());
  v1::Export before;
  ExitCode code = client.Call(doing, [&](grpc::ClientContext& context) {
    return client.exports().GetExport(&context, get, &before);
  });
  if (code != ExitCode::kOk) return code;
  v1::UpdateExportResponse response;
  code = client.Call(doing, [&](grpc::ClientContext& context) {
    return client.exports().UpdateExport(&context, request, &response);
  });
  if (code == ExitCode::kOk) Print(before, response, request.validate_only(), options.style);
  return code;
}

}  // namespace

void AddUpdateCommand(CLI::App& exports, const Options& options, ExitCode& result) {
  const auto arguments = std::make_shared<Arguments>();
  const std::shared_ptr<v1::Export> resource(arguments, arguments->request.mutable_export_());
  CLI::App& command = *exports.add_subcommand("update", "Change an export's options");
  command.footer(
      "What is not given stays. A flag is taken back by --FLAG=false, any option by --reset; "
      "options\n"
      "that may be repeated replace the whole list, but for labels. Says of each field when it "
      "takes\n"
      "effect: live (labels, owner, limits but of open files, the socket's owner and mode) or when "
      "no\n"
      "virtual machine is connected any more. Source, tag and the socket's path cannot be "
      "changed.");
  command
      .add_option_function<std::string>(
          "NAME", [resource](const std::string& name) { resource->set_name(ResourceName(name)); },
          "The export")
      ->required();
  command
      .add_option("--reset", arguments->reset,
                  "Back to the default: an option's name or a field's; may be repeated")
      ->type_name("FIELD")
      ->allow_extra_args(false);
  command.add_option_function<std::string>(
      "--etag", [arguments](const std::string& etag) { arguments->request.set_etag(etag); },
      "Only if its etag still is this");
  command.add_flag_callback(
      "--dry-run,--validate-only", [arguments] { arguments->request.set_validate_only(true); },
      "Check, show what would change, and change nothing");
  AddDeviceOptions(command, resource);
  AddSocketAccessOptions(command, resource);
  AddBehaviorOptions(command, resource);
  AddOwnerOptions(command, resource);
  command
      .add_option("--remove-label", arguments->removed_labels,
                  "A label to take off; may be repeated")
      ->type_name("KEY")
      ->allow_extra_args(false)
      ->group("Labels and owner");
  command.callback([arguments, &command, &options, &result] {
    SetMask(command, *arguments);
    result = Update(arguments->request, options);
  });
}

}  // namespace fsd::cli
