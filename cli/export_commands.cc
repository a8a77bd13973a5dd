#include "cli/export_commands.h"

#include <chrono>
#include <iostream>
#include <memory>
#include <string>
#include <vector>

#include "cli/apply_command.h"
#include "cli/args_command.h"
#include "cli/create_command.h"
#include "cli/delete_command.h"
#include "cli/maintenance_commands.h"
#include "cli/output.h"
#include "cli/printable.h"
#include "cli/resource_name.h"
#include "cli/selector.h"
#include "cli/stats_commands.h"
#include "cli/update_command.h"
#include "cli/wait_command.h"
#include "cli/watch_command.h"

namespace fsd::cli {
namespace {

ExitCode Get(const std::vector<std::string>& names, const Options& options) {
  Client client(options);
  ExitCode first_failure = ExitCode::kOk;
  bool is_first = true;
  for (const std::string& name : names) {
    v1::GetExportRequest request;
    request.set_name(ResourceName(name));
    v1::Export found;
    const ExitCode code =
        client.Call("get " + Printable(request.name()), [&](grpc::ClientContext& context) {
          return client.exports().GetExport(&context, request, &found);
        });
    if (first_failure == ExitCode::kOk) first_failure = code;
    if (code != ExitCode::kOk) continue;
    if (!is_first && IsTable(options.style.format)) std::cout << "\n";
    if (!is_first && options.style.format == Format::kYaml) std::cout << "---\n";
    is_first = false;
    std::cout << ExportText(found, options.style);
  }
  return first_failure;
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

}  // namespace

void AddExportCommands(CLI::App& app, const Options& options, ExitCode& result) {
  CLI::App& exports = *app.add_subcommand("export", "Directories shared with virtual machines");
  exports.require_subcommand(1);
  AddCreateCommand(exports, options, result);

  const auto names = std::make_shared<std::vector<std::string>>();
  CLI::App& get = *exports.add_subcommand("get", "Show exports in full");
  get.add_option("NAME", *names, "The exports")->required();
  get.callback([names, &options, &result] { result = Get(*names, options); });

  AddList(exports, options, result);
  AddUpdateCommand(exports, options, result);
  AddDeleteCommand(exports, options, result);
  AddMaintenanceCommands(exports, options, result);
  AddApplyCommand(exports, options, result);
  AddWaitCommand(exports, options, result);
  AddWatchCommand(exports, options, result);
  AddStatsCommands(exports, options, result);
  AddArgsCommand(exports, options, result);
}

}  // namespace fsd::cli
