#include "cli/server_commands.h"

#include <algorithm>
#include <cctype>
#include <iostream>
#include <memory>
#include <string>

#include "cli/host_checks.h"
#include "cli/option_fields.h"
#include "cli/printable.h"

namespace fsd::cli {
namespace {

ExitCode Info(const Options& options) {
  Client client(options);
  v1::ServerInfo info;
  const ExitCode code = client.Call("ask the server", [&](grpc::ClientContext& context) {
    return client.server().GetServerInfo(&context, v1::GetServerInfoRequest(), &info);
  });
  if (code != ExitCode::kOk) return code;
  switch (options.style.format) {
    case Format::kTable:
    case Format::kWide:
      std::cout << ServerFields(options.server, info);
      break;
    case Format::kJson:
    case Format::kYaml:
      std::cout << Structured(info, options.style.format);
      break;
    case Format::kName:
      std::cout << Printable(options.server) << "\n";
      break;
  }
  return code;
}

constexpr char kLevelPrefix[] = "LOG_LEVEL_";

std::string LevelText(v1::LogLevel level) {
  return ChoiceName(v1::LogLevel_Name(level), kLevelPrefix);
}

ExitCode ShowLogLevel(const Options& options) {
  Client client(options);
  v1::ServerInfo info;
  const ExitCode code = client.Call("ask for the log level", [&](grpc::ClientContext& context) {
    return client.server().GetServerInfo(&context, v1::GetServerInfoRequest(), &info);
  });
  if (code != ExitCode::kOk) return code;
  if (options.style.format == Format::kJson || options.style.format == Format::kYaml) {
    v1::SetLogLevelRequest level;
    level.set_level(info.log_level());
    std::cout << Structured(level, options.style.format);
  } else {
    std::cout << LevelText(info.log_level()) << "\n";
  }
  return code;
}

ExitCode SetLogLevel(const std::string& name, const Options& options) {
  v1::SetLogLevelRequest request;
  std::string upper = name;
  for (char& c : upper) c = static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
  v1::LogLevel level = v1::LOG_LEVEL_UNSPECIFIED;
  v1::LogLevel_Parse(kLevelPrefix + upper, &level);  // one of the words that the option takes
  request.set_level(level);
  Client client(options);
  v1::SetLogLevelResponse response;
  const ExitCode code = client.Call("set the log level", [&](grpc::ClientContext& context) {
    return client.server().SetLogLevel(&context, request, &response);
  });
  if (code != ExitCode::kOk) return code;
  if (options.style.format == Format::kJson || options.style.format == Format::kYaml) {
    std::cout << Structured(response, options.style.format);
  } else {
    std::cout << "log level " << LevelText(level) << ", was "
              << LevelText(response.previous_level()) << "\n";
  }
  return code;
}

ExitCode Check(const Options& options) {
  Client client(options);
  v1::CheckHostResponse response;
  const ExitCode code = client.Call("check the host", [&](grpc::ClientContext& context) {
    return client.server().CheckHost(&context, v1::CheckHostRequest(), &response);
  });
  if (code != ExitCode::kOk) return code;
  switch (options.style.format) {
    case Format::kTable:
    case Format::kWide:
      std::cout << HostChecks(response, options.style);
      break;
    case Format::kJson:
    case Format::kYaml:
      std::cout << Structured(response, options.style.format);
      break;
    case Format::kName:
      for (const v1::HostCheck& check : response.checks()) {
        std::cout << Printable(check.check()) << "\n";
      }
      break;
  }
  return std::any_of(
             response.checks().begin(), response.checks().end(),
             [](const v1::HostCheck& check) { return check.level() == v1::HostCheck::ERROR; })
             ? ExitCode::kPrecondition
             : ExitCode::kOk;
}

}  // namespace

void AddServerCommands(CLI::App& app, const Options& options, ExitCode& result) {
  CLI::App& server = *app.add_subcommand("server", "The server itself");
  server.require_subcommand(1);
  server.add_subcommand("info", "Show what it is and what it allows")
      ->callback([&options, &result] { result = Info(options); });
  const auto level = std::make_shared<std::string>();
  CLI::App& log_level = *server.add_subcommand(
      "log-level", "Show or change how much it and its workers log, until it is started again");
  log_level.add_option("LEVEL", *level, "From now on: debug, info, warning, error")
      ->type_name("debug|info|warning|error")
      ->check(CLI::IsMember({"debug", "info", "warning", "error"}).description(""));
  log_level.callback([level, &options, &result] {
    result = level->empty() ? ShowLogLevel(options) : SetLogLevel(*level, options);
  });
  server
      .add_subcommand("check",
                      "Look at what the host offers and lacks, what that costs and what to do")
      ->callback([&options, &result] { result = Check(options); });
}

}  // namespace fsd::cli
