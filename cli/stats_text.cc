#include "cli/stats_text.h"

#include <algorithm>
#include <vector>

#include "cli/duration_syntax.h"
#include "cli/printable.h"
#include "cli/stats_rates.h"
#include "google/protobuf/util/time_util.h"

namespace fsd::cli {
namespace {

using google::protobuf::util::TimeUtil;

std::string ErrnoCounts(const v1::OpcodeStats& opcode) {
  std::string text;
  for (const v1::ErrnoCount& count : opcode.errors()) {
    if (!text.empty()) text += ", ";
    text += Printable(count.name()) + " " + std::to_string(count.requests());
  }
  return text.empty() ? "-" : text;
}

std::vector<std::string> OpcodeRow(const v1::OpcodeStats& opcode, bool wide) {
  const v1::LatencyHistogram& latency = opcode.latency();
  const uint64_t requests = Requests(latency);
  const double mean = requests == 0 ? 0
                                    : static_cast<double>(latency.sum_nanoseconds()) /
                                          static_cast<double>(requests);
  const auto quantile = [&latency](double of) {
    return LatencyText(static_cast<double>(QuantileNanoseconds(latency, of)));
  };
  std::vector<std::string> row = {Printable(opcode.name()),
                                  std::to_string(opcode.requests()),
                                  std::to_string(Errors(opcode)),
                                  LatencyText(mean),
                                  quantile(0.5),
                                  quantile(0.99),
                                  quantile(1)};
  if (wide) row.push_back(ErrnoCounts(opcode));
  return row;
}

}  // namespace

std::string StatsText(const v1::ExportStats& stats, const Style& style) {
  std::string text = AlignedFields({
      {"Name", Printable(stats.name())},
      {"Counted since", TimeUtil::ToString(stats.since())},
      {"Bytes read", std::to_string(stats.bytes_read())},
      {"Bytes written", std::to_string(stats.bytes_written())},
      {"In flight", std::to_string(stats.inflight_requests())},
      {"Open files", std::to_string(stats.open_files())},
      {"Inodes", std::to_string(stats.inodes())},
      {"Connections", std::to_string(stats.connections_accepted()) + " accepted, " +
                          std::to_string(stats.connections_refused()) + " refused"},
      {"Restarts", std::to_string(stats.restarts())},
      {"Slow requests",
       std::to_string(stats.slow_requests()) + ", now " + SlowText(stats.slow_request_threshold())},
      {"Throttled", LatencyText(static_cast<double>(stats.throttled_nanoseconds())) +
                        " of waiting for the limits of qos"},
  });
  std::vector<v1::OpcodeStats> opcodes(stats.opcodes().begin(), stats.opcodes().end());
  std::stable_sort(opcodes.begin(), opcodes.end(),
                   [](const v1::OpcodeStats& a, const v1::OpcodeStats& b) {
                     return a.requests() > b.requests();
                   });
  std::vector<std::string> heading = {"OPERATION", "REQUESTS", "ERRORS", "MEAN",
                                      "P50",       "P99",      "MAX"};
  const bool wide = style.format == Format::kWide;
  if (wide) heading.emplace_back("ERRNOS");
  std::vector<std::vector<std::string>> rows;
  for (const v1::OpcodeStats& opcode : opcodes) rows.push_back(OpcodeRow(opcode, wide));
  return text + "\n" + HeadedTable(std::move(heading), rows, style);
}

std::string InflightText(const v1::ListInflightRequestsResponse& response, const Style& style) {
  std::vector<std::vector<std::string>> rows;
  for (const v1::InflightRequest& request : response.requests()) {
    rows.push_back(
        {LatencyText(static_cast<double>(TimeUtil::DurationToNanoseconds(request.age()))),
         Printable(request.opcode_name()), std::to_string(request.nodeid()),
         std::to_string(request.queue()), std::to_string(request.unique())});
  }
  std::string text = HeadedTable({"AGE", "OPERATION", "NODE", "QUEUE", "UNIQUE"}, rows, style);
  if (response.total_requests() > rows.size()) {
    text += "and " + std::to_string(response.total_requests() - rows.size()) +
            " more; --limit shows more\n";
  }
  return text;
}

}  // namespace fsd::cli
