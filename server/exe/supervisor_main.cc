// fsd, the supervisor: a to-do list.
#include <pthread.h>
#include <signal.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <exception>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <variant>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "server/access/api_listeners.h"
#include "server/control/grpc_server.h"
#include "server/exe/service_manager.h"
#include "server/exe/supervisor_flags.h"
#include "server/host/host_check.h"
#include "server/host/host_facts.h"
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

std::string Addresses(const supervisor::Config& config) {
  return absl::StrJoin(config.listen, ", ",
                       [](std::string* out, const supervisor::Listener& listener) {
                         absl::StrAppend(out, listener.address);
                       });
}

std::string Summary(const std::vector<supervisor::ExportView>& views) {
  const auto in_use = std::count_if(views.begin(), views.end(), [](const auto& view) {
    return view.state == supervisor::ExportState::kConnected ||
           view.state == supervisor::ExportState::kMounted;
  });
  const auto failed = std::count_if(views.begin(), views.end(), [](const auto& view) {
    return view.state == supervisor::ExportState::kFailed;
  });
  return absl::StrCat("serving ", views.size(), " exports, ", in_use, " in use, ", failed,
                      " failed");
}

// Tells the manager from the supervisor's own thread, so that it learns when that hangs.
void Report(const ServiceManager& manager, supervisor::Supervisor& supervisor) {
  if (!manager.listens()) return;
  supervisor.SetHeartbeat(manager.period(), [&manager, &supervisor, is_ready = false]() mutable {
    supervisor.ListExports([&manager, first = !is_ready](
                               const absl::StatusOr<std::vector<supervisor::ExportView>>& views) {
      if (!views.ok()) return;
      first ? manager.Ready(Summary(*views)) : manager.Alive(Summary(*views));
    });
    is_ready = true;
  });
}

int Serve(const supervisor::Config& config) {
  const sigset_t stop_signals = BlockStopSignals();
  RaiseDescriptorLimit();
  telemetry::StartLog("fsd", config.log_level);
  access::TakeGrpcLog();

  auto passed = TakePassedSockets();
  if (!passed.ok()) {
    FSD_LOG(kError, "", "cannot start: %s", passed.status().message());
    return kFailure;
  }
  auto supervisor = supervisor::Supervisor::Create(config);
  if (!supervisor.ok()) {
    FSD_LOG(kError, "", "cannot start: %s", supervisor.status().message());
    return kFailure;
  }
  auto server = control::GrpcServer::Start(config, FSD_VERSION, **supervisor, *std::move(passed));
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
  FSD_LOG(kInfo, "", "version %s, listening on %s", FSD_VERSION, Addresses(config));

  const ServiceManager manager;
  Report(manager, **supervisor);
  std::thread stopper([&] {
    int received = 0;
    sigwait(&stop_signals, &received);
    FSD_LOG(kInfo, "", "stopping on signal %d", received);
    manager.Stopping("stopping");
    (*server)->Shutdown(kCallGrace);
    (*supervisor)->Shutdown();
  });
  (*supervisor)->Run();
  kill(getpid(), SIGTERM);  // should Run ever end by itself
  stopper.join();
  FSD_LOG(kInfo, "", "stopped");
  return 0;
}

int CheckThisHost(const supervisor::Config& config) {
  const std::vector<host::HostCheck> checks = host::CheckHost(host::ReadHostFacts(config));
  std::fputs(host::HostCheckTable(checks).c_str(), stdout);
  const bool works = std::none_of(checks.begin(), checks.end(), [](const auto& check) {
    return check.level == host::HostCheck::Level::kError;
  });
  return works ? 0 : kFailure;
}

int Main(int argc, const char* const* argv) {
  auto parsed = ParseSupervisorFlags(argc, argv, FSD_VERSION);
  if (const auto* exit = std::get_if<EarlyExit>(&parsed)) {
    std::fputs(exit->text.c_str(), exit->code == 0 ? stdout : stderr);
    return exit->code;
  }
  const auto& flags = std::get<SupervisorFlags>(parsed);
  if (flags.task == SupervisorTask::kCheckConfig) {
    std::puts("the configuration is valid");
    return 0;
  }
  if (flags.task == SupervisorTask::kCheckHost) return CheckThisHost(flags.config);
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
