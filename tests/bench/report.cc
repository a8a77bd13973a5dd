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
std::string Each(const std::vector<std::optional<Sample>>& medians, Format format) {
  return absl::StrJoin(medians, " · ", [&](std::string* out, const auto& sample) {
    absl::StrAppend(out, sample ? format(*sample) : kNothing);
  });
}

std::string Ratio(double ours, std::optional<double> theirs) {
  return theirs ? absl::StrFormat("%.2f", ours / *theirs) : kNothing;
}

std::vector<std::optional<Sample>> MediansOf(const Row& row) {
  std::vector<std::optional<Sample>> medians;
  for (const std::vector<Sample>& samples : row.samples) {
    medians.push_back(samples.empty() ? std::nullopt : std::optional(MedianOf(samples)));
  }
  return medians;
}

std::optional<double> MedianIfAny(const std::vector<double>& values) {
  return values.empty() ? std::nullopt : std::optional(MedianOf(values));
}

// What CPU with one polled vring is held against in a round: a part of the peer's, or what the
// bare calls allow if there are any and that is more.
double CpuTarget(const Row& row, const std::vector<Sample>& peer, size_t round) {
  const double part = row.workload->target == Target::kHalfOfPeers ? 0.5 : 0.7;
  const double allowed = row.bare_us.empty() ? 0 : 1.3 * row.bare_us[round] + 0.2;
  return std::max(part * peer[round].cpu_us, allowed);
}

// fsd's `field` in each round against the target of it.
template <typename TargetOf>
Verdict Hold(const char* of, const Row& row, double Sample::*field, const TargetOf& target_of) {
  std::vector<double> targets;
  std::vector<double> parts;
  for (size_t round = 0; round < row.samples[0].size(); ++round) {
    targets.push_back(target_of(round));
    parts.push_back(row.samples[0][round].*field / targets.back());
  }
  return {.of = of, .target_us = MedianOf(targets), .of_target = MedianOf(parts)};
}

// Against each peer by itself, and the worst counts. The better of two in each round is below the
// middle of three that are alike.
template <typename TargetOf>
std::optional<Verdict> HoldAgainstPeers(const char* of, const Row& row, double Sample::*field,
                                        const TargetOf& target_of) {
  std::optional<Verdict> worst;
  for (size_t i = 1; i < row.samples.size(); ++i) {
    const std::vector<Sample>& peer = row.samples[i];
    if (peer.empty()) continue;
    const Verdict verdict =
        Hold(of, row, field, [&](size_t round) { return target_of(peer, round); });
    if (!worst || verdict.of_target > worst->of_target) worst = verdict;
  }
  return worst;
}

// The row with the same workload and one vring; nullptr if there is none.
const Row* WithOneVring(const Row& row, const std::vector<Row>& rows) {
  Manner with_one = row.manner;
  with_one.vrings = 1;
  const auto other = std::find_if(rows.begin(), rows.end(), [&](const Row& candidate) {
    return candidate.workload == row.workload && candidate.manner == with_one;
  });
  return other == rows.end() || other->samples[0].empty() ? nullptr : &*other;
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
  if (row.samples.empty() || row.samples[0].empty()) return std::nullopt;
  if (row.manner.vrings > 1) {
    const Row* const with_one = WithOneVring(row, rows);
    if (with_one == nullptr) return std::nullopt;
    return Hold("cpu", row, &Sample::cpu_us,
                [&](size_t round) { return 1.1 * with_one->samples[0][round].cpu_us; });
  }
  if (row.manner.depth == 1) {
    return HoldAgainstPeers(
        "p50", row, &Sample::p50_us,
        [](const std::vector<Sample>& peer, size_t round) { return peer[round].p50_us; });
  }
  if (row.manner.completion == Completion::kCalled) return std::nullopt;
  switch (row.workload->target) {
    case Target::kNone:
      return std::nullopt;
    case Target::kBare:
      if (row.bare_us.empty()) return std::nullopt;
      return Hold("cpu", row, &Sample::cpu_us,
                  [&](size_t round) { return 1.1 * row.bare_us[round]; });
    case Target::kHalfOfPeers:
    case Target::kMostOfPeers:
      return HoldAgainstPeers("cpu", row, &Sample::cpu_us,
                              [&](const std::vector<Sample>& peer, size_t round) {
                                return CpuTarget(row, peer, round);
                              });
  }
  return std::nullopt;
}

