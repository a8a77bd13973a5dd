#include "cli/export_commands.h"

#include <chrono>
#include <iostream>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "cli/create_command.h"
#include "cli/delete_command.h"
#include "cli/maintenance_commands.h"
#include "cli/output.h"
#include "cli/printable.h"
#include "cli/qemu_arguments.h"
#include "cli/resource_name.h"
#include "cli/selector.h"
#include "cli/stats_commands.h"
#include "cli/update_command.h"
#include "cli/watch_command.h"

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
  if (code == ExitCode::kOk) std::cout << ExportText(found, options.style);
  return code;
}

ExitCode List(v1::ListExportsRequest request, const Options& options) {
  Client client(options);
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

  switch (options.style.format) {
    case Format::kTable:
    case Format::kWide:
      std::cout << ExportTable({all.exports().begin(), all.exports().end()}, options.style,
                               std::chrono::system_clock::now());
      break;
    case Format::kJson:
    case Format::kYaml:
      std::cout << Structured(all, options.style.format);
      break;
    case Format::kName:
      for (const v1::Export& resource : all.exports()) {
        std::cout << Printable(resource.name()) << "\n";
      }
      break;
  }
  return ExitCode::kOk;
}

ExitCode Args(const std::string& name, const std::string& memory, const Options& options) {
  Client client(options);
  v1::Export found;
  const ExitCode code = FetchExport(client, name, found);
  if (code != ExitCode::kOk) return code;
  const std::vector<std::string> arguments = QemuArguments(found, memory);
  if (options.style.format == Format::kJson) {
    std::cout << JsonList(arguments);
  } else {
    std::cout << ShellLine(arguments) << "\n";
  }
  return code;
}

void AddList(CLI::App& exports, const Options& options, ExitCode& result) {
  struct Arguments {
    Selection selection;
    std::string sort;
  };
  const auto arguments = std::make_shared<Arguments>();
  CLI::App& command = *exports.add_subcommand("list", "Show all exports");
  AddSelectionOptions(command, arguments->selection);
  command
      .add_option("--sort", arguments->sort,
                  "By name, created, updated, state; -created: the latest first (name)")
      ->type_name("FIELDS");
  command.callback([arguments, &options, &result] {
    v1::ListExportsRequest request;
    request.set_filter(arguments->selection.Filter());
    if (!arguments->sort.empty()) request.set_order_by(OrderBy(arguments->sort));
    result = List(request, options);
  });
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

  AddList(exports, options, result);
  AddUpdateCommand(exports, options, result);
  AddDeleteCommand(exports, options, result);
  AddMaintenanceCommands(exports, options, result);
  AddWatchCommand(exports, options, result);
  AddStatsCommands(exports, options, result);
  AddArgs(exports, options, result);
}

}  // namespace fsd::cli
