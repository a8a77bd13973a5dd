// Mutual TLS for a TCP listener.
#ifndef FSD_SERVER_ACCESS_TLS_CREDENTIALS_H_
#define FSD_SERVER_ACCESS_TLS_CREDENTIALS_H_

#include <memory>

#include "absl/status/statusor.h"
#include "grpcpp/security/server_credentials.h"
#include "server/supervisor/listener.h"

namespace fsd::access {

// Of the listener's PEM files, which are looked at every five seconds: who connects after that
// meets what they hold then, and connections that there are stay. While a new certificate and a new
// key do not belong together, as only one of them is there yet, nobody gets through.
//
// A client without a certificate comes as far as the gate, which tells it what it lacks.
// INVALID_ARGUMENT: a file is no PEM of its kind, or the key is another certificate's.
absl::StatusOr<std::shared_ptr<grpc::ServerCredentials>> MutualTls(
    const supervisor::Listener& listener);

}  // namespace fsd::access

#endif  // FSD_SERVER_ACCESS_TLS_CREDENTIALS_H_
