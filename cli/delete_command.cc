#include "cli/delete_command.h"

#include <chrono>
#include <iostream>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "cli/output.h"
#include "cli/printable.h"
#include "cli/progress.h"
#include "cli/resource_name.h"
#include "cli/timeout_option.h"

namespace fsd::cli {
namespace {

struct Arguments {
  std::vector<std::string> names;
  v1::DeleteExportRequest request;  // but for the name
  std::optional<std::chrono::nanoseconds> drain_timeout;
};

ExitCode Delete(const v1::DeleteExportRequest& request, const Arguments& arguments,
                const Options& options) {
  Client client(options);
  google::protobuf::Empty empty;
  const std::string name = Printable(request.name());
  const bool drains = request.mode() == v1::DeleteExportRequest::DRAIN;
  const auto wait = drains ? arguments.drain_timeout : std::chrono::nanoseconds(0);
  const ExitCode code =
      client.WaitingCall("delete " + name, wait, [&](grpc::ClientContext& context) {
        std::optional<Progress> progress;
        if (drains) {
          progress.emplace("waiting for the virtual machine to leave " + name,
                           arguments.drain_timeout);
        }
        return client.exports().DeleteExport(&context, request, &empty);
      });
  if (code != ExitCode::kOk) return code;
  switch (options.style.format) {
    case Format::kTable:
    case Format::kWide:
      std::cout << "deleted " << name << "\n";
      break;
    case Format::kJson:
    case Format::kYaml:
      std::cout << JsonLine(empty);
      break;
    case Format::kName:
      std::cout << name << "\n";
      break;
  }
  return code;
}

ExitCode DeleteAll(Arguments& arguments, const Options& options) {
  ExitCode first_failure = ExitCode::kOk;
  for (const std::string& name : arguments.names) {
    arguments.request.set_name(ResourceName(name));
    const ExitCode code = Delete(arguments.request, arguments, options);
    if (first_failure == ExitCode::kOk) first_failure = code;
  }
  return first_failure;
}

void ReadDrain(const std::string& text, Arguments& arguments) {
  arguments.request.set_mode(v1::DeleteExportRequest::DRAIN);
  constexpr char kWithoutValue[] = "true";  // CLI11's of a flag
  if (text == kWithoutValue) return;
  arguments.drain_timeout = TimeoutOf("--drain", text);
  *arguments.request.mutable_drain_timeout() = ToProto(*arguments.drain_timeout);
}

}  // namespace

void AddDeleteCommand(CLI::App& exports, const Options& options, ExitCode& result) {
  const auto arguments = std::make_shared<Arguments>();
  arguments->request.set_mode(v1::DeleteExportRequest::SAFE);
  CLI::App& command =
      *exports.add_subcommand("delete", "Stop sharing; the directory stays as it is");
  command.add_option("NAME", arguments->names, "The exports")->required();
  const auto drain = std::make_shared<std::string>();
  CLI::Option* const drain_option = command.add_flag(
      "--drain", *drain,
      "Wait until the virtual machine has left, at most as long as --drain=DURATION "
      "says; no other may come meanwhile");
  command
      .add_flag_callback(
          "--force", [arguments] { arguments->request.set_mode(v1::DeleteExportRequest::FORCE); },
          "Cut off the virtual machine that uses it")
      ->excludes(drain_option);
  command.add_flag_callback(
      "--ignore-missing,--allow-missing",
      [arguments] { arguments->request.set_allow_missing(true); }, "No error if it does not exist");
  command.add_option_function<std::string>(
      "--etag", [arguments](const std::string& etag) { arguments->request.set_etag(etag); },
      "Only if its etag still is this");
  command.callback([arguments, drain, &options, &result] {
    if (!drain->empty()) ReadDrain(*drain, *arguments);
    result = DeleteAll(*arguments, options);
  });
}

}  // namespace fsd::cli
