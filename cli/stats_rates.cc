#include "cli/stats_rates.h"

#include <array>
#include <cstdio>
#include <span>

#include "google/protobuf/util/time_util.h"

namespace fsd::cli {
namespace {

// `value` in the largest of the units, each `step` times the one before, that leaves at least 1.
std::string Scaled(double value, double step, std::span<const char* const> units) {
  size_t unit = 0;
  while (value >= step && unit + 1 < units.size()) {
    value /= step;
    ++unit;
  }
  const int decimals = value == 0 || value >= 99.95 ? 0 : value >= 9.995 ? 1 : 2;
  char text[32];
  std::snprintf(text, sizeof(text), "%.*f%s", decimals, value, units[unit]);
  return text;
}

struct Totals {
  uint64_t operations = 0;
  uint64_t errors = 0;
  uint64_t nanoseconds = 0;
};

Totals Sum(const v1::ExportStats& stats) {
  Totals totals;
  for (const v1::OpcodeStats& opcode : stats.opcodes()) {
    totals.operations += opcode.requests();
    totals.errors += Errors(opcode);
    totals.nanoseconds += opcode.latency().sum_nanoseconds();
  }
  return totals;
}

}  // namespace

uint64_t Requests(const v1::LatencyHistogram& histogram) {
  uint64_t requests = 0;
  for (const v1::LatencyBucket& bucket : histogram.buckets()) requests += bucket.requests();
  return requests;
}

uint64_t Errors(const v1::OpcodeStats& stats) {
  uint64_t errors = 0;
  for (const v1::ErrnoCount& count : stats.errors()) errors += count.requests();
  return errors;
}

uint64_t QuantileNanoseconds(const v1::LatencyHistogram& histogram, double quantile) {
  const double wanted = quantile * static_cast<double>(Requests(histogram));
  uint64_t seen = 0;
  uint64_t bound = 0;
  for (const v1::LatencyBucket& bucket : histogram.buckets()) {
    if (bucket.upper_bound_nanoseconds() != 0) bound = bucket.upper_bound_nanoseconds();
    seen += bucket.requests();
    if (seen != 0 && static_cast<double>(seen) >= wanted) return bound;
  }
  return 0;
}

std::string LatencyText(double nanoseconds) {
  constexpr std::array<const char*, 4> kUnits = {"ns", "us", "ms", "s"};
  return Scaled(nanoseconds, 1000, kUnits);
}

std::string RateText(double per_second) {
  constexpr std::array<const char*, 4> kUnits = {"", "k", "M", "G"};
  return Scaled(per_second, 1000, kUnits);
}

std::string BytesRateText(double bytes) {
  constexpr std::array<const char*, 5> kUnits = {"B", "K", "M", "G", "T"};
  return Scaled(bytes, 1024, kUnits);
}

Rates RatesBetween(const v1::ExportStats& before, const v1::ExportStats& now) {
  using google::protobuf::util::TimeUtil;
  const double seconds = static_cast<double>(TimeUtil::TimestampToNanoseconds(now.time()) -
                                             TimeUtil::TimestampToNanoseconds(before.time())) /
                         1e9;
  const Totals old = Sum(before);
  const Totals fresh = Sum(now);
  if (before.uid() != now.uid() || seconds <= 0 ||
      TimeUtil::TimestampToNanoseconds(before.since()) !=
          TimeUtil::TimestampToNanoseconds(now.since()) ||
      fresh.operations < old.operations) {
    return {};
  }
  const auto rate = [seconds](uint64_t from, uint64_t to) {
    return to < from ? 0.0 : static_cast<double>(to - from) / seconds;
  };
  Rates rates;
  rates.operations = rate(old.operations, fresh.operations);
  rates.errors = rate(old.errors, fresh.errors);
  rates.bytes_read = rate(before.bytes_read(), now.bytes_read());
  rates.bytes_written = rate(before.bytes_written(), now.bytes_written());
  rates.slow = rate(before.slow_requests(), now.slow_requests());
  rates.throttled = rate(before.throttled_nanoseconds(), now.throttled_nanoseconds()) / 1e9;
  if (fresh.operations > old.operations) {
    rates.mean_latency_ns = static_cast<double>(fresh.nanoseconds - old.nanoseconds) /
                            static_cast<double>(fresh.operations - old.operations);
  }
  return rates;
}

}  // namespace fsd::cli
