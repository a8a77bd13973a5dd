// fsd, the supervisor: a to-do list.
#include <pthread.h>
#include <signal.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cstdio>
#include <exception>
#include <memory>
#include <thread>
#include <utility>
#include <variant>

#include "server/control/grpc_server.h"
#include "server/exe/supervisor_flags.h"
#include "server/metrics/metrics_server.h"
#include "server/supervisor/supervisor.h"
#include "server/telemetry/log.h"

namespace fsd::exe {
namespace {

constexpr int kFailure = 1;
// What calls may still take once the supervisor is told to stop.
constexpr absl::Duration kCallGrace = absl::Seconds(5);

// Blocked in this thread and so in all that it starts; taken by WaitForStop.
sigset_t BlockStopSignals() {
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGTERM);
  sigaddset(&signals, SIGINT);
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  // A log that nobody reads any more ends no one.
  signal(SIGPIPE, SIG_IGN);
  return signals;
}

// Every export costs some descriptors, and the usual limit is for programs that use select(2).
void RaiseDescriptorLimit() {
  rlimit limit;
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  limit.rlim_cur = limit.rlim_max;
  setrlimit(RLIMIT_NOFILE, &limit);
}

int Serve(const supervisor::Config& config) {
  const sigset_t stop_signals = BlockStopSignals();
  RaiseDescriptorLimit();
  telemetry::StartLog("fsd", config.log_level);

  auto supervisor = supervisor::Supervisor::Create(config);
  if (!supervisor.ok()) {
    FSD_LOG(kError, "", "cannot start: %s", supervisor.status().message());
    return kFailure;
  }
  auto server = control::GrpcServer::Start(config, FSD_VERSION, **supervisor);
  if (!server.ok()) {
    FSD_LOG(kError, "", "cannot serve the api: %s", server.status().message());
    return kFailure;
  }
  std::unique_ptr<metrics::MetricsServer> metrics;
  if (!config.metrics_listen.empty()) {
    auto started = metrics::MetricsServer::Start(config.metrics_listen, FSD_VERSION, **supervisor,
                                                 (*server)->calls());
    if (!started.ok()) {
      FSD_LOG(kError, "", "cannot serve metrics: %s", started.status().message());
      return kFailure;
    }
    metrics = *std::move(started);
    FSD_LOG(kInfo, "", "metrics of %s on port %d", config.metrics_listen, metrics->port());
  }
  FSD_LOG(kInfo, "", "version %s, listening on %s", FSD_VERSION, config.listen);

  std::thread stopper([&] {
    int received = 0;
    sigwait(&stop_signals, &received);
    FSD_LOG(kInfo, "", "stopping on signal %d", received);
    (*server)->Shutdown(kCallGrace);
    (*supervisor)->Shutdown();
  });
  (*supervisor)->Run();
  kill(getpid(), SIGTERM);  // should Run ever end by itself
  stopper.join();
  FSD_LOG(kInfo, "", "stopped");
  return 0;
}

int Main(int argc, const char* const* argv) {
  auto parsed = ParseSupervisorFlags(argc, argv, FSD_VERSION);
  if (const auto* exit = std::get_if<EarlyExit>(&parsed)) {
    std::fputs(exit->text.c_str(), exit->code == 0 ? stdout : stderr);
    return exit->code;
  }
  const auto& flags = std::get<SupervisorFlags>(parsed);
  if (flags.check_only) {
    std::puts("the configuration is valid");
    return 0;
  }
  return Serve(flags.config);
}

}  // namespace
}  // namespace fsd::exe

int main(int argc, char** argv) {
  try {
    return fsd::exe::Main(argc, argv);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "fsd: %s\n", error.what());
    return 1;
  }
}
