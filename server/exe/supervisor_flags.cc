#include "server/exe/supervisor_flags.h"

#include <filesystem>
#include <optional>
#include <sstream>
#include <system_error>
#include <vector>

#include "CLI/CLI.hpp"
#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "server/errors/status_macros.h"
#include "server/supervisor/default_paths.h"
#include "server/supervisor/id_interval.h"
#include "server/supervisor/sandbox_words.h"
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
  std::vector<std::string> allow_socket_uid;
  std::vector<std::string> allow_socket_gid;
  std::optional<std::string> weakest_sandbox;
  std::optional<std::string> weakest_seccomp;
  std::vector<std::string> allow_capabilities;
  std::optional<std::string> cgroup;
  std::optional<std::string> subordinate_ids;
  std::optional<std::string> worker_binary;
  std::optional<std::string> workers;
  std::optional<std::string> slow_request;
  std::optional<std::string> metrics_listen;
  std::optional<std::string> log_level;
  bool check_config = false;
};

// For CLI::Option::check.
CLI::Validator IdIntervals() {
  return CLI::Validator(
      [](const std::string& text) {
        return supervisor::ParseIdInterval(text).has_value()
                   ? std::string()
                   : "'" + text + "' is neither an id nor an interval such as 1000-1999";
      },
      "");
}

CLI::Validator Durations() {
  return CLI::Validator(
      [](const std::string& text) {
        absl::Duration parsed;
        return absl::ParseDuration(text, &parsed)
                   ? std::string()
                   : "'" + text + "' is no time, such as 500ms or 2s";
      },
      "");
}

void DeclareBounds(CLI::App& app, Given& given) {
  app.add_option("--allow-socket-uid", given.allow_socket_uid,
                 "Users that sockets may be given to: ids or intervals (all); may be repeated")
      ->type_name("N[-M]")
      ->check(IdIntervals())
      ->allow_extra_args(false);
  app.add_option("--allow-socket-gid", given.allow_socket_gid, "The same for groups")
      ->type_name("N[-M]")
      ->check(IdIntervals())
      ->allow_extra_args(false);
  app.add_option("--weakest-sandbox", given.weakest_sandbox,
                 "The weakest jail that an export may ask for (namespace)")
      ->check(CLI::IsMember({"namespace", "chroot", "none"}));
  app.add_option("--weakest-seccomp", given.weakest_seccomp,
                 "The least that may happen on a system call that is not on a worker's list (kill)")
      ->check(CLI::IsMember({"kill", "errno", "log", "off"}));
  app.add_option("--allow-capabilities", given.allow_capabilities,
                 "A capability that exports may add to their worker's (none); may be repeated")
      ->type_name("CAP_...")
      ->allow_extra_args(false);
}

void DeclareHost(CLI::App& app, Given& given) {
  app.add_option(
         "--cgroup", given.cgroup,
         "The directory of a cgroup (v2) that is fsd's to divide among the workers, or auto "
         "for the one that fsd is started in (none: no limits but open files)")
      ->type_name("DIR");
  app.add_option(
         "--subordinate-ids", given.subordinate_ids,
         "Without privileges: workers get the user's subordinate ids, see subuid(5) (false)")
      ->check(CLI::IsMember({"true", "false"}));
}

void Declare(CLI::App& app, Given& given) {
  app.add_option("--config", given.config_file,
                 "Read a YAML file whose keys are called as these options, with _ for -; options "
                 "override it")
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
  DeclareBounds(app, given);
  DeclareHost(app, given);
  app.add_option("--worker-binary", given.worker_binary,
                 "The program that serves an export (fsd-worker beside fsd)")
      ->type_name("FILE");
  app.add_option("--workers", given.workers,
                 "What becomes of the workers when fsd stops (stop); kept ones serve on")
      ->check(CLI::IsMember({"stop", "keep"}));
  app.add_option("--slow-request", given.slow_request,
                 "Requests of guests that take longer are logged and counted as slow (1s); 0: none")
      ->type_name("TIME")
      ->check(Durations());
  app.add_option("--metrics-listen", given.metrics_listen,
                 "Where Prometheus finds metrics, at /metrics, as 127.0.0.1:9750 (nowhere)")
      ->type_name("ADDRESS:PORT");
  app.add_option("--log-level", given.log_level, "The least that is logged (info)")
      ->check(CLI::IsMember({"debug", "info", "warning", "error"}));
  app.add_flag("--check-config", given.check_config,
               "Say whether flags and file are valid, and exit");
}

std::vector<supervisor::IdInterval> Intervals(const std::vector<std::string>& texts) {
  std::vector<supervisor::IdInterval> intervals;
  for (const std::string& text : texts) intervals.push_back(*supervisor::ParseIdInterval(text));
  return intervals;
}

// What has been checked as it was parsed.
void ApplyBounds(const Given& given, Config& config) {
  if (!given.allow_socket_uid.empty()) config.allow_socket_uid = Intervals(given.allow_socket_uid);
  if (!given.allow_socket_gid.empty()) config.allow_socket_gid = Intervals(given.allow_socket_gid);
  if (given.weakest_sandbox) {
    config.weakest_sandbox = *supervisor::ParseSandboxMode(*given.weakest_sandbox);
  }
  if (given.weakest_seccomp) {
    config.weakest_seccomp = *supervisor::ParseSeccomp(*given.weakest_seccomp);
  }
  if (!given.allow_capabilities.empty()) config.allow_capabilities = given.allow_capabilities;
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
  ApplyBounds(given, config);
  if (given.cgroup) config.cgroup = *given.cgroup;
  if (given.subordinate_ids) config.subordinate_ids = *given.subordinate_ids == "true";
  if (given.worker_binary) config.worker_binary = *given.worker_binary;
  if (given.workers) {
    config.workers = *given.workers == "keep" ? Config::Workers::kKeep : Config::Workers::kStop;
  }
  if (given.slow_request) absl::ParseDuration(*given.slow_request, &config.slow_request);
  if (given.metrics_listen) config.metrics_listen = *given.metrics_listen;
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
