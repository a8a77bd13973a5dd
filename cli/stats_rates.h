// Latencies of histograms, and rates between two readings of an export's counters.
#ifndef FSD_CLI_STATS_RATES_H_
#define FSD_CLI_STATS_RATES_H_

#include <cstdint>
#include <string>

#include "proto/fsd/v1/export_stats.pb.h"

namespace fsd::cli {

// The bound of the bucket that the `quantile` (0 to 1) of all requests falls into, in ns; the
// greatest bound there is for those without one. 0 if there are no requests.
uint64_t QuantileNanoseconds(const v1::LatencyHistogram& histogram, double quantile);

uint64_t Requests(const v1::LatencyHistogram& histogram);
uint64_t Errors(const v1::OpcodeStats& stats);

// Three digits and a unit: "850ns", "12.3us", "4.50ms", "1.20s".
std::string LatencyText(double nanoseconds);

// Per second, between two readings.
struct Rates {
  double operations = 0;
  double errors = 0;
  double bytes_read = 0;
  double bytes_written = 0;
  double slow = 0;
  double throttled = 0;        // queues that waited because of limits, on average
  double mean_latency_ns = 0;  // of the requests between
};

// All 0 if `now` does not continue `before`: of another incarnation, counted anew, or no later.
Rates RatesBetween(const v1::ExportStats& before, const v1::ExportStats& now);

// "0", "7.25", "123", "45.6k", "7.89M": three digits and 1000s.
std::string RateText(double per_second);
// "0B", "512B", "1.50K", "23.4M": three digits and 1024s.
std::string BytesRateText(double bytes);

}  // namespace fsd::cli

#endif  // FSD_CLI_STATS_RATES_H_
