#include "tests/bench/measurement.h"

#include <algorithm>
#include <memory>
#include <string>
#include <thread>
#include <utility>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/str_cat.h"
#include "server/errors/status_macros.h"
#include "tests/bench/session.h"
#include "tests/harness/front_end.h"

namespace fsd::bench {
namespace {

// Room for 64 lanes with a mebibyte each, and the rings.
constexpr size_t kMemoryBytes = size_t{96} << 20;

// A peer's socket has a name some time before it listens.
absl::StatusOr<std::unique_ptr<harness::FrontEnd>> Connect(
    const std::string& socket, const harness::FrontEnd::Options& options) {
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(10);
  auto front_end = harness::FrontEnd::Connect(socket, options);
  while (!front_end.ok() && std::chrono::steady_clock::now() < deadline) {
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
    front_end = harness::FrontEnd::Connect(socket, options);
  }
  return front_end;
}

absl::StatusOr<Sample> MeasureStarted(BackEnd& back_end, const std::string& socket,
                                      const Workload& workload, const Manner& manner,
                                      std::chrono::nanoseconds duration) {
  FSD_ASSIGN_OR_RETURN(
      const std::unique_ptr<harness::FrontEnd> front_end,
      Connect(socket, {.queues = 1 + manner.vrings, .memory_bytes = kMemoryBytes}));
  const absl::Status started = front_end->Start();
  // What it offers is not enough: too few queues.
  if (absl::IsFailedPrecondition(started)) return absl::UnimplementedError(started.message());
  FSD_RETURN_IF_ERROR(started);
  FSD_ASSIGN_OR_RETURN(Session session, Session::Mount(*front_end));
  std::vector<Script> scripts;
  const size_t lanes = manner.depth * manner.vrings;
  for (size_t lane = 0; lane < lanes; ++lane) {
    FSD_ASSIGN_OR_RETURN(Script script, workload.script(session, lane, lanes));
    scripts.push_back(std::move(script));
  }
  Load load(*front_end, std::move(scripts), manner.vrings, manner.completion);
  FSD_RETURN_IF_ERROR(load.Run(duration / 5).status());
  const ProcessTree processes(back_end.pid());
  const CpuTime before = processes.Used();
  FSD_ASSIGN_OR_RETURN(const LoadResult result, load.Run(duration));
  const CpuTime after = processes.Used();
  const auto requests = double(result.requests);
  return Sample{
      .requests_per_second = requests / result.seconds,
      .megabytes_per_second = double(result.bytes) / 1e6 / result.seconds,
      .p50_us = result.p50_us,
      .p99_us = result.p99_us,
      .cpu_us = double(after.clock_ns - before.clock_ns) / 1000 / requests,
      .schedstat_us = double(after.schedstat_ns - before.schedstat_ns) / 1000 / requests,
  };
}

}  // namespace

absl::StatusOr<Sample> Measure(BackEnd& back_end, const std::string& directory,
                               const Workload& workload, const Manner& manner,
                               std::chrono::nanoseconds duration) {
  FSD_ASSIGN_OR_RETURN(
      const std::string socket,
      back_end.Start({.directory = directory, .xattr = workload.xattr, .vrings = manner.vrings}));
  const absl::Cleanup stop = [&] { back_end.Stop(); };
  absl::StatusOr<Sample> sample = MeasureStarted(back_end, socket, workload, manner, duration);
  if (!sample.ok()) {
    return Annotate(sample.status(),
                    absl::StrCat(Absl(back_end.name()), ", ", Absl(workload.name), ", ",
                                 manner.depth, " in flight on each of ", manner.vrings, " vrings"));
  }
  return sample;
}

double MedianOf(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

Sample MedianOf(const std::vector<Sample>& samples) {
  Sample median;
  for (double Sample::*field :
       {&Sample::requests_per_second, &Sample::megabytes_per_second, &Sample::p50_us,
        &Sample::p99_us, &Sample::cpu_us, &Sample::schedstat_us}) {
    std::vector<double> values;
    for (const Sample& sample : samples) values.push_back(sample.*field);
    median.*field = MedianOf(std::move(values));
  }
  return median;
}

}  // namespace fsd::bench
