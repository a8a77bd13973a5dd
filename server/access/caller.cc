#include "server/access/caller.h"

#include <algorithm>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "grpc/grpc_security_constants.h"

namespace fsd::access {
namespace {

bool HasProperty(const grpc::AuthContext& context, const char* property, const std::string& value) {
  const std::vector<grpc::string_ref> values = context.FindPropertyValues(property);
  return std::any_of(values.begin(), values.end(),
                     [&value](grpc::string_ref found) { return found == value; });
}

bool Names(const supervisor::CertificateRole& client, const grpc::AuthContext& context) {
  return client.common_name.empty()
             ? HasProperty(context, GRPC_X509_SAN_PROPERTY_NAME, client.alternative_name)
             : HasProperty(context, GRPC_X509_CN_PROPERTY_NAME, client.common_name);
}

void AppendProperty(const grpc::AuthContext& context, const char* property, const char* key,
                    std::string& out) {
  for (const grpc::string_ref& value : context.FindPropertyValues(property)) {
    absl::StrAppend(&out, key, "=\"", absl::CEscape(std::string(value.begin(), value.end())),
                    "\" ");
  }
}

}  // namespace

Caller UnixCaller(const os::PeerCredentials& peer, supervisor::Role role) {
  return {.name = absl::StrCat("uid=", peer.uid, " gid=", peer.gid, " pid=", peer.pid),
          .is_known = true,
          .role = role};
}

Caller CertificateCaller(const grpc::AuthContext& context, const std::string& peer,
                         const std::vector<supervisor::CertificateRole>& clients) {
  Caller caller;
  AppendProperty(context, GRPC_X509_CN_PROPERTY_NAME, "cn", caller.name);
  AppendProperty(context, GRPC_X509_SAN_PROPERTY_NAME, "san", caller.name);
  absl::StrAppend(&caller.name, "peer=", peer);
  caller.is_known = !context.FindPropertyValues(GRPC_X509_PEM_CERT_PROPERTY_NAME).empty();
  if (!caller.is_known) return caller;
  for (const supervisor::CertificateRole& client : clients) {
    if (!Names(client, context)) continue;
    caller.role = std::max(client.role, caller.role.value_or(client.role));
  }
  return caller;
}

}  // namespace fsd::access
