// fsctl, the operator's command line.
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <exception>
#include <iostream>
#include <map>
#include <string>
#include <string_view>

#include "CLI/CLI.hpp"
#include "cli/client.h"
#include "cli/client_commands.h"
#include "cli/client_version.h"
#include "cli/exit_code.h"
#include "cli/export_commands.h"
#include "cli/output.h"
#include "cli/server_commands.h"
#include "cli/timeout_option.h"

namespace fsd::cli {
namespace {

const std::map<std::string, Format>& Formats() {
  static const auto& formats = *new std::map<std::string, Format>{{"table", Format::kTable},
                                                                  {"wide", Format::kWide},
                                                                  {"json", Format::kJson},
                                                                  {"yaml", Format::kYaml},
                                                                  {"name", Format::kName}};
  return formats;
}

// https://no-color.org, and a terminal that says it can do nothing.
bool WantsColor(const std::string& when) {
  if (when != "auto") return when == "always";
  const char* const no_color = std::getenv("NO_COLOR");
  const char* const terminal = std::getenv("TERM");
  if (no_color != nullptr && no_color[0] != '\0') return false;
  if (terminal == nullptr || std::string_view(terminal) == "dumb") return false;
  return isatty(STDOUT_FILENO) == 1;
}

std::string DescribeUsageError(const CLI::App*, const CLI::Error& error) {
  return std::string("fsctl: ") + error.what() +
         "\nhint: --help after a command shows its options\n";
}

void AddOptions(CLI::App& app, Options& options) {
  app.add_option("--server", options.server,
                 "The server's address (unix:///run/fsd/fsd.sock; for an ordinary user "
                 "unix://$XDG_RUNTIME_DIR/fsd/fsd.sock)")
      ->type_name("ADDRESS")
      ->envname("FSCTL_SERVER")
      ->check(CLI::Validator(
          [](const std::string& address) {
            return IsServerAddress(address)
                       ? ""
                       : "'" + address + "' is no address such as unix:///run/fsd/fsd.sock";
          },
          ""));
  app.add_option_function<std::string>(
         "-o,--output",
         [&options](const std::string& name) { options.style.format = Formats().at(name); },
         "How to print (table); json and yaml have the API's names")
      ->type_name("table|wide|json|yaml|name")
      ->check(CLI::IsMember({"table", "wide", "json", "yaml", "name"}).description(""));
  app.add_flag_callback(
      "--no-headers", [&options] { options.style.headers = false; },
      "Tables without their heading");
  options.style.color = WantsColor("auto");
  app.add_option_function<std::string>(
         "--color", [&options](const std::string& when) { options.style.color = WantsColor(when); },
         "Colours in tables (auto: on a terminal, unless NO_COLOR is set)")
      ->type_name("auto|always|never")
      ->check(CLI::IsMember({"auto", "always", "never"}).description(""));
  AddTimeoutOption(app, "--timeout", "How long a call may take, beside what it waits for (60s)",
                   [&options](std::chrono::nanoseconds timeout) { options.timeout = timeout; });
}

ExitCode Main(int argc, const char* const* argv) {
  Options options;
  ExitCode result = ExitCode::kOk;
  CLI::App app("fsctl: shares host directories with virtual machines, through fsd", "fsctl");
  app.set_version_flag("--version", "fsctl " + ClientVersion());
  app.footer(kExitCodeHelp);
  app.failure_message(DescribeUsageError);
  app.require_subcommand(1);
  app.fallthrough();  // the options may stand after the command too; subcommands inherit this
  AddOptions(app, options);
  AddExportCommands(app, options, result);
  AddServerCommands(app, options, result);
  AddClientCommands(app, options, result);
  if (argc > 1 && std::string_view(argv[1]) == "__complete") {
    PrintCompletions(app, {argv + 2, argv + argc}, options);
    return ExitCode::kOk;
  }
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? ExitCode::kOk : ExitCode::kUsage;
  }
  std::cout.flush();
  if (!std::cout) {
    std::cerr << "fsctl: cannot write the output\n";
    return ExitCode::kFailure;
  }
  return result;
}

}  // namespace
}  // namespace fsd::cli

int main(int argc, char** argv) {
  try {
    return static_cast<int>(fsd::cli::Main(argc, argv));
  } catch (const std::exception& error) {
    std::cerr << "fsctl: " << error.what() << "\n";
    return static_cast<int>(fsd::cli::ExitCode::kFailure);
  }
}
