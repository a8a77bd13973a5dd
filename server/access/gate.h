// Gate: the one place that every call of every client passes on its way to the API's services.
//
// It knows who calls, looks the method up in method_table, refuses or hands the call on, and writes
// the audit log, and counts the calls of methods that have a row by how they ended, also those that
// it refuses. What is behind it needs no check of its own: nothing else reaches it.
//
//   UNAUTHENTICATED, CLIENT_UNKNOWN: a client without a certificate.
//   PERMISSION_DENIED, ROLE_NOT_SUFFICIENT: its role, if it has one, is not that of the method.
//   PERMISSION_DENIED, METHOD_NOT_ALLOWED: the method has no row.
#ifndef FSD_SERVER_ACCESS_GATE_H_
#define FSD_SERVER_ACCESS_GATE_H_

#include <functional>
#include <memory>
#include <string>

#include "grpcpp/channel.h"
#include "grpcpp/generic/async_generic_service.h"
#include "grpcpp/generic/generic_stub.h"
#include "server/access/audit.h"
#include "server/access/caller.h"
#include "server/telemetry/call_counters.h"

namespace fsd::access {

class Gate final : public grpc::CallbackGenericService {
 public:
  // Who makes the call of a context. Any thread.
  using Identify = std::function<Caller(const grpc::GenericCallbackServerContext&)>;

  // `services` leads to the API's services in this process. `audit` outlives the gate.
  Gate(std::shared_ptr<grpc::Channel> services, Identify identify, Audit& audit,
       std::shared_ptr<telemetry::CallCounters> calls)
      : services_(std::move(services)),
        identify_(std::move(identify)),
        audit_(audit),
        calls_(std::move(calls)) {}

  grpc::ServerGenericBidiReactor* CreateReactor(
      grpc::GenericCallbackServerContext* context) override;

 private:
  grpc::GenericStub services_;
  const Identify identify_;
  Audit& audit_;
  const std::shared_ptr<telemetry::CallCounters> calls_;
};

// Whether `caller` may call `method`: OK, or the refusal that the client gets.
grpc::Status CheckAccess(const Caller& caller, const std::string& method);

}  // namespace fsd::access

#endif  // FSD_SERVER_ACCESS_GATE_H_
