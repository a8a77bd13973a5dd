#include "server/supervisor/listener.h"

#include <sys/stat.h>

#include <cerrno>
#include <cstring>
#include <fstream>
#include <iterator>
#include <set>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "server/errors/status_macros.h"
#include "server/os/unix_socket.h"
#include "server/supervisor/paths.h"

namespace fsd::supervisor {
namespace {

constexpr std::string_view kUnix = "unix://";
constexpr std::string_view kTcp = "tcp://";
constexpr std::string_view kListen = "listen";

bool IsHostAndPort(std::string_view text) {
  const size_t colon = text.rfind(':');
  if (colon == std::string_view::npos || colon == 0) return false;
  std::string_view host = text.substr(0, colon);
  const bool bracketed = host.starts_with('[') && host.ends_with(']');
  // An IPv6 address without brackets would give away its last group as the port.
  if (!bracketed && host.find(':') != std::string_view::npos) return false;
  int port = 0;
  return absl::SimpleAtoi(Absl(text.substr(colon + 1)), &port) && port > 0 && port <= 65535;
}

class Checker {
 public:
  Checker(const Listener& listener, ConfigProblems& problems)
      : listener_(listener), problems_(problems) {}

  void Check() {
    if (listener_.address.starts_with(kUnix)) {
      CheckUnix();
    } else if (listener_.is_tcp()) {
      CheckTcp();
    } else {
      Wrong(
          "must be unix:// and an absolute path, as unix:///run/fsd/fsd.sock, or tcp://HOST:PORT");
    }
  }

 private:
  void Wrong(std::string_view what) {
    problems_.Add(kListen, absl::StrCat("'", listener_.address, "' ", Absl(what)));
  }

  void CheckUnix() {
    const std::string_view path = std::string_view(listener_.address).substr(kUnix.size());
    if (!NormalPath(path).has_value()) {
      Wrong("must be unix:// and an absolute path, as unix:///run/fsd/fsd.sock");
    } else if (path.size() > os::kMaxSocketPathBytes) {
      Wrong(absl::StrCat("is too long: a socket's path has at most ", os::kMaxSocketPathBytes,
                         " bytes"));
    }
    if (!listener_.certificate.empty() || !listener_.key.empty() || !listener_.client_ca.empty() ||
        !listener_.clients.empty()) {
      Wrong("is a unix socket: certificate, key, client_ca and clients are for tcp://");
    }
    if (listener_.role == Role::kAdministrator && (listener_.mode & S_IWOTH) != 0) {
      Wrong(
          "lets everybody administer the server: leave out others' write permission of its mode, "
          "and give it a group");
    }
  }

  void CheckTcp() {
    if (!IsHostAndPort(std::string_view(listener_.address).substr(kTcp.size()))) {
      Wrong("must be tcp://HOST:PORT, as tcp://192.0.2.1:7443 or tcp://[::]:7443");
    }
    Need("certificate", listener_.certificate, "the server's certificate, with its chain");
    Need("key", listener_.key, "the certificate's private key");
    Need("client_ca", listener_.client_ca, "the authorities that clients' certificates are of");
    if (listener_.clients.empty()) {
      Wrong("lacks clients: say which certificates' names have which role, or nobody could use it");
    }
    for (const CertificateRole& client : listener_.clients) {
      if (client.common_name.empty() != client.alternative_name.empty()) continue;
      Wrong(
          "has a client without a name, or with two: give either common_name or "
          "alternative_name");
    }
  }

  void Need(std::string_view name, const std::string& path, std::string_view what) {
    if (path.empty()) {
      Wrong(absl::StrCat("lacks ", Absl(name), ", a PEM file of ", Absl(what),
                         ": TCP is served with mutual TLS only"));
    } else if (!NormalPath(path).has_value()) {
      Wrong(absl::StrCat("has a ", Absl(name), " that is no absolute path: '", path, "'"));
    }
  }

  const Listener& listener_;
  ConfigProblems& problems_;
};

void CheckPem(const std::string& path, std::string_view label, const Listener& listener,
              ConfigProblems& problems) {
  std::ifstream file(path);
  const std::string text{std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
  if (!file) {
    problems.Add(kListen, absl::StrCat("'", listener.address, "': ", path,
                                       " cannot be read: ", std::strerror(errno)));
  } else if (!absl::StrContains(text, Absl(label))) {
    problems.Add(kListen, absl::StrCat("'", listener.address, "': ", path, " has no PEM block '",
                                       Absl(label), "'"));
  }
}

}  // namespace

std::optional<Role> ParseRole(std::string_view text) {
  if (text == "reader") return Role::kReader;
  if (text == "admin") return Role::kAdministrator;
  return std::nullopt;
}

std::string_view RoleWord(Role role) { return role == Role::kReader ? "reader" : "admin"; }

std::string Listener::path() const { return address.substr(kUnix.size()); }
std::string Listener::host_and_port() const { return address.substr(kTcp.size()); }

void CheckListeners(const std::vector<Listener>& listeners, ConfigProblems& problems) {
  if (listeners.empty()) {
    problems.Add(kListen, "name at least one address, as unix:///run/fsd/fsd.sock");
  }
  std::set<std::string> seen;
  for (const Listener& listener : listeners) {
    Checker(listener, problems).Check();
    if (!seen.insert(listener.address).second) {
      problems.Add(kListen, absl::StrCat("'", listener.address, "' is there twice"));
    }
  }
}

void CheckListenerFiles(const std::vector<Listener>& listeners, ConfigProblems& problems) {
  for (const Listener& listener : listeners) {
    if (!listener.is_tcp()) continue;
    CheckPem(listener.certificate, "-----BEGIN CERTIFICATE-----", listener, problems);
    CheckPem(listener.key, "PRIVATE KEY-----", listener, problems);
    CheckPem(listener.client_ca, "-----BEGIN CERTIFICATE-----", listener, problems);
  }
}

}  // namespace fsd::supervisor
