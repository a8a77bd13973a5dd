#include "server/metrics/metrics_server.h"

#include <chrono>
#include <future>
#include <map>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "prometheus/collectable.h"
#include "prometheus/exposer.h"
#include "server/errors/status_macros.h"
#include "server/metrics/export_metrics.h"
#include "server/metrics/metric_families.h"
#include "server/telemetry/log.h"

namespace fsd::metrics {
namespace {

using supervisor::ExportSample;
using supervisor::ExportState;
using Samples = absl::StatusOr<std::vector<ExportSample>>;

// For the loop's answer; it answers at once or is not well.
constexpr std::chrono::seconds kPatience{5};

constexpr ExportState kStates[] = {ExportState::kCreating,   ExportState::kListening,
                                   ExportState::kConnected,  ExportState::kMounted,
                                   ExportState::kRecovering, ExportState::kFailed,
                                   ExportState::kDeleting,   ExportState::kDraining};

}  // namespace

class MetricsServer::Source final : public prometheus::Collectable {
 public:
  Source(supervisor::Supervisor& supervisor, std::shared_ptr<const telemetry::CallCounters> calls,
         std::string version)
      : supervisor_(supervisor),
        calls_(std::move(calls)),
        version_(std::move(version)),
        start_(absl::Now()) {}

  std::vector<prometheus::MetricFamily> Collect() const override {
    MetricFamilies families;
    families.Gauge("fsd_build_info", "1, for the version.", {{"version", version_}}, 1);
    families.Gauge("fsd_start_time_seconds", "When the server started, since the epoch.", {},
                   absl::ToDoubleSeconds(start_ - absl::UnixEpoch()));
    AddCalls(families);
    const Samples samples = TakeSamples();
    // Without it, what is missing would look as if it were not there.
    families.Gauge("fsd_up", "Whether the exports could be read.", {}, samples.ok() ? 1 : 0);
    if (samples.ok()) AddExports(*samples, families);
    return families.Take();
  }

 private:
  Samples TakeSamples() const {
    const auto promise = std::make_shared<std::promise<Samples>>();
    std::future<Samples> answer = promise->get_future();
    supervisor_.SampleExports(
        [promise](Samples samples) { promise->set_value(std::move(samples)); });
    if (answer.wait_for(kPatience) != std::future_status::ready) {
      FSD_LOG(kError, "", "metrics: the exports could not be read within %s",
              absl::FormatDuration(absl::FromChrono(kPatience)));
      return absl::DeadlineExceededError("the supervisor does not answer");
    }
    try {
      return answer.get();
    } catch (const std::future_error&) {
      return absl::UnavailableError("the supervisor stops");  // and has dropped the call
    }
  }

  static void AddExports(const std::vector<ExportSample>& samples, MetricFamilies& families) {
    std::map<ExportState, int> states;
    for (const ExportState state : kStates) states[state] = 0;
    for (const ExportSample& sample : samples) {
      ++states[sample.view.state];
      const ErrnoOr<telemetry::ExportCounts> counts = sample.ReadCounts();
      if (!counts.ok()) {
        FSD_LOG(kWarning, sample.view.record.spec().id(), "its counters cannot be read: %s",
                ErrnoStatus(counts.error(), "read").ToString());
        continue;
      }
      AddExport(sample, *counts, families);
    }
    for (const auto& [state, count] : states) {
      families.Gauge("fsd_exports", "Exports, by the state that they are in.",
                     {{"state", StateName(state)}}, count);
    }
  }

  void AddCalls(MetricFamilies& families) const {
    for (const auto& [call, count] : calls_->Snapshot()) {
      families.Counter("fsd_api_calls_total", "Calls of the control API that have ended.",
                       {{"method", call.first}, {"code", call.second}}, static_cast<double>(count));
    }
  }

  supervisor::Supervisor& supervisor_;
  const std::shared_ptr<const telemetry::CallCounters> calls_;
  const std::string version_;
  const absl::Time start_;
};

class MetricsServer::Listener {
 public:
  Listener(const std::string& listen, const std::shared_ptr<Source>& source) : exposer_(listen) {
    exposer_.RegisterCollectable(source);
  }
  int port() const { return exposer_.GetListeningPorts().front(); }

 private:
  prometheus::Exposer exposer_;
};

MetricsServer::MetricsServer(std::shared_ptr<Source> source, std::unique_ptr<Listener> listener)
    : source_(std::move(source)), listener_(std::move(listener)) {}
MetricsServer::~MetricsServer() = default;

absl::StatusOr<std::unique_ptr<MetricsServer>> MetricsServer::Start(
    const std::string& listen, const std::string& version, supervisor::Supervisor& supervisor,
    std::shared_ptr<const telemetry::CallCounters> calls) {
  auto source = std::make_shared<Source>(supervisor, std::move(calls), version);
  try {
    auto listener = std::make_unique<Listener>(listen, source);
    return std::unique_ptr<MetricsServer>(
        new MetricsServer(std::move(source), std::move(listener)));
  } catch (const std::exception& error) {
    return absl::UnavailableError(
        absl::StrCat("metrics_listen: cannot listen on ", listen, ": ", error.what()));
  }
}

int MetricsServer::port() const { return listener_->port(); }

}  // namespace fsd::metrics
