#include "tests/bench/report.h"

#include <algorithm>
#include <string_view>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "server/errors/status_macros.h"

namespace fsd::bench {
namespace {

constexpr char kNothing[] = "–";

// Three digits that count.
std::string Figure(double value) {
  if (value >= 100) return absl::StrFormat("%.0f", value);
  if (value >= 10) return absl::StrFormat("%.1f", value);
  return absl::StrFormat("%.2f", value);
}

// One field of every subject, "a · b · c".
template <typename Format>
std::string Each(const Row& row, Format format) {
  return absl::StrJoin(row.samples, " · ", [&](std::string* out, const auto& sample) {
    absl::StrAppend(out, sample ? format(*sample) : kNothing);
  });
}

std::string Ratio(double ours, std::optional<double> theirs) {
  return theirs ? absl::StrFormat("%.2f", ours / *theirs) : kNothing;
}

// The smallest of a field among the peers.
std::optional<double> BestOfPeers(const Row& row, double Sample::*field) {
  std::optional<double> best;
  for (size_t i = 1; i < row.samples.size(); ++i) {
    if (!row.samples[i]) continue;
    const double value = *row.samples[i].*field;
    best = std::min(best.value_or(value), value);
  }
  return best;
}

std::optional<double> CpuTarget(const Row& row) {
  const std::optional<double> peer = BestOfPeers(row, &Sample::cpu_us);
  switch (row.workload->target) {
    case Target::kNone:
      return std::nullopt;
    case Target::kBare:
      if (!row.bare_us) return std::nullopt;
      return 1.1 * *row.bare_us;
    case Target::kHalfOfPeers:
    case Target::kMostOfPeers:
      if (!peer) return std::nullopt;
      return std::max((row.workload->target == Target::kHalfOfPeers ? 0.5 : 0.7) * *peer,
                      row.bare_us ? 1.3 * *row.bare_us + 0.2 : 0);
  }
  return std::nullopt;
}

std::string_view NameOf(Completion completion) {
  return completion == Completion::kPolled ? "polled" : "called";
}

std::string Quoted(std::string_view text) {
  std::string quoted = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') quoted += '\\';
    quoted += static_cast<unsigned char>(c) < ' ' ? ' ' : c;
  }
  return quoted + "\"";
}

std::string Number(std::optional<double> value) {
  return value ? absl::StrFormat("%.4f", *value) : "null";
}

std::string JsonOf(const Sample& sample) {
  return absl::StrCat("{\"requests_per_second\": ", Number(sample.requests_per_second),
                      ", \"megabytes_per_second\": ", Number(sample.megabytes_per_second),
                      ", \"p50_us\": ", Number(sample.p50_us),
                      ", \"p99_us\": ", Number(sample.p99_us),
                      ", \"cpu_us\": ", Number(sample.cpu_us),
                      ", \"schedstat_us\": ", Number(sample.schedstat_us), "}");
}

}  // namespace

std::optional<Verdict> Judge(const Row& row, const std::vector<Row>& rows) {
  if (row.samples.empty() || !row.samples[0]) return std::nullopt;
  const Sample& ours = *row.samples[0];
  const auto judged = [](const char* of, double value, double target) {
    return Verdict{.of = of, .target_us = target, .met = value <= target};
  };
  if (row.manner.vrings > 1) {
    Manner with_one = row.manner;
    with_one.vrings = 1;
    const auto other = std::find_if(rows.begin(), rows.end(), [&](const Row& candidate) {
      return candidate.workload == row.workload && candidate.manner == with_one;
    });
    if (other == rows.end() || !other->samples[0]) return std::nullopt;
    return judged("cpu", ours.cpu_us, 1.1 * other->samples[0]->cpu_us);
  }
  if (row.manner.depth == 1) {
    const std::optional<double> best = BestOfPeers(row, &Sample::p50_us);
    if (!best) return std::nullopt;
    return judged("p50", ours.p50_us, *best);
  }
  if (row.manner.completion == Completion::kCalled) return std::nullopt;
  const std::optional<double> target = CpuTarget(row);
  if (!target) return std::nullopt;
  return judged("cpu", ours.cpu_us, *target);
}

