#include "server/control/server_service.h"

#include <sys/utsname.h>
#include <unistd.h>

#include <memory>
#include <string>
#include <vector>

#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "google/protobuf/duration.pb.h"
#include "server/control/duration_check.h"
#include "server/control/pending_call.h"
#include "server/control/served_export_fields.h"
#include "server/control/served_fields.h"
#include "server/control/status_details.h"
#include "server/host/host_check.h"
#include "server/host/host_facts.h"
#include "server/supervisor/id_interval.h"
#include "server/telemetry/log.h"

namespace fsd::control {
namespace {

// The API's numbers are the log's and one more, as 0 is none.
v1::LogLevel ToV1(telemetry::LogLevel level) {
  return static_cast<v1::LogLevel>(static_cast<int>(level) + 1);
}
telemetry::LogLevel FromV1(v1::LogLevel level) {
  return static_cast<telemetry::LogLevel>(static_cast<int>(level) - 1);
}
static_assert(static_cast<int>(telemetry::LogLevel::kDebug) + 1 == v1::LOG_LEVEL_DEBUG);
static_assert(static_cast<int>(telemetry::LogLevel::kError) + 1 == v1::LOG_LEVEL_ERROR);

// The API's levels are those of a check and one more, as 0 is none.
static_assert(static_cast<int>(host::HostCheck::Level::kOk) + 1 == v1::HostCheck::OK);
static_assert(static_cast<int>(host::HostCheck::Level::kError) + 1 == v1::HostCheck::ERROR);

// From 0 to days.
void SetDuration(absl::Duration from, google::protobuf::Duration& to) {
  absl::Duration rest;
  to.set_seconds(absl::IDivDuration(from, absl::Seconds(1), &rest));
  to.set_nanos(static_cast<int32_t>(absl::ToInt64Nanoseconds(rest)));
}

v1::HostCheck ToV1(const host::HostCheck& check) {
  v1::HostCheck shown;
  shown.set_check(check.check);
  shown.set_subject(check.subject);
  shown.set_level(static_cast<v1::HostCheck::Level>(static_cast<int>(check.level) + 1));
  shown.set_found(check.found);
  shown.set_cost(check.cost);
  shown.set_remedy(check.remedy);
  return shown;
}

std::vector<std::string> SourcesOf(const std::vector<supervisor::ExportView>& views) {
  std::vector<std::string> sources;
  for (const auto& view : views) sources.push_back(view.record.spec().source_path());
  return sources;
}

}  // namespace

ServerService::ServerService(supervisor::Supervisor& supervisor, const supervisor::Config& config,
                             const std::string& version)
    : supervisor_(supervisor),
      host_checks_(HostCheckCalls::Create(
          [config, cgroup = supervisor.CgroupDirectory()](const auto& export_sources) {
            const host::ServerFacts server{.export_sources = export_sources,
                                           .cgroup_directory = cgroup};
            return host::CheckHost(host::ReadHostFacts(config, &server));
          })) {
  unchanging_.set_version(version);
  unchanging_.mutable_start_time()->set_seconds(absl::ToUnixSeconds(absl::Now()));
  unchanging_.set_pid(getpid());
  utsname kernel = {};
  if (uname(&kernel) == 0) unchanging_.set_kernel_release(kernel.release);
  unchanging_.set_state_directory(config.state_dir);
  unchanging_.set_runtime_directory(config.runtime_dir);
  for (const std::string& prefix : config.allow_source) {
    unchanging_.add_allowed_source_prefixes(prefix);
  }
  for (const std::string& prefix : config.allow_socket) {
    unchanging_.add_allowed_socket_prefixes(prefix);
  }
  // The enums have the API's numbers; see option_translation.cc.
  unchanging_.set_weakest_sandbox(static_cast<v1::Sandbox::Mode>(config.weakest_sandbox));
  unchanging_.set_weakest_seccomp(static_cast<v1::Sandbox::Seccomp>(config.weakest_seccomp));
  for (const std::string& name : config.allow_capabilities) {
    unchanging_.add_allowed_capabilities(name);
  }
  for (const supervisor::IdInterval& interval : config.allow_socket_uid) {
    unchanging_.add_allowed_socket_uids(supervisor::IdIntervalText(interval));
  }
  for (const supervisor::IdInterval& interval : config.allow_socket_gid) {
    unchanging_.add_allowed_socket_gids(supervisor::IdIntervalText(interval));
  }
  unchanging_.set_cgroup_directory(supervisor.CgroupDirectory());
  for (const std::string& field : ServedExportFields()) {
    unchanging_.add_served_export_fields(field);
  }
}

grpc::ServerUnaryReactor* ServerService::GetServerInfo(grpc::CallbackServerContext*,
                                                       const v1::GetServerInfoRequest* request,
                                                       v1::ServerInfo* response) {
  auto call = std::make_shared<PendingCall>();
  FieldViolations violations;
  CheckServedFields(*request, {}, violations);
  if (!violations.empty()) return Refuse(*call, violations);
  supervisor_.ListExports(
      [this, call, response](const absl::StatusOr<std::vector<supervisor::ExportView>>& views) {
        call->Answer([&] {
          if (!views.ok()) return FailedCall(views.status(), "");
          *response = unchanging_;
          response->set_exports(views->size());
          response->set_log_level(ToV1(telemetry::CurrentLogLevel()));
          SetDuration(supervisor_.SlowRequest(), *response->mutable_slow_request_threshold());
          return grpc::Status();
        });
      });
  return call->reactor();
}

grpc::ServerUnaryReactor* ServerService::SetLogLevel(grpc::CallbackServerContext*,
                                                     const v1::SetLogLevelRequest* request,
                                                     v1::SetLogLevelResponse* response) {
  auto call = std::make_shared<PendingCall>();
  static const auto& served = *new std::vector<std::string>{"level"};
  FieldViolations violations;
  CheckServedFields(*request, {.served = served, .output_only = {}}, violations);
  if (request->level() == v1::LOG_LEVEL_UNSPECIFIED) {
    violations.push_back({"level", v1::FIELD_REQUIRED, "say which level of the log is wanted"});
  }
  if (!violations.empty()) return Refuse(*call, violations);
  supervisor_.SetLogLevel(FromV1(request->level()),
                          [call, response](absl::StatusOr<telemetry::LogLevel> before) {
                            call->Answer([&] {
                              if (!before.ok()) return FailedCall(before.status(), "");
                              response->set_previous_level(ToV1(*before));
                              return grpc::Status();
                            });
                          });
  return call->reactor();
}

grpc::ServerUnaryReactor* ServerService::SetSlowRequestThreshold(
    grpc::CallbackServerContext*, const v1::SetSlowRequestThresholdRequest* request,
    v1::SetSlowRequestThresholdResponse* response) {
  constexpr int64_t kMaxSeconds = 24 * 60 * 60;  // as of the configuration
  auto call = std::make_shared<PendingCall>();
  static const auto& served = *new std::vector<std::string>{"threshold"};
  FieldViolations violations;
  CheckServedFields(*request, {.served = served, .output_only = {}}, violations);
  if (!request->has_threshold()) {
    violations.push_back({"threshold", v1::FIELD_REQUIRED,
                          "say what takes longer than a request should; 0: none is slow"});
  } else if (auto problem = DurationProblem(request->threshold(), kMaxSeconds)) {
    violations.push_back({"threshold", v1::FIELD_INVALID, *std::move(problem)});
  }
  if (!violations.empty()) return Refuse(*call, violations);
  const absl::Duration threshold = absl::Seconds(request->threshold().seconds()) +
                                   absl::Nanoseconds(request->threshold().nanos());
  supervisor_.SetSlowRequest(threshold, [call, response](absl::StatusOr<absl::Duration> before) {
    call->Answer([&] {
      if (!before.ok()) return FailedCall(before.status(), "");
      SetDuration(*before, *response->mutable_previous_threshold());
      return grpc::Status();
    });
  });
  return call->reactor();
}

grpc::ServerUnaryReactor* ServerService::CheckHost(grpc::CallbackServerContext*,
                                                   const v1::CheckHostRequest* request,
                                                   v1::CheckHostResponse* response) {
  auto call = std::make_shared<PendingCall>();
  FieldViolations violations;
  CheckServedFields(*request, {}, violations);
  if (!violations.empty()) return Refuse(*call, violations);
  supervisor_.ListExports([checks = host_checks_, call, response](
                              const absl::StatusOr<std::vector<supervisor::ExportView>>& views) {
    if (!views.ok()) {
      return call->Answer([&] { return FailedCall(views.status(), ""); });
    }
    checks->Check(SourcesOf(*views), *call->cancellation(),
                  [call, response](const absl::StatusOr<std::vector<host::HostCheck>>& found) {
                    call->Answer([&] {
                      if (!found.ok()) return FailedWith(found.status(), v1::LIMIT_REACHED, {});
                      for (const host::HostCheck& check : *found) {
                        *response->add_checks() = ToV1(check);
                      }
                      return grpc::Status();
                    });
                  });
  });
  return call->reactor();
}

}  // namespace fsd::control