void PrintMarkdown(const Report& report, std::ostream& out) {
  for (const auto& [key, value] : report.about) out << "* " << key << ": " << value << "\n";
  out << "\nSubjects, in this order: " << absl::StrJoin(report.subjects, " · ")
      << ". CPU is the back-end's per request, in µs.\n\n| workload | in flight | vrings | "
         "completions | CPU µs | bare µs |";
  for (size_t i = 1; i < report.subjects.size(); ++i) out << " / " << report.subjects[i] << " |";
  out << " / bare | target | of it | | kreq/s | MB/s | p50 µs | p99 µs "
         "|\n|---|---|---|---|---|---|";
  for (size_t i = 1; i < report.subjects.size(); ++i) out << "---|";
  out << "---|---|---|---|---|---|---|---|\n";
  for (const Row& row : report.rows) {
    const std::vector<std::optional<Sample>> medians = MediansOf(row);
    const std::optional<double> bare_us = MedianIfAny(row.bare_us);
    out << "| " << row.workload->name << " | " << row.manner.depth << " | " << row.manner.vrings
        << " | " << NameOf(row.manner.completion) << " | "
        << Each(medians, [](const Sample& sample) { return Figure(sample.cpu_us); }) << " | "
        << (bare_us ? Figure(*bare_us) : kNothing) << " |";
    const std::optional<Sample>& ours = medians[0];
    for (size_t i = 1; i < medians.size(); ++i) {
      out << " " << (ours && medians[i] ? Ratio(ours->cpu_us, medians[i]->cpu_us) : kNothing)
          << " |";
    }
    out << " " << (ours ? Ratio(ours->cpu_us, bare_us) : kNothing) << " |";
    const std::optional<Verdict> verdict = Judge(row, report.rows);
    if (verdict) {
      out << " " << verdict->of << " ≤ " << Figure(verdict->target_us) << " | "
          << absl::StrFormat("%.2f", verdict->of_target) << " | "
          << (verdict->met() ? "PASS" : "MISS") << " |";
    } else {
      out << " | | |";
    }
    out << " "
        << Each(medians,
                [](const Sample& sample) { return Figure(sample.requests_per_second / 1000); })
        << " | "
        << Each(medians, [](const Sample& sample) { return Figure(sample.megabytes_per_second); })
        << " | " << Each(medians, [](const Sample& sample) { return Figure(sample.p50_us); })
        << " | " << Each(medians, [](const Sample& sample) { return Figure(sample.p99_us); })
        << " |\n";
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
    const std::vector<std::optional<Sample>> medians = MediansOf(row);
    out << "    {\"workload\": " << Quoted(row.workload->name)
        << ", \"in_flight\": " << row.manner.depth << ", \"vrings\": " << row.manner.vrings
        << ", \"completions\": " << Quoted(NameOf(row.manner.completion))
        << ", \"bare_us\": " << Number(MedianIfAny(row.bare_us));
    for (size_t j = 0; j < medians.size(); ++j) {
      out << ",\n     " << Quoted(report.subjects[j]) << ": "
          << (medians[j] ? JsonOf(*medians[j]) : "null");
    }
    const std::optional<Verdict> verdict = Judge(row, report.rows);
    out << ",\n     \"target\": ";
    if (verdict) {
      out << "{\"of\": " << Quoted(verdict->of) << ", \"us\": " << Number(verdict->target_us)
          << ", \"of_target\": " << Number(verdict->of_target)
          << ", \"met\": " << (verdict->met() ? "true" : "false") << "}";
    } else {
      out << "null";
    }
    out << "}" << (i + 1 < report.rows.size() ? "," : "") << "\n";
  }
  out << "  ]\n}\n";
}

}  // namespace fsd::bench