void PrintMarkdown(const Report& report, std::ostream& out) {
  for (const auto& [key, value] : report.about) out << "* " << key << ": " << value << "\n";
  out << "\nSubjects, in this order: " << absl::StrJoin(report.subjects, " · ")
      << ". CPU is the back-end's per request, in µs.\n\n| workload | in flight | vrings | "
         "completions | CPU µs | bare µs |";
  for (size_t i = 1; i < report.subjects.size(); ++i) out << " / " << report.subjects[i] << " |";
  out << " / bare | target | | kreq/s | MB/s | p50 µs | p99 µs |\n|---|---|---|---|---|---|";
  for (size_t i = 1; i < report.subjects.size(); ++i) out << "---|";
  out << "---|---|---|---|---|---|---|\n";
  for (const Row& row : report.rows) {
    out << "| " << row.workload->name << " | " << row.manner.depth << " | " << row.manner.vrings
        << " | " << NameOf(row.manner.completion) << " | "
        << Each(row, [](const Sample& sample) { return Figure(sample.cpu_us); }) << " | "
        << (row.bare_us ? Figure(*row.bare_us) : kNothing) << " |";
    const std::optional<Sample>& ours = row.samples[0];
    for (size_t i = 1; i < row.samples.size(); ++i) {
      out << " "
          << (ours && row.samples[i] ? Ratio(ours->cpu_us, row.samples[i]->cpu_us) : kNothing)
          << " |";
    }
    out << " " << (ours ? Ratio(ours->cpu_us, row.bare_us) : kNothing) << " |";
    const std::optional<Verdict> verdict = Judge(row, report.rows);
    if (verdict) {
      out << " " << verdict->of << " ≤ " << Figure(verdict->target_us) << " | "
          << (verdict->met ? "PASS" : "MISS") << " |";
    } else {
      out << " | |";
    }
    out << " "
        << Each(row, [](const Sample& sample) { return Figure(sample.requests_per_second / 1000); })
        << " | "
        << Each(row, [](const Sample& sample) { return Figure(sample.megabytes_per_second); })
        << " | " << Each(row, [](const Sample& sample) { return Figure(sample.p50_us); }) << " | "
        << Each(row, [](const Sample& sample) { return Figure(sample.p99_us); }) << " |\n";
  }
}

void PrintJson(const Report& report, std::ostream& out) {
  out << "{\n";
  for (const auto& [key, value] : report.about) {
    out << "  " << Quoted(key) << ": " << Quoted(value) << ",\n";
  }
  out << "  \"rows\": [\n";
  for (size_t i = 0; i < report.rows.size(); ++i) {
    const Row& row = report.rows[i];
    out << "    {\"workload\": " << Quoted(row.workload->name)
        << ", \"in_flight\": " << row.manner.depth << ", \"vrings\": " << row.manner.vrings
        << ", \"completions\": " << Quoted(NameOf(row.manner.completion))
        << ", \"bare_us\": " << Number(row.bare_us);
    for (size_t j = 0; j < row.samples.size(); ++j) {
      out << ",\n     " << Quoted(report.subjects[j]) << ": "
          << (row.samples[j] ? JsonOf(*row.samples[j]) : "null");
    }
    const std::optional<Verdict> verdict = Judge(row, report.rows);
    out << ",\n     \"target\": ";
    if (verdict) {
      out << "{\"of\": " << Quoted(verdict->of) << ", \"us\": " << Number(verdict->target_us)
          << ", \"met\": " << (verdict->met ? "true" : "false") << "}";
    } else {
      out << "null";
    }
    out << "}" << (i + 1 < report.rows.size() ? "," : "") << "\n";
  }
  out << "  ]\n}\n";
}

}  // namespace fsd::bench
