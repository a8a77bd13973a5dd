#include "cli/watch_command.h"

#include <iostream>
#include <memory>
#include <optional>
#include <string>

#include "cli/export_watch.h"
#include "cli/output.h"
#include "cli/printable.h"
#include "cli/resource_name.h"
#include "cli/selector.h"

namespace fsd::cli {
namespace {

// A line of a table whose rows are not known beforehand: columns of a width that most need.
std::string Line(const std::string& event, const std::string& name, const std::string& state,
                 size_t state_width, const std::string& what) {
  const auto pad = [](std::string text, size_t used, size_t width) {
    text.append(width > used ? width - used + 2 : 2, ' ');
    return text;
  };
  return pad(event, event.size(), 8) + pad(name, name.size(), 24) + pad(state, state_width, 10) +
         what + "\n";
}

std::string EventLine(const v1::WatchExportsResponse& event, const Style& style) {
  const v1::Export& resource = event.export_();
  std::string what;
  for (const v1::Condition& condition : resource.status().conditions()) {
    if (!what.empty()) what += ",";
    what += Printable(condition.reason());
  }
  if (what.empty()) what = "-";
  const std::string state = StateText(resource.status().state(), {});
  return Line(v1::WatchExportsResponse::Kind_Name(event.kind()), Printable(resource.name()),
              StateText(resource.status().state(), style), state.size(), what);
}

void PrintEvent(const v1::WatchExportsResponse& event, const Style& style) {
  switch (style.format) {
    case Format::kTable:
    case Format::kWide:
      std::cout << EventLine(event, style);
      break;
    case Format::kJson:
      std::cout << JsonLine(event);
      break;
    case Format::kYaml:
      std::cout << "---\n" << Structured(event, style.format);
      break;
    case Format::kName:
      std::cout << Printable(event.export_().name()) << "\n";
      break;
  }
  std::cout.flush();
}

ExitCode Watch(const std::string& filter, bool snapshot_only, const Options& options) {
  Client client(options);
  const Style& style = options.style;
  if (IsTable(style.format) && style.headers) {
    std::cout << Line("EVENT", "NAME", "STATE", 5, "CONDITIONS") << std::flush;
  }
  return WatchExports(client, "watch exports", filter, std::nullopt,
                      [&](const v1::WatchExportsResponse& event) {
                        if (event.kind() == v1::WatchExportsResponse::BOOKMARK) {
                          return !snapshot_only;
                        }
                        PrintEvent(event, style);
                        return static_cast<bool>(std::cout);
                      });
}

}  // namespace

void AddWatchCommand(CLI::App& exports, const Options& options, ExitCode& result) {
  struct Arguments {
    std::string name;
    Selection selection;
    bool snapshot_only = false;
  };
  const auto arguments = std::make_shared<Arguments>();
  CLI::App& command = *exports.add_subcommand(
      "watch", "Show the exports there are, and each change of one when it happens");
  command.footer(
      "Goes on by itself when the server is restarted. With -o json each event is a line.");
  command.add_option("NAME", arguments->name, "Only this export");
  AddSelectionOptions(command, arguments->selection);
  command.add_flag("--snapshot", arguments->snapshot_only, "End after the exports there are");
  command.callback([arguments, &options, &result] {
    std::string filter = arguments->selection.Filter();
    if (!arguments->name.empty()) {
      filter = BothFilters("name = " + FilterString(ResourceName(arguments->name)), filter);
    }
    result = Watch(filter, arguments->snapshot_only, options);
  });
}

}  // namespace fsd::cli
