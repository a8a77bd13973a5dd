// Listener: one entry of `listen`, a place where the control API is served, and to whom.
#ifndef FSD_SERVER_SUPERVISOR_LISTENER_H_
#define FSD_SERVER_SUPERVISOR_LISTENER_H_

#include <sys/types.h>

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "server/supervisor/config_problems.h"

namespace fsd::supervisor {

// What a client of the API may do. An administrator may do what a reader may.
enum class Role { kReader, kAdministrator };

// "reader" or "admin".
std::optional<Role> ParseRole(std::string_view text);
std::string_view RoleWord(Role role);

// Whoever has a certificate of the listener's client_ca with this name has the role. One of the
// names is set.
struct CertificateRole {
  Role role = Role::kReader;
  std::string common_name;       // of the subject
  std::string alternative_name;  // one of the subject's: a DNS name, address, URI or e-mail
};

struct Listener {
  std::string address;  // "unix:///run/fsd/fsd.sock" or "tcp://HOST:PORT"

  // Of a unix socket: who can connect, and what all of them may do.
  Role role = Role::kAdministrator;
  uid_t uid = static_cast<uid_t>(-1);  // -1: the server's own
  gid_t gid = static_cast<gid_t>(-1);
  mode_t mode = 0600;

  // Of TCP, which is served with mutual TLS only: PEM files, and what each client may do. A client
  // that none of `clients` names may do nothing.
  std::string certificate;
  std::string key;
  std::string client_ca;
  std::vector<CertificateRole> clients;

  bool is_tcp() const { return address.starts_with("tcp://"); }
  // "/run/fsd/fsd.sock" of a valid unix address.
  std::string path() const;
  // "HOST:PORT" of a valid TCP address.
  std::string host_and_port() const;
};

// Adds what is wrong to `problems`, under the key "listen".
void CheckListeners(const std::vector<Listener>& listeners, ConfigProblems& problems);

// The files that the listeners need: there, readable, and PEM. Apart from CheckListeners because
// they are the host's.
void CheckListenerFiles(const std::vector<Listener>& listeners, ConfigProblems& problems);

}  // namespace fsd::supervisor

#endif  // FSD_SERVER_SUPERVISOR_LISTENER_H_
