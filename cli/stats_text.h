// An export's counters and requests, for people.
#ifndef FSD_CLI_STATS_TEXT_H_
#define FSD_CLI_STATS_TEXT_H_

#include <string>

#include "cli/output.h"
#include "proto/fsd/v1/export_service.pb.h"
#include "proto/fsd/v1/export_stats.pb.h"

namespace fsd::cli {

// The counters, then a row for each opcode, the most used first; wide: with each errno's count.
std::string StatsText(const v1::ExportStats& stats, const Style& style);

// A row for each request, and how many there are if that is more.
std::string InflightText(const v1::ListInflightRequestsResponse& response, const Style& style);

}  // namespace fsd::cli

#endif  // FSD_CLI_STATS_TEXT_H_
