#include "server/supervisor/host_preparation.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>
#include <climits>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "server/errors/status_macros.h"
#include "server/supervisor/error_reason.h"
#include "server/supervisor/own_cgroup.h"
#include "server/supervisor/paths.h"
#include "server/telemetry/log.h"

namespace fsd::supervisor {
namespace {

absl::StatusOr<std::string> FindWorkerBinary() {
  std::string path(PATH_MAX, '\0');
  const ssize_t size = ::readlink("/proc/self/exe", path.data(), path.size());
  if (size < 0) return ErrnoStatus(Errno::Last(), "find the supervisor's own binary");
  path.resize(static_cast<size_t>(size));
  return JoinPath(path.substr(0, path.rfind('/')), "fsd-worker");
}

}  // namespace

absl::StatusOr<Config> PrepareHost(Config config) {
  FSD_RETURN_IF_ERROR(ValidateConfig(config));
  config.state_dir = *NormalPath(config.state_dir);
  config.runtime_dir = *NormalPath(config.runtime_dir);
  if (config.worker_binary.empty()) {
    FSD_ASSIGN_OR_RETURN(config.worker_binary, FindWorkerBinary());
  }
  if (::access(config.worker_binary.c_str(), X_OK) != 0) {
    return ErrnoStatus(Errno::Last(), absl::StrCat("worker_binary ", config.worker_binary));
  }
  FSD_RETURN_IF_ERROR(EnsureDirectory(config.runtime_dir, 0755, /*exact=*/false));
  FSD_RETURN_IF_ERROR(
      EnsureDirectory(JoinPath(config.runtime_dir, "exports"), 0755, /*exact=*/false));
  FSD_RETURN_IF_ERROR(
      EnsureDirectory(JoinPath(config.runtime_dir, "control"), 0700, /*exact=*/true));
  return config;
}

absl::StatusOr<os::UniqueFd> TakeRuntimeDirectory(const Config& config) {
  // Of the directory itself others have locks, as the API's socket may lie in it.
  const std::string path = JoinPath(config.runtime_dir, "control");
  os::UniqueFd directory(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!directory.valid()) return ErrnoStatus(Errno::Last(), absl::StrCat("open ", path));
  if (::flock(directory.get(), LOCK_EX | LOCK_NB) == 0) return directory;
  if (errno != EWOULDBLOCK) return ErrnoStatus(Errno::Last(), absl::StrCat("lock ", path));
  return ReasonedError(
      absl::StatusCode::kFailedPrecondition, ErrorReason::kStateUnavailable,
      absl::StrCat("another supervisor uses the runtime directory ", config.runtime_dir,
                   "; stop it, or give this one a runtime directory of its own"));
}

absl::StatusOr<std::unique_ptr<CgroupSubtree>> TakeCgroups(const Config& config) {
  if (config.cgroup.empty()) return nullptr;
  const bool automatic = config.cgroup == kAutoCgroup;
  absl::StatusOr<std::string> directory = config.cgroup;
  if (automatic) directory = OwnCgroupDirectory();
  auto taken = directory.ok() ? CgroupSubtree::Take(*directory)
                              : absl::StatusOr<std::unique_ptr<CgroupSubtree>>(directory.status());
  if (taken.ok()) {
    FSD_LOG(kInfo, "", "workers have cgroups in %s", (*taken)->directory());
    return taken;
  }
  if (!automatic) return Annotate(taken.status(), "cgroup");
  FSD_LOG(kWarning, "",
          "no cgroup to divide among workers (%s): exports' limits but open files "
          "are not enforced",
          std::string(taken.status().message()));
  return nullptr;
}

}  // namespace fsd::supervisor
