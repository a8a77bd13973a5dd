// Config: how the supervisor is to run, from flags and the configuration file alike.
#ifndef FSD_SERVER_SUPERVISOR_CONFIG_H_
#define FSD_SERVER_SUPERVISOR_CONFIG_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "server/telemetry/log.h"

namespace fsd::supervisor {

struct Config {
  // What becomes of workers, and their sockets, when the supervisor is told to stop.
  enum class Workers { kStop, kKeep };

  std::string listen = "unix:///run/fsd/fsd.sock";  // of the gRPC API; unix sockets only
  std::string state_dir = "/var/lib/fsd";           // export records
  std::string runtime_dir = "/run/fsd";             // vhost-user and control sockets
  // An export's source must be one of these directories or lie below one. At least one.
  std::vector<std::string> allow_source;
  // Sockets that clients name themselves must lie below one of these; the runtime directory always
  // is one.
  std::vector<std::string> allow_socket;
  std::string worker_binary;  // default: fsd-worker beside the supervisor's own binary
  Workers workers = Workers::kStop;
  telemetry::LogLevel log_level = telemetry::LogLevel::kInfo;
};

// Reads a YAML file of the same keys (with '_' for '-' in flags) into `config`, over what it holds.
// INVALID_ARGUMENT names the file, the line and the key that is unknown or of the wrong type.
absl::Status ReadConfigFile(const std::string& path, Config& config);

// INVALID_ARGUMENT if a value cannot work: relative paths, no allow_source, a socket path too long.
absl::Status ValidateConfig(const Config& config);

}  // namespace fsd::supervisor

#endif  // FSD_SERVER_SUPERVISOR_CONFIG_H_
