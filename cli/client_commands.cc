#include "cli/client_commands.h"

#include <chrono>
#include <cstdlib>
#include <iostream>
#include <memory>

#include "cli/client_version.h"
#include "cli/completion.h"
#include "cli/output.h"
#include "cli/printable.h"
#include "cli/resource_name.h"
#include "google/protobuf/struct.pb.h"

namespace fsd::cli {
namespace {

ExitCode Version(bool client_only, const Options& options) {
  v1::ServerInfo info;
  ExitCode code = ExitCode::kOk;
  if (!client_only) {
    Client client(options);
    code = client.Call("ask the server", [&](grpc::ClientContext& context) {
      return client.server().GetServerInfo(&context, v1::GetServerInfoRequest(), &info);
    });
  }
  const bool has_server = !client_only && code == ExitCode::kOk;
  if (options.style.format == Format::kJson || options.style.format == Format::kYaml) {
    google::protobuf::Struct versions;
    (*versions.mutable_fields())["client"].set_string_value(ClientVersion());
    if (has_server) (*versions.mutable_fields())["server"].set_string_value(info.version());
    std::cout << Structured(versions, options.style.format);
  } else {
    std::cout << "client " << ClientVersion() << "\n";
    if (has_server) std::cout << "server " << Printable(info.version()) << "\n";
  }
  return code;
}

// Where the command line so far, or the environment, says.
std::string ServerOf(const std::vector<std::string>& words, const std::string& otherwise) {
  constexpr char kOption[] = "--server";
  for (size_t i = 0; i + 1 < words.size(); ++i) {
    if (words[i] == kOption && words[i + 1] != "=") return words[i + 1];
    if (words[i] == kOption && i + 2 < words.size()) return words[i + 2];  // as bash splits it
    if (words[i].starts_with("--server=")) return words[i].substr(sizeof(kOption));
  }
  const char* const environment = std::getenv("FSCTL_SERVER");
  return environment == nullptr ? otherwise : environment;
}

std::vector<std::string> ExportIds(const Options& options) {
  std::vector<std::string> ids;
  if (!IsServerAddress(options.server)) return ids;
  Client client(options);
  v1::ListExportsRequest request;
  request.set_page_size(1000);
  v1::ListExportsResponse page;
  const ExitCode code = client.Call("list exports", [&](grpc::ClientContext& context) {
    return client.exports().ListExports(&context, request, &page);
  });
  if (code != ExitCode::kOk) return ids;
  for (const v1::Export& resource : page.exports()) ids.push_back(ExportId(resource.name()));
  return ids;
}

}  // namespace

void AddClientCommands(CLI::App& app, const Options& options, ExitCode& result) {
  const auto client_only = std::make_shared<bool>(false);
  CLI::App& version = *app.add_subcommand("version", "Show the versions of fsctl and the server");
  version.add_flag("--client", *client_only, "Of fsctl alone");
  version.callback([client_only, &options, &result] { result = Version(*client_only, options); });

  const auto shell = std::make_shared<std::string>();
  CLI::App& completion =
      *app.add_subcommand("completion", "Print a script that completes fsctl's commands");
  completion.footer(
      "bash: source <(fsctl completion bash)\n"
      "zsh:  fsctl completion zsh > \"${fpath[1]}/_fsctl\"\n"
      "fish: fsctl completion fish > ~/.config/fish/completions/fsctl.fish");
  completion.add_option("SHELL", *shell, "The shell")
      ->type_name("bash|zsh|fish")
      ->required()
      ->check(CLI::IsMember({"bash", "zsh", "fish"}).description(""));
  completion.callback([shell] { std::cout << CompletionScript(*shell); });
}

void PrintCompletions(const CLI::App& app, const std::vector<std::string>& words, Options options) {
  options.server = ServerOf(words, options.server);
  options.timeout = std::chrono::seconds(2);  // somebody waits at the keyboard
  for (const std::string& candidate :
       Complete(app, words, [&options] { return ExportIds(options); })) {
    std::cout << Printable(candidate) << "\n";
  }
}

}  // namespace fsd::cli
