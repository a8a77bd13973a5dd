#include "cli/export_commands.h"

#include <iostream>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "cli/create_command.h"
#include "cli/output.h"
#include "cli/printable.h"
#include "cli/qemu_arguments.h"
#include "cli/resource_name.h"

namespace fsd::cli {
namespace {

ExitCode FetchExport(Client& client, const std::string& name, v1::Export& found) {
  v1::GetExportRequest request;
  request.set_name(ResourceName(name));
  return client.Call("get " + Printable(request.name()), [&](grpc::ClientContext& context) {
    return client.exports().GetExport(&context, request, &found);
  });
}

ExitCode Get(const std::string& name, const Options& options) {
  Client client(options);
  v1::Export found;
  const ExitCode code = FetchExport(client, name, found);
  if (code == ExitCode::kOk) std::cout << ExportText(found, options.format);
  return code;
}

ExitCode List(const Options& options) {
  Client client(options);
  v1::ListExportsRequest request;
  v1::ListExportsResponse all;
  do {
    v1::ListExportsResponse page;
    const ExitCode code = client.Call("list exports", [&](grpc::ClientContext& context) {
      return client.exports().ListExports(&context, request, &page);
    });
    if (code != ExitCode::kOk) return code;
    all.mutable_exports()->MergeFrom(page.exports());
    request.set_page_token(page.next_page_token());
  } while (!request.page_token().empty());

  switch (options.format) {
    case Format::kTable:
      std::cout << ExportTable({all.exports().begin(), all.exports().end()});
      break;
    case Format::kJson:
      std::cout << Json(all);
      break;
    case Format::kName:
      for (const v1::Export& resource : all.exports()) std::cout << resource.name() << "\n";
      break;
  }
  return ExitCode::kOk;
}

struct DeleteArguments {
  std::string name;
  std::string etag;
  bool force = false;
  bool allow_missing = false;
};

ExitCode Delete(const DeleteArguments& arguments, const Options& options) {
  v1::DeleteExportRequest request;
  request.set_name(ResourceName(arguments.name));
  request.set_etag(arguments.etag);
  request.set_allow_missing(arguments.allow_missing);
  request.set_mode(arguments.force ? v1::DeleteExportRequest::FORCE
                                   : v1::DeleteExportRequest::SAFE);
  Client client(options);
  google::protobuf::Empty empty;
  const ExitCode code =
      client.Call("delete " + Printable(request.name()), [&](grpc::ClientContext& context) {
        return client.exports().DeleteExport(&context, request, &empty);
      });
  if (code != ExitCode::kOk) return code;
  switch (options.format) {
    case Format::kTable:
      std::cout << "deleted " << request.name() << "\n";
      break;
    case Format::kJson:
      std::cout << Json(empty) << "\n";
      break;
    case Format::kName:
      std::cout << request.name() << "\n";
      break;
  }
  return code;
}

ExitCode Args(const std::string& name, const std::string& memory, const Options& options) {
  Client client(options);
  v1::Export found;
  const ExitCode code = FetchExport(client, name, found);
  if (code != ExitCode::kOk) return code;
  const std::vector<std::string> arguments = QemuArguments(found, memory);
  if (options.format == Format::kJson) {
    std::cout << JsonList(arguments);
  } else {
    std::cout << ShellLine(arguments) << "\n";
  }
  return code;
}

void AddDelete(CLI::App& exports, const Options& options, ExitCode& result) {
  auto arguments = std::make_shared<DeleteArguments>();
  CLI::App& command =
      *exports.add_subcommand("delete", "Stop sharing; the directory stays as it is");
  command.add_option("NAME", arguments->name, "The export")->required();
  command.add_flag("--force", arguments->force, "Cut off the virtual machine that uses it");
  command.add_flag("--allow-missing", arguments->allow_missing, "No error if it does not exist");
  command.add_option("--etag", arguments->etag, "Only if its etag still is this");
  command.callback([arguments, &options, &result] { result = Delete(*arguments, options); });
}

void AddArgs(CLI::App& exports, const Options& options, ExitCode& result) {
  struct Arguments {
    std::string name;
    std::string vmm;
    std::string memory = "1G";
  };
  auto arguments = std::make_shared<Arguments>();
  CLI::App& command =
      *exports.add_subcommand("args", "Print what attaches a virtual machine to the export");
  command.add_option("NAME", arguments->name, "The export")->required();
  command.add_option("--for", arguments->vmm, "The virtual machine monitor: qemu")
      ->type_name("VMM")
      ->required()
      ->check(CLI::IsMember({"qemu"}).description(""));
  command.add_option("--memory", arguments->memory, "The guest's memory, the same as -m (1G)")
      ->type_name("SIZE")
      ->check(CLI::Validator(
          [](const std::string& size) {
            return IsMemorySize(size) ? "" : "'" + size + "' is no size such as 512M or 4G";
          },
          ""));
  command.callback([arguments, &options, &result] {
    result = Args(arguments->name, arguments->memory, options);
  });
}

}  // namespace

void AddExportCommands(CLI::App& app, const Options& options, ExitCode& result) {
  CLI::App& exports = *app.add_subcommand("export", "Directories shared with virtual machines");
  exports.require_subcommand(1);
  AddCreateCommand(exports, options, result);

  auto name = std::make_shared<std::string>();
  CLI::App& get = *exports.add_subcommand("get", "Show one export");
  get.add_option("NAME", *name, "The export")->required();
  get.callback([name, &options, &result] { result = Get(*name, options); });

  exports.add_subcommand("list", "Show all exports")->callback([&options, &result] {
    result = List(options);
  });
  AddDelete(exports, options, result);
  AddArgs(exports, options, result);
}

}  // namespace fsd::cli
