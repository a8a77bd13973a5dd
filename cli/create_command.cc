#include "cli/create_command.h"

#include <filesystem>
#include <iostream>
#include <memory>
#include <string>

#include "cli/create_options.h"
#include "cli/output.h"
#include "cli/owner_options.h"
#include "cli/printable.h"
#include "cli/resource_name.h"
#include "cli/socket_options.h"

namespace fsd::cli {
namespace {

// As the server wants paths: absolute and normalised. Links are not followed; they are the
// server's.
std::string ServerPath(const std::string& path) {
  if (path.empty()) return path;
  std::string normal = std::filesystem::absolute(path).lexically_normal();
  while (normal.size() > 1 && normal.ends_with('/')) normal.pop_back();
  return normal;
}

ExitCode Create(const v1::CreateExportRequest& request, const Options& options) {
  Client client(options);
  v1::Export created;
  const ExitCode code = client.Call(
      "create exports/" + Printable(request.export_id()), [&](grpc::ClientContext& context) {
        return client.exports().CreateExport(&context, request, &created);
      });
  if (code == ExitCode::kOk) std::cout << ExportText(created, options.style);
  return code;
}

void AddSocketOptions(CLI::App& command, const std::shared_ptr<v1::Export>& resource) {
  command
      .add_option_function<std::string>(
          "--socket",
          [resource](const std::string& path) {
            resource->mutable_socket()->set_path(ServerPath(path));
          },
          "Where the virtual machine connects; the server chooses if it is not given")
      ->type_name("PATH")
      ->group("Socket");
  AddSocketAccessOptions(command, resource);
}

}  // namespace

void AddCreateCommand(CLI::App& exports, const Options& options, ExitCode& result) {
  const auto request = std::make_shared<v1::CreateExportRequest>();
  const std::shared_ptr<v1::Export> resource(request, request->mutable_export_());
  CLI::App& command = *exports.add_subcommand("create", "Share a directory");
  command
      .add_option_function<std::string>(
          "NAME", [request](const std::string& name) { request->set_export_id(ExportId(name)); },
          "The export's name: lower-case letters, digits, '-'")
      ->required();
  command
      .add_option_function<std::string>(
          "--source",
          [resource](const std::string& path) {
            resource->mutable_source()->mutable_passthrough()->set_path(ServerPath(path));
          },
          "The host directory to share")
      ->type_name("DIR")
      ->required();
  command
      .add_option_function<std::string>(
          "--tag", [resource](const std::string& tag) { resource->set_tag(tag); },
          "The name that the guest mounts by")
      ->type_name("TAG")
      ->required();
  AddDeviceOptions(command, resource);
  command.add_option_function<std::string>(
      "--request-id", [request](const std::string& id) { request->set_request_id(id); },
      "A name for this call, so that it can be repeated even after an update");
  command.add_flag_callback(
      "--validate-only,--dry-run", [request] { request->set_validate_only(true); },
      "Check, and create nothing");
  AddSocketOptions(command, resource);
  AddBehaviorOptions(command, resource);
  AddOwnerOptions(command, resource);
  command.callback([request, &options, &result] { result = Create(*request, options); });
}

}  // namespace fsd::cli
