#include "server/exe/supervisor_flags.h"

#include <filesystem>
#include <optional>
#include <sstream>
#include <system_error>
#include <vector>

#include "CLI/CLI.hpp"
#include "absl/strings/str_cat.h"
#include "server/errors/status_macros.h"
#include "server/supervisor/default_paths.h"
#include "server/telemetry/log.h"

namespace fsd::exe {
namespace {

using supervisor::Config;

// What was given on the command line; the rest is the file's to say.
struct Given {
  std::optional<std::string> config_file;
  std::optional<std::string> listen;
  std::optional<std::string> state_dir;
  std::optional<std::string> runtime_dir;
  std::vector<std::string> allow_source;
  std::vector<std::string> allow_socket;
  std::optional<std::string> worker_binary;
  std::optional<std::string> workers;
  std::optional<std::string> log_level;
  bool check_config = false;
};

void Declare(CLI::App& app, Given& given) {
  app.add_option("--config", given.config_file,
                 "Read a YAML file with the keys listen, state_dir, runtime_dir, allow_source, "
                 "allow_socket, worker_binary, workers, log_level; flags override it")
      ->type_name("FILE");
  app.add_option("--listen", given.listen,
                 "Where the control API listens (unix:///run/fsd/fsd.sock; for an ordinary user "
                 "unix://$XDG_RUNTIME_DIR/fsd/fsd.sock)")
      ->type_name("ADDRESS");
  app.add_option("--state-dir", given.state_dir,
                 "Where exports are recorded (/var/lib/fsd; for an ordinary user "
                 "$XDG_STATE_HOME/fsd or ~/.local/state/fsd)")
      ->type_name("DIR");
  app.add_option("--runtime-dir", given.runtime_dir,
                 "Where sockets are made (/run/fsd; for an ordinary user $XDG_RUNTIME_DIR/fsd)")
      ->type_name("DIR");
  app.add_option(
         "--allow-source", given.allow_source,
         "Directories that may be shared, with all below them; at least one, may be repeated")
      ->type_name("DIR")
      ->allow_extra_args(false);
  app.add_option("--allow-socket", given.allow_socket,
                 "Directories below which clients may name sockets, besides the runtime directory; "
                 "may be repeated")
      ->type_name("DIR")
      ->allow_extra_args(false);
  app.add_option("--worker-binary", given.worker_binary,
                 "The program that serves an export (fsd-worker beside fsd)")
      ->type_name("FILE");
  app.add_option("--workers", given.workers,
                 "What becomes of the workers when fsd stops (stop); kept ones serve on")
      ->check(CLI::IsMember({"stop", "keep"}));
  app.add_option("--log-level", given.log_level, "The least that is logged (info)")
      ->check(CLI::IsMember({"debug", "info", "warning", "error"}));
  app.add_flag("--check-config", given.check_config,
               "Say whether flags and file are valid, and exit");
}

absl::Status Apply(const Given& given, Config& config) {
  const auto user = supervisor::SupervisorUser::Current();
  SetDefaultPaths(user, config);
  if (given.config_file) FSD_RETURN_IF_ERROR(ReadConfigFile(*given.config_file, config));
  if (given.listen) config.listen = *given.listen;
  if (given.state_dir) config.state_dir = *given.state_dir;
  if (given.runtime_dir) config.runtime_dir = *given.runtime_dir;
  if (!given.allow_source.empty()) config.allow_source = given.allow_source;
  if (!given.allow_socket.empty()) config.allow_socket = given.allow_socket;
  if (given.worker_binary) config.worker_binary = *given.worker_binary;
  if (given.workers) {
    config.workers = *given.workers == "keep" ? Config::Workers::kKeep : Config::Workers::kStop;
  }
  if (given.log_level) config.log_level = *telemetry::ParseLogLevel(*given.log_level);
  if (config.worker_binary.empty()) {
    std::error_code error;
    const auto self = std::filesystem::read_symlink("/proc/self/exe", error);
    if (error) return absl::InternalError("cannot read /proc/self/exe; give --worker-binary");
    config.worker_binary = self.parent_path() / "fsd-worker";
  }
  FSD_RETURN_IF_ERROR(CompletePaths(user, config));
  return ValidateConfig(config);
}

}  // namespace

std::variant<SupervisorFlags, EarlyExit> ParseSupervisorFlags(int argc, const char* const* argv,
                                                              const std::string& version) {
  Given given;
  CLI::App app("fsd: serves host directories to virtual machines over vhost-user (virtio-fs)",
               "fsd");
  app.set_version_flag("--version", "fsd " + version);
  Declare(app, given);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    std::ostringstream out, err;
    const bool asked = app.exit(error, out, err) == 0;
    return EarlyExit{asked ? 0 : kUsageError, asked ? out.str() : "fsd: " + err.str()};
  }
  SupervisorFlags flags = {.config = {}, .check_only = given.check_config};
  if (const absl::Status status = Apply(given, flags.config); !status.ok()) {
    return EarlyExit{kUsageError, absl::StrCat("fsd: ", status.message(), "\n")};
  }
  return flags;
}

}  // namespace fsd::exe
