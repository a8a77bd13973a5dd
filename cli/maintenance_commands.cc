#include "cli/maintenance_commands.h"

#include <chrono>
#include <functional>
#include <iostream>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "cli/output.h"
#include "cli/printable.h"
#include "cli/progress.h"
#include "cli/resource_name.h"
#include "cli/timeout_option.h"

namespace fsd::cli {
namespace {

// What the commands have in common.
struct Target {
  std::vector<std::string> names;
  std::string etag;
};

void AddTarget(CLI::App& command, Target& target) {
  command.add_option("NAME", target.names, "The exports")->required();
  command.add_option("--etag", target.etag, "Only if its etag still is this");
}

// Makes the request's call for each export. `done` says what has been done, for people:
// "drained exports/web". The first failure's code; the others are tried all the same.
template <typename Request>
ExitCode ForEach(const Target& target, const std::string& verb, Request request,
                 const Options& options, const std::optional<std::chrono::nanoseconds>& wait,
                 const std::function<grpc::Status(Client&, grpc::ClientContext&, const Request&,
                                                  v1::Export&)>& rpc,
                 const std::function<std::string(const v1::Export&)>& done) {
  Client client(options);
  ExitCode first_failure = ExitCode::kOk;
  for (const std::string& name : target.names) {
    request.set_name(ResourceName(name));
    request.set_etag(target.etag);
    v1::Export answer;
    const ExitCode code = client.WaitingCall(
        verb + " " + Printable(request.name()), wait,
        [&](grpc::ClientContext& context) { return rpc(client, context, request, answer); });
    if (first_failure == ExitCode::kOk) first_failure = code;
    if (code != ExitCode::kOk) continue;
    if (IsTable(options.style.format)) {
      std::cout << done(answer) << "\n";
    } else {
      std::cout << ExportText(answer, options.style);
    }
  }
  return first_failure;
}

// What fsctl waits at most when nobody says how long: the API has no "for ever", and takes no more.
constexpr std::chrono::hours kOneYear(24 * 365);

ExitCode Drain(const Target& target, bool waits,
               const std::optional<std::chrono::nanoseconds>& timeout, const Options& options) {
  v1::DrainExportRequest request;
  if (waits) *request.mutable_timeout() = ToProto(timeout.value_or(kOneYear));
  const auto wait = waits ? timeout : std::chrono::nanoseconds(0);
  return ForEach<v1::DrainExportRequest>(
      target, "drain", request, options, wait,
      [&](Client& client, grpc::ClientContext& context, const v1::DrainExportRequest& one,
          v1::Export& answer) {
        std::optional<Progress> progress;
        if (waits) {
          progress.emplace("waiting for the virtual machine to leave " + Printable(one.name()),
                           timeout);
        }
        return client.exports().DrainExport(&context, one, &answer);
      },
      [](const v1::Export& drained) {
        const std::string name = Printable(drained.name());
        return drained.status().has_connection()
                   ? "draining " + name + "; a virtual machine is still connected"
                   : "drained " + name;
      });
}

void AddDrain(CLI::App& exports, const Options& options, ExitCode& result) {
  struct Arguments {
    Target target;
    bool does_not_wait = false;
    std::optional<std::chrono::nanoseconds> timeout;
  };
  const auto arguments = std::make_shared<Arguments>();
  CLI::App& command = *exports.add_subcommand(
      "drain", "Take no new virtual machine, and wait until the one that is connected has left");
  command.footer(
      "If it has not left in time, or fsctl is interrupted, the export is as it was. 'fsctl "
      "export\n"
      "resume' takes a drained export back into service.");
  AddTarget(command, arguments->target);
  CLI::Option& timeout =
      AddTimeoutOption(command, "--timeout", "How long to wait (until it has left)",
                       [arguments](std::chrono::nanoseconds limit) { arguments->timeout = limit; });
  command.add_flag("--no-wait", arguments->does_not_wait, "Return at once, and keep it draining")
      ->excludes(&timeout);
  command.callback([arguments, &options, &result] {
    result = Drain(arguments->target, !arguments->does_not_wait, arguments->timeout, options);
  });
}

void AddResume(CLI::App& exports, const Options& options, ExitCode& result) {
  const auto target = std::make_shared<Target>();
  CLI::App& command = *exports.add_subcommand("resume", "Take virtual machines again, after drain");
  AddTarget(command, *target);
  command.callback([target, &options, &result] {
    result = ForEach<v1::ResumeExportRequest>(
        *target, "resume", {}, options, std::chrono::nanoseconds(0),
        [](Client& client, grpc::ClientContext& context, const v1::ResumeExportRequest& request,
           v1::Export& answer) {
          return client.exports().ResumeExport(&context, request, &answer);
        },
        [](const v1::Export& resumed) { return "resumed " + Printable(resumed.name()); });
  });
}

void AddDisconnect(CLI::App& exports, const Options& options, ExitCode& result) {
  const auto target = std::make_shared<Target>();
  CLI::App& command = *exports.add_subcommand(
      "disconnect", "Cut off the virtual machine that is connected; the next may come");
  command.footer(
      "A guest that still has the file system mounted hangs on it until its virtual\n"
      "machine connects again.");
  AddTarget(command, *target);
  command.callback([target, &options, &result] {
    result = ForEach<v1::DisconnectExportRequest>(
        *target, "disconnect", {}, options, std::chrono::nanoseconds(0),
        [](Client& client, grpc::ClientContext& context, const v1::DisconnectExportRequest& request,
           v1::Export& answer) {
          return client.exports().DisconnectExport(&context, request, &answer);
        },
        [](const v1::Export& cut) { return "disconnected " + Printable(cut.name()); });
  });
}

void AddRestart(CLI::App& exports, const Options& options, ExitCode& result) {
  const auto target = std::make_shared<Target>();
  const auto force = std::make_shared<bool>(false);
  CLI::App& command = *exports.add_subcommand(
      "restart", "Replace the export's worker process; brings back one that has FAILED");
  AddTarget(command, *target);
  command.add_flag("--force", *force, "Also if a virtual machine is connected, which is cut off");
  command.callback([target, force, &options, &result] {
    v1::RestartWorkerRequest request;
    request.set_force(*force);
    result = ForEach<v1::RestartWorkerRequest>(
        *target, "restart the worker of", request, options, std::chrono::nanoseconds(0),
        [](Client& client, grpc::ClientContext& context, const v1::RestartWorkerRequest& one,
           v1::Export& answer) { return client.exports().RestartWorker(&context, one, &answer); },
        [](const v1::Export& restarted) {
          return "restarted the worker of " + Printable(restarted.name()) + ": pid " +
                 std::to_string(restarted.status().worker_pid());
        });
  });
}

}  // namespace

void AddMaintenanceCommands(CLI::App& exports, const Options& options, ExitCode& result) {
  AddDrain(exports, options, result);
  AddResume(exports, options, result);
  AddDisconnect(exports, options, result);
  AddRestart(exports, options, result);
}

}  // namespace fsd::cli
