#include "server/access/api_listeners.h"

#include <sys/socket.h>
#include <sys/un.h>

#include <algorithm>
#include <cstddef>
#include <utility>

#include "absl/strings/str_cat.h"
#include "grpc/support/log.h"
#include "grpcpp/health_check_service_interface.h"
#include "grpcpp/impl/server_builder_option.h"
#include "grpcpp/server_builder.h"
#include "server/access/tls_credentials.h"
#include "server/errors/status_macros.h"
#include "server/telemetry/log.h"

namespace fsd::access {
namespace {

using supervisor::Listener;
using supervisor::Role;

// A request is a few kilobytes; labels and paths at their limits stay below this.
constexpr int kMaxRequestBytes = 256 << 10;

// gRPC adds its own health and reflection services to every server that is built; before a gate
// they would answer for nothing.
class NothingButTheGate final : public grpc::ServerBuilderOption {
 public:
  void UpdateArguments(grpc::ChannelArguments* arguments) override {
    arguments->SetPointer(grpc::kHealthCheckServiceInterfaceArg, nullptr);
    // Two servers on one port would share its clients without a word.
    arguments->SetInt(GRPC_ARG_ALLOW_REUSEPORT, 0);
  }
  void UpdatePlugins(std::vector<std::unique_ptr<grpc::ServerBuilderPlugin>>* plugins) override {
    plugins->clear();
  }
};

void Configure(Gate& gate, grpc::ServerBuilder& builder) {
  builder.SetOption(std::make_unique<NothingButTheGate>());
  builder.RegisterCallbackGenericService(&gate);
  builder.SetMaxReceiveMessageSize(kMaxRequestBytes);
}

// Empty: it has none, or one that is no path.
std::string BoundPath(int socket) {
  sockaddr_un address{};
  socklen_t size = sizeof address;
  constexpr size_t kPathOffset = offsetof(sockaddr_un, sun_path);
  if (::getsockname(socket, reinterpret_cast<sockaddr*>(&address), &size) != 0) return "";
  if (address.sun_family != AF_UNIX || size <= kPathOffset || address.sun_path[0] != '/') return "";
  std::string path(address.sun_path, size - kPathOffset);
  path.resize(std::min(path.size(), path.find('\0')));
  return path;
}

absl::StatusOr<Role> RoleOfPassed(const PassedSocket& passed, const std::string& path) {
  const auto role = supervisor::ParseRole(passed.name);
  if (role.has_value()) return *role;
  return absl::InvalidArgumentError(absl::StrCat(
      "the service manager's socket \"", passed.name, "\" (", path,
      ") has no role: give it FileDescriptorName=admin or reader, or its address to an entry of "
      "'listen' in the configuration"));
}

void LogForGrpc(gpr_log_func_args* line) {
  static os::Mutex mutex;
  static telemetry::RateLimit limit(50, std::chrono::milliseconds(100));
  {
    const os::MutexLock lock(mutex);
    if (!limit.Take(telemetry::RateLimit::Clock::now())) return;
  }
  if (line->severity == GPR_LOG_SEVERITY_ERROR) {
    FSD_LOG(kWarning, "", "grpc: %s", line->message);
  } else {
    FSD_LOG(kDebug, "", "grpc: %s", line->message);
  }
}

}  // namespace

void TakeGrpcLog() { gpr_set_log_function(LogForGrpc); }

absl::StatusOr<std::unique_ptr<ApiListeners>> ApiListeners::Open(
    const std::vector<Listener>& listeners, std::vector<PassedSocket> passed,
    std::shared_ptr<grpc::Channel> services, std::shared_ptr<telemetry::CallCounters> calls) {
  std::unique_ptr<ApiListeners> opened(new ApiListeners(std::move(services), std::move(calls)));
  for (const Listener& listener : listeners) {
    if (listener.is_tcp()) FSD_RETURN_IF_ERROR(opened->OpenTcp(listener));
  }
  FSD_RETURN_IF_ERROR(opened->OpenUnix(listeners, std::move(passed)));
  return opened;
}

ApiListeners::~ApiListeners() { Shutdown(std::chrono::system_clock::now()); }

absl::Status ApiListeners::OpenUnix(const std::vector<Listener>& listeners,
                                    std::vector<PassedSocket> passed) {
  std::vector<UnixAcceptor::Entrance> entrances;
  for (const Listener& listener : listeners) {
    if (listener.is_tcp()) continue;
    FSD_ASSIGN_OR_RETURN(grpc::Server* const server, UnixServer(listener.role));
    const auto same = std::find_if(passed.begin(), passed.end(), [&](const PassedSocket& socket) {
      return BoundPath(socket.fd.get()) == listener.path();
    });
    if (same != passed.end()) {
      const auto named = supervisor::ParseRole(same->name);
      if (named.value_or(listener.role) != listener.role) {
        return absl::InvalidArgumentError(absl::StrCat(
            "the service manager calls its socket ", listener.address, " \"", same->name,
            "\", and 'listen' of the configuration gives it another role; let them agree"));
      }
      FSD_LOG(kInfo, "", "the service manager's socket %s serves %s", same->name, listener.address);
      entrances.push_back({.socket = ApiSocket::Adopt(std::move(same->fd)), .server = server});
      passed.erase(same);
      continue;
    }
    FSD_ASSIGN_OR_RETURN(ApiSocket socket, ApiSocket::Listen(listener));
    entrances.push_back({.socket = std::move(socket), .server = server});
  }
  for (PassedSocket& socket : passed) {
    const std::string path = BoundPath(socket.fd.get());
    FSD_ASSIGN_OR_RETURN(const Role role, RoleOfPassed(socket, path));
    FSD_ASSIGN_OR_RETURN(grpc::Server* const server, UnixServer(role));
    FSD_LOG(kInfo, "", "the service manager's socket %s serves %s", socket.name, path);
    entrances.push_back({.socket = ApiSocket::Adopt(std::move(socket.fd)), .server = server});
  }
  FSD_ASSIGN_OR_RETURN(acceptor_, UnixAcceptor::Start(std::move(entrances), peers_));
  return absl::OkStatus();
}

absl::StatusOr<grpc::Server*> ApiListeners::UnixServer(Role role) {
  GatedServer& gated = role == Role::kAdministrator ? administrators_ : readers_;
  if (gated.server != nullptr) return gated.server.get();
  gated.gate = std::make_unique<Gate>(
      services_,
      [this, role](const grpc::GenericCallbackServerContext& context) {
        const auto peer = peers_.Find(context.peer());
        return peer.has_value() ? UnixCaller(*peer, role) : Caller{.name = context.peer()};
      },
      audit_, calls_);
  grpc::ServerBuilder builder;
  Configure(*gated.gate, builder);
  gated.server = builder.BuildAndStart();
  if (gated.server == nullptr) return absl::InternalError("gRPC starts no server");
  return gated.server.get();
}

absl::Status ApiListeners::OpenTcp(const Listener& listener) {
  FSD_ASSIGN_OR_RETURN(const auto credentials, MutualTls(listener));
  GatedServer& gated = tcp_.emplace_back();
  gated.gate = std::make_unique<Gate>(
      services_,
      [clients = listener.clients](const grpc::GenericCallbackServerContext& context) {
        return CertificateCaller(*context.auth_context(), context.peer(), clients);
      },
      audit_, calls_);
  grpc::ServerBuilder builder;
  Configure(*gated.gate, builder);
  int port = 0;
  builder.AddListeningPort(listener.host_and_port(), credentials, &port);
  gated.server = builder.BuildAndStart();
  if (gated.server != nullptr && port != 0) return absl::OkStatus();
  return absl::UnavailableError(
      absl::StrCat("cannot listen on ", listener.address,
                   ": somebody else may, or the address may not be this host's"));
}

void ApiListeners::Shutdown(std::chrono::system_clock::time_point deadline) {
  acceptor_.reset();
  for (GatedServer& gated : tcp_) {
    if (gated.server != nullptr) gated.server->Shutdown(deadline);
  }
  for (GatedServer* gated : {&administrators_, &readers_}) {
    if (gated->server != nullptr) gated->server->Shutdown(deadline);
  }
}

}  // namespace fsd::access
