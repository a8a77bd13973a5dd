#include "cli/stats_commands.h"

#include <iostream>
#include <memory>
#include <string>

#include "cli/output.h"
#include "cli/printable.h"
#include "cli/resource_name.h"
#include "cli/stats_text.h"
#include "cli/top_command.h"

namespace fsd::cli {
namespace {

ExitCode Stats(const std::string& name, const Options& options) {
  v1::GetExportStatsRequest request;
  request.set_name(ResourceName(name));
  Client client(options);
  v1::ExportStats stats;
  const ExitCode code = client.Call(
      "get the counters of " + Printable(request.name()), [&](grpc::ClientContext& context) {
        return client.exports().GetExportStats(&context, request, &stats);
      });
  if (code != ExitCode::kOk) return code;
  std::cout << Formatted(
      stats, options.style, [&] { return StatsText(stats, options.style); },
      [&] { return Printable(stats.name()) + "\n"; });
  return code;
}

ExitCode Inflight(const std::string& name, int limit, const Options& options) {
  v1::ListInflightRequestsRequest request;
  request.set_name(ResourceName(name));
  request.set_page_size(limit);
  Client client(options);
  v1::ListInflightRequestsResponse response;
  const ExitCode code = client.Call(
      "list the requests of " + Printable(request.name()), [&](grpc::ClientContext& context) {
        return client.exports().ListInflightRequests(&context, request, &response);
      });
  if (code != ExitCode::kOk) return code;
  const auto names = [&] {
    std::string lines;
    for (const v1::InflightRequest& one : response.requests()) {
      lines += std::to_string(one.unique()) + "\n";
    }
    return lines;
  };
  std::cout << Formatted(
      response, options.style, [&] { return InflightText(response, options.style); }, names);
  return code;
}

}  // namespace

void AddStatsCommands(CLI::App& exports, const Options& options, ExitCode& result) {
  struct Arguments {
    std::string name;
    int limit = 0;
  };
  const auto arguments = std::make_shared<Arguments>();
  CLI::App& stats = *exports.add_subcommand(
      "stats", "Show what an export has served, by operation, with errors and latencies");
  stats.add_option("NAME", arguments->name, "The export")->required();
  stats.callback([arguments, &options, &result] { result = Stats(arguments->name, options); });

  CLI::App& inflight = *exports.add_subcommand(
      "inflight", "Show the guest's requests that are not answered yet, the oldest first");
  inflight.add_option("NAME", arguments->name, "The export")->required();
  inflight.add_option("--limit", arguments->limit, "The most requests to show, at most 1000 (100)")
      ->type_name("N")
      ->check(CLI::Range(1, 1000).description(""));
  inflight.callback([arguments, &options, &result] {
    result = Inflight(arguments->name, arguments->limit, options);
  });
  AddTopCommand(exports, options, result);
}

}  // namespace fsd::cli
