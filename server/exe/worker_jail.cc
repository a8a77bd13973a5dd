#include "server/exe/worker_jail.h"

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "server/errors/status_macros.h"
#include "server/exe/backend_factory.h"
#include "server/os/capability_name.h"
#include "server/sandbox/capability_set.h"
#include "server/sandbox/worker_syscalls.h"

namespace fsd::exe {
namespace {

sandbox::IdMappings MountIds(const internal::ExportSpec& spec) {
  const auto ranges = [](const auto& from) {
    std::vector<sandbox::IdRange> to;
    for (const internal::ExportSpec::IdRange& range : from) {
      to.push_back({.inside_first = range.inside_first(),
                    .outside_first = range.outside_first(),
                    .count = range.count()});
    }
    return to;
  };
  return {.uids = ranges(spec.uid_mount()), .gids = ranges(spec.gid_mount())};
}

sandbox::Mode ModeOf(const internal::ExportSpec& spec) {
  switch (spec.sandbox_mode()) {
    case internal::ExportSpec::SANDBOX_CHROOT:
      return sandbox::Mode::kChroot;
    case internal::ExportSpec::SANDBOX_NONE:
      return sandbox::Mode::kNone;
    default:
      return sandbox::Mode::kNamespace;
  }
}

template <typename Names>
absl::StatusOr<sandbox::CapabilitySet> CapabilitiesOf(const Names& names) {
  sandbox::CapabilitySet set;
  for (const std::string& name : names) {
    const std::optional<int> capability = os::CapabilityNumber(name);
    if (!capability) {
      return absl::InvalidArgumentError(absl::StrCat("there is no capability \"", name, "\""));
    }
    set.Add(*capability);
  }
  return set;
}

sandbox::SeccompAction SeccompActionOf(const internal::ExportSpec& spec) {
  switch (spec.seccomp()) {
    case internal::ExportSpec::SECCOMP_ERRNO:
      return sandbox::SeccompAction::kErrno;
    case internal::ExportSpec::SECCOMP_LOG:
      return sandbox::SeccompAction::kLog;
    case internal::ExportSpec::SECCOMP_OFF:
      return sandbox::SeccompAction::kOff;
    default:
      return sandbox::SeccompAction::kKill;
  }
}

}  // namespace

absl::StatusOr<sandbox::Jail> EnterJail(const internal::WorkerSpec& spec, os::UniqueFd source) {
  FSD_ASSIGN_OR_RETURN(const auto added, CapabilitiesOf(spec.spec().add_capabilities()));
  FSD_ASSIGN_OR_RETURN(const auto dropped, CapabilitiesOf(spec.spec().drop_capabilities()));
  return sandbox::Enter({.mode = ModeOf(spec.spec()),
                         .in_user_namespace = spec.in_user_namespace(),
                         .source_directory = std::move(source),
                         .read_only = spec.spec().read_only(),
                         .has_device_wall = spec.has_device_wall(),
                         .host_handles = UsesHostHandles(spec.spec()),
                         .xattr = spec.spec().xattr(),
                         .add_capabilities = added,
                         .drop_capabilities = dropped,
                         .ids = MountIds(spec.spec())});
}

absl::StatusOr<Filters> CompileFilters(const internal::ExportSpec& spec,
                                       const sandbox::Jail& jail) {
  using sandbox::CompileSeccompFilter;
  using sandbox::Process;
  const sandbox::SeccompAction otherwise = SeccompActionOf(spec);
  const sandbox::DataPlaneNeeds needs{.writes = !spec.read_only(),
                                      .locks = spec.shared_locks(),
                                      .xattrs = spec.xattr(),
                                      .host_handles = jail.host_handles};
  FSD_ASSIGN_OR_RETURN(auto keeper, CompileSeccompFilter(Process::kKeeper, otherwise));
  FSD_ASSIGN_OR_RETURN(auto data_plane,
                       CompileSeccompFilter(Process::kDataPlane, otherwise, needs));
  Filters filters{std::move(keeper), std::move(data_plane), std::nullopt};
  if (jail.host_handles) {
    FSD_ASSIGN_OR_RETURN(filters.handle_keeper,
                         CompileSeccompFilter(Process::kHandleKeeper, otherwise, needs));
  }
  return filters;
}

}  // namespace fsd::exe
