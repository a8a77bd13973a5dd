// fsctl, the operator's command line.
#include <chrono>
#include <cstdlib>
#include <exception>
#include <iostream>
#include <map>
#include <string>

#include "CLI/CLI.hpp"
#include "cli/client.h"
#include "cli/exit_code.h"
#include "cli/export_commands.h"
#include "cli/output.h"
#include "cli/server_commands.h"

namespace fsd::cli {
namespace {

const std::map<std::string, Format>& Formats() {
  static const auto& formats = *new std::map<std::string, Format>{
      {"table", Format::kTable}, {"json", Format::kJson}, {"name", Format::kName}};
  return formats;
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
         [&options](const std::string& name) { options.format = Formats().at(name); },
         "How to print: table, json, name (table)")
      ->type_name("FORMAT")
      ->check(CLI::IsMember({"table", "json", "name"}).description(""));
  app.add_option_function<unsigned>(
         "--timeout",
         [&options](unsigned seconds) { options.timeout = std::chrono::seconds(seconds); },
         "How long a call may take (60)")
      ->type_name("SECONDS")
      ->check(CLI::Range(1u, 86400u).description(""));
}

ExitCode Main(int argc, const char* const* argv) {
  Options options;
  ExitCode result = ExitCode::kOk;
  CLI::App app("fsctl: shares host directories with virtual machines, through fsd", "fsctl");
  app.set_version_flag("--version", std::string("fsctl ") + FSD_VERSION);
  app.footer(kExitCodeHelp);
  app.failure_message(DescribeUsageError);
  app.require_subcommand(1);
  app.fallthrough();  // the options may stand after the command too; subcommands inherit this
  AddOptions(app, options);
  AddExportCommands(app, options, result);
  AddServerCommands(app, options, result);
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
