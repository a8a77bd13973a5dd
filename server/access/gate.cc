#include "server/access/gate.h"

#include <string_view>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "proto/fsd/v1/error_reason.pb.h"
#include "proto/google/rpc/error_details.pb.h"
#include "proto/google/rpc/status.pb.h"
#include "server/access/call_relay.h"
#include "server/access/method_table.h"
#include "server/errors/status_macros.h"

namespace fsd::access {
namespace {

grpc::Status Refused(grpc::StatusCode code, v1::ErrorReason reason, const std::string& method,
                     const std::string& message) {
  google::rpc::ErrorInfo info;
  info.set_domain("fsd");
  info.set_reason(v1::ErrorReason_Name(reason));
  // A name that is no row's may be of any length.
  if (FindMethod(method) != nullptr) (*info.mutable_metadata())["method"] = method;
  google::rpc::Status details;
  details.set_code(code);
  details.set_message(message);
  details.add_details()->PackFrom(info);
  return grpc::Status(code, message, details.SerializeAsString());
}

// Only methods that have a row are counted: their number is bounded, that of names is not.
void Count(telemetry::CallCounters& calls, std::string_view method, grpc::StatusCode code) {
  if (method.starts_with('/')) method.remove_prefix(1);
  const bool canonical = code >= grpc::OK && code <= grpc::UNAUTHENTICATED;
  calls.Count(
      std::string(method),
      canonical ? absl::StatusCodeToString(static_cast<absl::StatusCode>(code)) : "UNKNOWN");
}

}  // namespace

grpc::Status CheckAccess(const Caller& caller, const std::string& method) {
  if (!caller.is_known) {
    return Refused(grpc::StatusCode::UNAUTHENTICATED, v1::CLIENT_UNKNOWN, method,
                   "the server does not know who calls: connect with a certificate of the "
                   "authorities that its configuration names (listen, client_ca)");
  }
  const MethodRow* const row = FindMethod(method);
  if (row == nullptr) {
    return Refused(grpc::StatusCode::PERMISSION_DENIED, v1::METHOD_NOT_ALLOWED, method,
                   "the server has no such method, or none that anybody may call");
  }
  if (!caller.role.has_value()) {
    return Refused(grpc::StatusCode::PERMISSION_DENIED, v1::ROLE_NOT_SUFFICIENT, method,
                   "no name of the client's certificate has a role; the server's configuration "
                   "gives them (listen, clients)");
  }
  if (*caller.role < row->role) {
    return Refused(grpc::StatusCode::PERMISSION_DENIED, v1::ROLE_NOT_SUFFICIENT, method,
                   absl::StrCat("this takes the role admin, and the client has the role reader; "
                                "call as one of the administrators, or on their socket"));
  }
  return grpc::Status::OK;
}

grpc::ServerGenericBidiReactor* Gate::CreateReactor(grpc::GenericCallbackServerContext* context) {
  Caller caller = identify_(*context);
  std::string method = context->method();
  const grpc::Status access = CheckAccess(caller, method);
  if (!access.ok()) {
    audit_.LogRefusal(caller, method, access);
    if (FindMethod(method) != nullptr) Count(*calls_, method, access.error_code());
    return RefuseCall(access);
  }
  const bool mutates = FindMethod(method)->mutates;
  CallEnded ended = [this, mutates, caller = std::move(caller), method = std::move(method),
                     begin = absl::Now()](const grpc::Status& status,
                                          const grpc::ByteBuffer& request) {
    Count(*calls_, method, status.error_code());
    if (mutates) audit_.LogCall(caller, method, request, status, absl::Now() - begin);
  };
  return RelayCall(*context, services_, std::move(ended));
}

}  // namespace fsd::access
