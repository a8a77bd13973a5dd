// One measurement: a back-end started, mounted, warmed up, loaded and ended.
#ifndef FSD_TESTS_BENCH_MEASUREMENT_H_
#define FSD_TESTS_BENCH_MEASUREMENT_H_

#include <chrono>
#include <cstddef>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "tests/bench/back_end.h"
#include "tests/bench/load.h"
#include "tests/bench/workload.h"

namespace fsd::bench {

// How a workload is run.
struct Manner {
  size_t depth = 16;  // requests in flight on each vring
  size_t vrings = 1;
  Completion completion = Completion::kPolled;

  friend bool operator==(const Manner&, const Manner&) = default;
};

struct Sample {
  double requests_per_second = 0;
  double megabytes_per_second = 0;  // 10^6
  double p50_us = 0;
  double p99_us = 0;
  // CPU of the back-end per request, by its processes' CPU clocks and by its threads' schedstat.
  double cpu_us = 0;
  double schedstat_us = 0;
};

// UNIMPLEMENTED if the back-end cannot do this (vrings, sizes); any other error is a failure.
absl::StatusOr<Sample> Measure(BackEnd& back_end, const std::string& directory,
                               const Workload& workload, const Manner& manner,
                               std::chrono::nanoseconds duration);

// `values` is not empty.
double MedianOf(std::vector<double> values);
// Field by field; `samples` is not empty.
Sample MedianOf(const std::vector<Sample>& samples);

}  // namespace fsd::bench

#endif  // FSD_TESTS_BENCH_MEASUREMENT_H_
