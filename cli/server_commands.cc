#include "cli/server_commands.h"

#include <iostream>

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
  switch (options.format) {
    case Format::kTable:
      std::cout << ServerFields(options.server, info);
      break;
    case Format::kJson:
      std::cout << Json(info);
      break;
    case Format::kName:
      std::cout << Printable(options.server) << "\n";
      break;
  }
  return code;
}

}  // namespace

void AddServerCommands(CLI::App& app, const Options& options, ExitCode& result) {
  CLI::App& server = *app.add_subcommand("server", "The server itself");
  server.require_subcommand(1);
  server.add_subcommand("info", "Show what it is and what it allows")
      ->callback([&options, &result] { result = Info(options); });
}

}  // namespace fsd::cli
