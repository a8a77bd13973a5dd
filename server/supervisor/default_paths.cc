#include "server/supervisor/default_paths.h"

#include <unistd.h>

#include <cstdlib>

#include "absl/strings/str_cat.h"

namespace fsd::supervisor {
namespace {

std::string Variable(const char* name) {
  const char* const value = std::getenv(name);
  return value == nullptr ? "" : value;
}

// The specification wants others ignored.
bool IsAbsolute(const std::string& path) { return path.starts_with('/'); }

}  // namespace

SupervisorUser SupervisorUser::Current() {
  return {.uid = ::geteuid(),
          .xdg_runtime_dir = Variable("XDG_RUNTIME_DIR"),
          .xdg_state_home = Variable("XDG_STATE_HOME"),
          .home = Variable("HOME")};
}

void SetDefaultPaths(const SupervisorUser& user, Config& config) {
  if (user.uid == 0) return;
  config.listen.clear();
  config.runtime_dir.clear();
  config.state_dir.clear();
}

absl::Status CompletePaths(const SupervisorUser& user, Config& config) {
  if (user.uid == 0) return absl::OkStatus();
  if (config.listen.empty() || config.runtime_dir.empty()) {
    if (!IsAbsolute(user.xdg_runtime_dir)) {
      return absl::InvalidArgumentError(
          "XDG_RUNTIME_DIR is not set to a directory, and so there is no place for an ordinary "
          "user's sockets: start fsd in a login session, or say listen and runtime_dir");
    }
    const std::string directory = absl::StrCat(user.xdg_runtime_dir, "/fsd");
    if (config.listen.empty()) {
      config.listen = {{.address = absl::StrCat("unix://", directory, "/fsd.sock")}};
    }
    if (config.runtime_dir.empty()) config.runtime_dir = directory;
  }
  if (config.state_dir.empty()) {
    if (!IsAbsolute(user.xdg_state_home) && !IsAbsolute(user.home)) {
      return absl::InvalidArgumentError(
          "neither XDG_STATE_HOME nor HOME is set to a directory, and so there is no place for an "
          "ordinary user's records: set one of them, or say state_dir");
    }
    config.state_dir = IsAbsolute(user.xdg_state_home)
                           ? absl::StrCat(user.xdg_state_home, "/fsd")
                           : absl::StrCat(user.home, "/.local/state/fsd");
  }
  return absl::OkStatus();
}

}  // namespace fsd::supervisor
