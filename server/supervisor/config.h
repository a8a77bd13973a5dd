// Config: how the supervisor is to run, from flags and the configuration file alike.
#ifndef FSD_SERVER_SUPERVISOR_CONFIG_H_
#define FSD_SERVER_SUPERVISOR_CONFIG_H_

#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "proto/fsd/internal/export_spec.pb.h"
#include "server/supervisor/config_problems.h"
#include "server/supervisor/id_interval.h"
#include "server/supervisor/listener.h"
#include "server/telemetry/log.h"

namespace fsd::supervisor {

// The value of Config.cgroup that leaves it to the supervisor to find.
inline constexpr char kAutoCgroup[] = "auto";

struct Config {
  // What becomes of workers, and their sockets, when the supervisor is told to stop.
  enum class Workers { kStop, kKeep };

  std::vector<Listener> listen = {{.address = "unix:///run/fsd/fsd.sock"}};  // of the gRPC API
  std::string state_dir = "/var/lib/fsd";                                    // export records
  std::string runtime_dir = "/run/fsd";  // vhost-user and control sockets
  // An export's source must be one of these directories or lie below one. At least one.
  std::vector<std::string> allow_source;
  // Sockets that clients name themselves must lie below one of these; the runtime directory always
  // is one.
  std::vector<std::string> allow_socket;
  // User and group ids, from first to last, that sockets may be given to. By default all.
  std::vector<IdInterval> allow_socket_uid = {{}};
  std::vector<IdInterval> allow_socket_gid = {{}};
  // The weakest jail and list of system calls that an export may ask for.
  internal::ExportSpec::SandboxMode weakest_sandbox = internal::ExportSpec::SANDBOX_NAMESPACE;
  internal::ExportSpec::Seccomp weakest_seccomp = internal::ExportSpec::SECCOMP_KILL;
  // "CAP_…": what exports may add to their worker's capabilities.
  std::vector<std::string> allow_capabilities;
  // The directory of a cgroup (v2) that is the server's to divide (Delegate=yes): the supervisor
  // moves into a leaf of it, and each worker has one of its own. "auto": the one that the
  // supervisor was started in, if it may. Empty: none, and no limits but open_files.
  std::string cgroup;
  // Without privileges only: workers' user namespaces have the user's subordinate ids (subuid(5)),
  // by newuidmap(1) and newgidmap(1).
  bool subordinate_ids = false;
  std::string worker_binary;  // default: fsd-worker beside the supervisor's own binary
  Workers workers = Workers::kStop;
  // Requests that take longer are logged and counted as slow; 0: none.
  absl::Duration slow_request = absl::Seconds(1);
  // Where metrics are served by HTTP, an address and a port, as 127.0.0.1:9750; to whoever can
  // connect. Empty: nowhere.
  std::string metrics_listen;
  telemetry::LogLevel log_level = telemetry::LogLevel::kInfo;
};

// Reads a YAML file of the same keys into `config`, over what it holds. All that is wrong with it
// (unknown keys, wrong types) is added to `problems` with file and line; then `config` has what
// could be read.
void ReadConfigFile(const std::string& path, Config& config, ConfigProblems& problems);

// The keys that a file can have, in the order of Config; `is_list` if they take more than one
// value.
struct ConfigKey {
  std::string_view name;
  bool is_list = false;
};
std::vector<ConfigKey> ConfigKeys();

// As if the file had `values` under `key`, which is one of ConfigKeys, at `place`.
void SetConfigValue(std::string_view key, const std::vector<std::string>& values, std::string place,
                    Config& config, ConfigProblems& problems);

// Adds what cannot work: relative paths, no allow_source, a socket path too long, no such
// capability. Not of keys that have a problem already.
void CheckConfig(const Config& config, ConfigProblems& problems);
// Adds what the host lacks of what the configuration names: the worker's program, TLS files.
void CheckConfigFiles(const Config& config, ConfigProblems& problems);

// INVALID_ARGUMENT if CheckConfig finds something.
absl::Status ValidateConfig(const Config& config);

}  // namespace fsd::supervisor

#endif  // FSD_SERVER_SUPERVISOR_CONFIG_H_
