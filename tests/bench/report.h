// The report: one row for each workload and manner, every subject beside the others, ratios,
// targets; as a Markdown table and as JSON.
#ifndef FSD_TESTS_BENCH_REPORT_H_
#define FSD_TESTS_BENCH_REPORT_H_

#include <optional>
#include <ostream>
#include <string>
#include <utility>
#include <vector>

#include "tests/bench/measurement.h"
#include "tests/bench/workload.h"

namespace fsd::bench {

// What was measured, once a round.
struct Row {
  const Workload* workload = nullptr;
  Manner manner;
  // As the subjects, the first is fsd's; empty if it cannot.
  std::vector<std::vector<Sample>> samples;
  // CPU of the bare system calls of one request; empty if there are none.
  std::vector<double> bare_us;
};

// A target of fsd's in a row. CPU per request against the better peer and the bare calls with one
// polled vring; with several, against that with one; the median latency against both peers with
// one request in flight.
//
// What a target is made of is measured beside fsd in each round, and from round to round the
// machine changes by more than fsd is above or below: so each round has its own target,
// against each peer by itself, and the median of how much of it fsd took decides.
struct Verdict {
  const char* of = "";   // "cpu" or "p50"
  double target_us = 0;  // the median
  double of_target = 0;  // fsd's part of it, the median; met if at most 1

  bool met() const { return of_target <= 1; }
};
// Nothing if the row has no target, or lacks what it is measured against.
std::optional<Verdict> Judge(const Row& row, const std::vector<Row>& rows);

struct Report {
  std::vector<std::pair<std::string, std::string>> about;  // date, machine, command, …
  std::vector<std::string> subjects;                       // fsd first
  std::vector<Row> rows;
};
void PrintMarkdown(const Report& report, std::ostream& out);
void PrintJson(const Report& report, std::ostream& out);

}  // namespace fsd::bench

#endif  // FSD_TESTS_BENCH_REPORT_H_
