#include "server/exe/supervisor_flags.h"

#include <array>
#include <filesystem>
#include <optional>
#include <sstream>
#include <string_view>
#include <system_error>
#include <vector>

#include "CLI/CLI.hpp"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "server/errors/status_macros.h"
#include "server/supervisor/default_paths.h"

namespace fsd::exe {
namespace {

using supervisor::Config;
using supervisor::ConfigProblems;

// A key of the configuration as a flag. What it takes is checked as the file's is.
struct Flag {
  std::string_view key;
  const char* value;
  const char* help;
};

constexpr std::array<Flag, 17> kFlags = {{
    {"listen", "ADDRESS",
     "Where the control API listens for administrators (unix:///run/fsd/fsd.sock; for an ordinary "
     "user unix://$XDG_RUNTIME_DIR/fsd/fsd.sock); readers and TCP need a file"},
    {"state_dir", "DIR",
     "Where exports are recorded (/var/lib/fsd; for an ordinary user $XDG_STATE_HOME/fsd or "
     "~/.local/state/fsd)"},
    {"runtime_dir", "DIR",
     "Where sockets are made (/run/fsd; for an ordinary user $XDG_RUNTIME_DIR/fsd)"},
    {"allow_source", "DIR",
     "Directories that may be shared, with all below them; at least one, may be repeated"},
    {"allow_socket", "DIR",
     "Directories below which clients may name sockets, besides the runtime directory; may be "
     "repeated"},
    {"allow_socket_uid", "N[-M]",
     "Users that sockets may be given to: ids or intervals (all); may be repeated"},
    {"allow_socket_gid", "N[-M]", "The same for groups"},
    {"weakest_sandbox", "namespace|chroot|none",
     "The weakest jail that an export may ask for (namespace)"},
    {"weakest_seccomp", "kill|errno|log|off",
     "The least that may happen on a system call that is not on a worker's list (kill)"},
    {"allow_capabilities", "CAP_...",
     "A capability that exports may add to their worker's (none); may be repeated"},
    {"cgroup", "DIR",
     "The directory of a cgroup (v2) that is fsd's to divide among the workers, or auto for the "
     "one that fsd is started in (none: no limits but open files)"},
    {"subordinate_ids", "true|false",
     "Without privileges: workers get the user's subordinate ids, see subuid(5) (false)"},
    {"worker_binary", "FILE",
     "The program that serves an export (fsd-worker beside fsd, else in ../libexec)"},
    {"workers", "stop|keep",
     "What becomes of the workers when fsd is told to stop (stop); kept ones serve on, and the "
     "next "
     "fsd takes them over, as it does after a crash in any case"},
    {"slow_request", "TIME",
     "Requests of guests that take longer are logged and counted as slow (1s); 0: none"},
    {"metrics_listen", "ADDRESS:PORT",
     "Where Prometheus finds metrics, at /metrics, as 127.0.0.1:9750 (nowhere)"},
    {"log_level", "debug|info|warning|error", "The least that is logged (info)"},
}};

// What was given on the command line; the rest is the file's to say.
struct Given {
  std::optional<std::string> config_file;
  std::array<std::vector<std::string>, kFlags.size()> values;
  bool check_config = false;
  bool check_host = false;
};

std::string FlagName(std::string_view key) {
  return absl::StrCat("--", absl::StrReplaceAll(Absl(key), {{"_", "-"}}));
}

void Declare(CLI::App& app, Given& given) {
  app.add_option("--config", given.config_file,
                 "Read a YAML file whose keys are called as these options, with _ for -; options "
                 "override it")
      ->type_name("FILE");
  for (size_t i = 0; i < kFlags.size(); ++i) {
    app.add_option(FlagName(kFlags[i].key), given.values[i], kFlags[i].help)
        ->type_name(kFlags[i].value)
        ->allow_extra_args(false);
  }
  app.add_flag("--check-config", given.check_config,
               "Read flags and file as a start would, say all that is wrong with them, and exit: "
               "0 if nothing is");
  app.add_flag("--check-host", given.check_host,
               "Say what this host has of what fsd uses and what it costs to lack the rest, and "
               "exit: 0 if nothing that is needed is missing");
}

void FindWorkerBinary(Config& config, ConfigProblems& problems) {
  if (!config.worker_binary.empty()) return;
  std::error_code error;
  const auto self = std::filesystem::read_symlink("/proc/self/exe", error);
  if (error) return problems.Add("worker_binary", "cannot read /proc/self/exe; name the program");
  config.worker_binary = self.parent_path() / "fsd-worker";
  // Where a package has it: fsd in sbin, and what nobody runs by hand in libexec.
  const auto packaged = self.parent_path().parent_path() / "libexec" / "fsd-worker";
  if (!std::filesystem::exists(config.worker_binary, error) &&
      std::filesystem::exists(packaged, error)) {
    config.worker_binary = packaged;
  }
}

void Apply(const Given& given, Config& config, ConfigProblems& problems) {
  const auto user = supervisor::SupervisorUser::Current();
  SetDefaultPaths(user, config);
  if (given.config_file) ReadConfigFile(*given.config_file, config, problems);
  for (size_t i = 0; i < kFlags.size(); ++i) {
    if (given.values[i].empty()) continue;
    SetConfigValue(kFlags[i].key, given.values[i], FlagName(kFlags[i].key), config, problems);
  }
  FindWorkerBinary(config, problems);
  if (const absl::Status status = CompletePaths(user, config); !status.ok()) {
    problems.AddAt("", std::string(status.message()));
    return;  // the paths that are missing would all be found wrong
  }
  CheckConfig(config, problems);
  CheckConfigFiles(config, problems);
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
  SupervisorFlags flags;
  if (given.check_host) flags.task = SupervisorTask::kCheckHost;
  if (given.check_config) flags.task = SupervisorTask::kCheckConfig;
  ConfigProblems problems;
  Apply(given, flags.config, problems);
  if (problems.empty()) return flags;
  EarlyExit exit{.code = kUsageError, .text = {}};
  for (const std::string& line : problems.lines()) absl::StrAppend(&exit.text, "fsd: ", line, "\n");
  return exit;
}

}  // namespace fsd::exe
