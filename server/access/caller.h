// Caller: who makes a call, and as what.
#ifndef FSD_SERVER_ACCESS_CALLER_H_
#define FSD_SERVER_ACCESS_CALLER_H_

#include <optional>
#include <string>
#include <vector>

#include "grpcpp/security/auth_context.h"
#include "server/os/unix_socket.h"
#include "server/supervisor/listener.h"

namespace fsd::access {

struct Caller {
  std::string name;  // for the log: "uid=0 gid=0 pid=17", "cn=\"vmm\" peer=ipv4:192.0.2.7:1234"
  bool is_known = false;                 // whether we know who it is
  std::optional<supervisor::Role> role;  // none: it may do nothing
};

// Who has connected to a unix socket, whose role all of them have.
Caller UnixCaller(const os::PeerCredentials& peer, supervisor::Role role);

// The client that has the certificate of `context`, which TLS has verified: the highest role that
// one of `clients` gives to a name of it. Not known without one. `peer` is its address.
Caller CertificateCaller(const grpc::AuthContext& context, const std::string& peer,
                         const std::vector<supervisor::CertificateRole>& clients);

}  // namespace fsd::access

#endif  // FSD_SERVER_ACCESS_CALLER_H_
