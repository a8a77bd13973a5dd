#include "cli/server_commands.h"

#include <algorithm>
#include <cctype>
#include <iostream>
#include <memory>
#include <string>

#include "cli/duration_syntax.h"
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
  std::cout << Formatted(
      info, options.style, [&] { return ServerFields(options.server, info); },
      [&] { return Printable(options.server) + "\n"; });
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
  v1::SetLogLevelRequest level;
  level.set_level(info.log_level());
  const auto text = [&] { return LevelText(info.log_level()) + "\n"; };
  std::cout << Formatted(level, options.style, text, text);
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
  const auto text = [&] {
    return "log level " + LevelText(level) + ", was " + LevelText(response.previous_level()) + "\n";
  };
  std::cout << Formatted(response, options.style, text, text);
  return code;
}

ExitCode ShowSlowRequest(const Options& options) {
  Client client(options);
  v1::ServerInfo info;
  const ExitCode code =
      client.Call("ask for the threshold of slow requests", [&](grpc::ClientContext& context) {
        return client.server().GetServerInfo(&context, v1::GetServerInfoRequest(), &info);
      });
  if (code != ExitCode::kOk) return code;
  v1::SetSlowRequestThresholdRequest threshold;
  *threshold.mutable_threshold() = info.slow_request_threshold();
  const auto text = [&] { return SlowText(info.slow_request_threshold()) + "\n"; };
  std::cout << Formatted(threshold, options.style, text, text);
  return code;
}

ExitCode SetSlowRequest(const v1::SetSlowRequestThresholdRequest& request, const Options& options) {
  Client client(options);
  v1::SetSlowRequestThresholdResponse response;
  const ExitCode code =
      client.Call("set the threshold of slow requests", [&](grpc::ClientContext& context) {
        return client.server().SetSlowRequestThreshold(&context, request, &response);
      });
  if (code != ExitCode::kOk) return code;
  const auto text = [&] {
    return "slow requests: " + SlowText(request.threshold()) + ", was " +
           SlowText(response.previous_threshold()) + "\n";
  };
  std::cout << Formatted(response, options.style, text, text);
  return code;
}

// "0" needs no unit.
google::protobuf::Duration ThresholdOf(const std::string& text) {
  if (text == "0") return {};
  const auto threshold = ParseDuration(text);
  if (!threshold.has_value()) {
    throw CLI::ValidationError("TIME", "'" + text + "' is no time; 50ms and 2s are, and 0");
  }
  return *threshold;
}

ExitCode Check(const Options& options) {
  Client client(options);
  v1::CheckHostResponse response;
  const ExitCode code = client.Call("check the host", [&](grpc::ClientContext& context) {
    return client.server().CheckHost(&context, v1::CheckHostRequest(), &response);
  });
  if (code != ExitCode::kOk) return code;
  const auto names = [&] {
    std::string lines;
    for (const v1::HostCheck& check : response.checks()) lines += Printable(check.check()) + "\n";
    return lines;
  };
  std::cout << Formatted(
      response, options.style, [&] { return HostChecks(response, options.style); }, names);
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
  const auto slow = std::make_shared<std::string>();
  CLI::App& slow_request = *server.add_subcommand(
      "slow-request",
      "Show or change which requests of guests are logged and counted as slow, until it is started "
      "again");
  slow_request.add_option("TIME", *slow, "Those that take longer from now on, as 50ms; 0: none")
      ->type_name("TIME");
  slow_request.callback([slow, &options, &result] {
    if (slow->empty()) {
      result = ShowSlowRequest(options);
      return;
    }
    v1::SetSlowRequestThresholdRequest request;
    *request.mutable_threshold() = ThresholdOf(*slow);
    result = SetSlowRequest(request, options);
  });
  server
      .add_subcommand("check",
                      "Look at what the host offers and lacks, what that costs and what to do")
      ->callback([&options, &result] { result = Check(options); });
}

}  // namespace fsd::cli
