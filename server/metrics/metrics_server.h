// MetricsServer: the exports' and the server's metrics for Prometheus, by HTTP at /metrics.
//
// A scrape runs on a thread of its own. It has the supervisor's loop copy what it knows, which
// waits for no worker, and reads the counters itself. The names of the metrics are in
// export_metrics.cc and metrics_server.cc.
#ifndef FSD_SERVER_METRICS_METRICS_SERVER_H_
#define FSD_SERVER_METRICS_METRICS_SERVER_H_

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "server/supervisor/supervisor.h"
#include "server/telemetry/call_counters.h"

namespace fsd::metrics {

class MetricsServer {
 public:
  // Listens on `listen` (Config.metrics_listen, not empty). `supervisor` outlives it. UNAVAILABLE:
  // nobody can listen there.
  static absl::StatusOr<std::unique_ptr<MetricsServer>> Start(
      const std::string& listen, const std::string& version, supervisor::Supervisor& supervisor,
      std::shared_ptr<const telemetry::CallCounters> calls);
  // Waits for scrapes that are under way.
  ~MetricsServer();

  int port() const;

 private:
  class Source;
  class Listener;
  MetricsServer(std::shared_ptr<Source> source, std::unique_ptr<Listener> listener);

  const std::shared_ptr<Source> source_;
  const std::unique_ptr<Listener> listener_;
};

}  // namespace fsd::metrics

#endif  // FSD_SERVER_METRICS_METRICS_SERVER_H_
