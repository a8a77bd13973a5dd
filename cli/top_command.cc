#include "cli/top_command.h"

#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <iostream>
#include <map>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "cli/output.h"
#include "cli/printable.h"
#include "cli/selector.h"
#include "cli/stats_rates.h"
#include "cli/timeout_option.h"

namespace fsd::cli {
namespace {

struct Reading {
  v1::Export resource;
  v1::ExportStats stats;
};

// By name.
using Readings = std::map<std::string, Reading>;

// Of every export that matches and is still there when it is asked.
ExitCode Read(Client& client, const std::string& filter, Readings& readings) {
  v1::ListExportsRequest list;
  list.set_filter(filter);
  do {
    v1::ListExportsResponse page;
    const ExitCode code = client.Call("list exports", [&](grpc::ClientContext& context) {
      return client.exports().ListExports(&context, list, &page);
    });
    if (code != ExitCode::kOk) return code;
    for (const v1::Export& resource : page.exports()) {
      v1::GetExportStatsRequest request;
      request.set_name(resource.name());
      v1::ExportStats stats;
      bool is_gone = false;
      const ExitCode got = client.Call(
          "get the counters of " + Printable(resource.name()), [&](grpc::ClientContext& context) {
            const grpc::Status status = client.exports().GetExportStats(&context, request, &stats);
            is_gone = status.error_code() == grpc::StatusCode::NOT_FOUND;
            return is_gone ? grpc::Status() : status;
          });
      if (got != ExitCode::kOk) return got;
      if (!is_gone) readings[resource.name()] = {resource, stats};
    }
    list.set_page_token(page.next_page_token());
  } while (!list.page_token().empty());
  return ExitCode::kOk;
}

std::string TopTable(const Readings& before, const Readings& now, const Style& style) {
  std::vector<std::pair<double, std::vector<std::string>>> rows;
  for (const auto& [name, reading] : now) {
    const auto old = before.find(name);
    const Rates rates =
        old == before.end() ? Rates() : RatesBetween(old->second.stats, reading.stats);
    rows.push_back(
        {rates.operations,
         {Printable(name), StateText(reading.resource.status().state(), style),
          RateText(rates.operations), BytesRateText(rates.bytes_read),
          BytesRateText(rates.bytes_written), LatencyText(rates.mean_latency_ns),
          RateText(rates.errors), RateText(rates.slow), RateText(rates.throttled),
          std::to_string(reading.stats.inflight_requests()),
          std::to_string(reading.stats.open_files()), std::to_string(reading.stats.inodes())}});
  }
  std::stable_sort(rows.begin(), rows.end(),
                   [](const auto& a, const auto& b) { return a.first > b.first; });
  std::vector<std::vector<std::string>> cells;
  for (auto& [operations, row] : rows) cells.push_back(std::move(row));
  return HeadedTable({"NAME", "STATE", "OP/s", "READ/s", "WRITE/s", "LATENCY", "ERR/s", "SLOW/s",
                      "THROTTLED", "INFLIGHT", "OPEN", "INODES"},
                     cells, style);
}

ExitCode Top(const std::string& filter, std::chrono::nanoseconds interval, bool once,
             const Options& options) {
  Client client(options);
  Readings before;
  ExitCode code = Read(client, filter, before);
  const bool redraws = !once && isatty(STDOUT_FILENO) == 1;
  while (code == ExitCode::kOk && std::cout) {
    std::this_thread::sleep_for(interval);
    Readings now;
    code = Read(client, filter, now);
    if (code != ExitCode::kOk) break;
    constexpr char kHomeAndClear[] = "\x1b[H\x1b[J";
    if (redraws) std::cout << kHomeAndClear;
    std::cout << TopTable(before, now, options.style);
    if (once) break;
    if (!redraws) std::cout << "\n";
    std::cout.flush();
    before = std::move(now);
  }
  return code;
}

}  // namespace

void AddTopCommand(CLI::App& exports, const Options& options, ExitCode& result) {
  struct Arguments {
    Selection selection;
    std::chrono::nanoseconds interval = std::chrono::seconds(2);
    bool once = false;
  };
  const auto arguments = std::make_shared<Arguments>();
  CLI::App& command = *exports.add_subcommand(
      "top", "Show what the exports serve per second, the busiest first, again and again");
  command.footer("THROTTLED: how many queues waited for the limits of qos, on average.");
  AddSelectionOptions(command, arguments->selection);
  AddTimeoutOption(
      command, "--interval", "From one reading to the next (2s)",
      [arguments](std::chrono::nanoseconds interval) { arguments->interval = interval; });
  command.add_flag("--once", arguments->once, "End after one table");
  command.callback([arguments, &options, &result] {
    if (!IsTable(options.style.format)) {
      throw CLI::ValidationError("top",
                                 "prints tables only; 'fsctl export stats -o json' is for "
                                 "programs");
    }
    result = Top(arguments->selection.Filter(), arguments->interval, arguments->once, options);
  });
}

}  // namespace fsd::cli
