#include "server/supervisor/user_namespaces.h"

#include <fcntl.h>
#include <linux/capability.h>
#include <unistd.h>

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "server/errors/status_macros.h"
#include "server/os/capabilities.h"
#include "server/supervisor/error_reason.h"
#include "server/supervisor/subordinate_ids.h"

namespace fsd::supervisor {
namespace {

using internal::ExportSpec;
using os::IdMaps;
using os::MapWriter;

absl::Status Unavailable(absl::string_view why) {
  return ReasonedError(
      absl::StatusCode::kFailedPrecondition, ErrorReason::kSandboxUnavailable,
      std::string(absl::StrCat("the worker's user namespace cannot be made: ", why)));
}

absl::StatusOr<os::UniqueFd> Make(const IdMaps& maps, MapWriter writer) {
  const os::UniqueFd proc(::open("/proc", O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (!proc.valid()) return Unavailable(ErrnoStatus(Errno::Last(), "open of /proc").message());
  auto made = os::MakeUserNamespace(maps, writer, proc.get());
  if (!made.ok()) {
    return Unavailable(absl::StrCat(
        made.status().message(),
        "; see user.max_user_namespaces and what else of the host forbids user namespaces "
        "(kernel.unprivileged_userns_clone, kernel.apparmor_restrict_unprivileged_userns, a "
        "container's seccomp profile), or ask for sandbox mode NONE"));
  }
  return *std::move(made);
}

template <typename Ranges>
std::vector<os::IdRange> RangesOf(const Ranges& ranges) {
  std::vector<os::IdRange> result;
  for (const ExportSpec::IdRange& range : ranges) {
    result.push_back({.inside_first = range.inside_first(),
                      .outside_first = range.outside_first(),
                      .count = range.count()});
  }
  return result;
}

bool HasZero(const std::vector<os::IdRange>& ranges) {
  return std::any_of(ranges.begin(), ranges.end(), [](const os::IdRange& range) {
    return range.inside_first == 0 && range.count > 0;
  });
}

}  // namespace

absl::StatusOr<os::UniqueFd> UserNamespaces::Asked(const ExportSpec& spec) const {
  const IdMaps maps{.uids = RangesOf(spec.uid_namespace()), .gids = RangesOf(spec.gid_namespace())};
  if (!HasZero(maps.uids) || !HasZero(maps.gids)) {
    return Unavailable(
        "ids.uid_namespace and ids.gid_namespace must both map an id to 0, which the worker is");
  }
  if (os::HasCapability(CAP_SETUID) && os::HasCapability(CAP_SETGID)) {
    return Make(maps, MapWriter::kPrivileged);
  }
  // On the loop's thread: at most 20 s (os/user_namespace), at each start of the export's worker.
  if (subordinate_ids_) return Make(maps, MapWriter::kPrograms);
  return Unavailable(
      "ids.uid_namespace and ids.gid_namespace take a server with CAP_SETUID and CAP_SETGID, or "
      "with subordinate_ids in its configuration");
}

absl::StatusOr<os::UniqueFd> UserNamespaces::Own() const {
  if (!subordinate_ids_) {
    return Make({.uids = {{.inside_first = 0, .outside_first = ::geteuid(), .count = 1}},
                 .gids = {{.inside_first = 0, .outside_first = ::getegid(), .count = 1}}},
                MapWriter::kOwner);
  }
  // On the loop's thread: until it succeeds at each worker's start, then never again. For each of
  // the two files the user's name takes at most 10 s (subordinate_ids), as does each of
  // newuidmap(1) and newgidmap(1) (os/user_namespace).
  auto uids = SubordinateIdMap("/etc/subuid", ::geteuid(), ::geteuid());
  if (!uids.ok()) return Unavailable(uids.status().message());
  auto gids = SubordinateIdMap("/etc/subgid", ::geteuid(), ::getegid());
  if (!gids.ok()) return Unavailable(gids.status().message());
  return Make({.uids = *std::move(uids), .gids = *std::move(gids)}, MapWriter::kPrograms);
}

absl::StatusOr<std::shared_ptr<const os::UniqueFd>> UserNamespaces::For(const ExportSpec& spec) {
  const bool asked = !spec.uid_namespace().empty() || !spec.gid_namespace().empty();
  const bool has_namespaces = spec.sandbox_mode() != ExportSpec::SANDBOX_CHROOT &&
                              spec.sandbox_mode() != ExportSpec::SANDBOX_NONE;
  if (!has_namespaces) {
    if (!asked) return std::shared_ptr<const os::UniqueFd>();
    return Unavailable("ids.uid_namespace and ids.gid_namespace need sandbox mode NAMESPACE");
  }
  if (asked) {
    FSD_ASSIGN_OR_RETURN(os::UniqueFd made, Asked(spec));
    return std::make_shared<const os::UniqueFd>(std::move(made));
  }
  if (os::HasCapability(CAP_SYS_ADMIN)) return std::shared_ptr<const os::UniqueFd>();
  if (own_ == nullptr) {
    FSD_ASSIGN_OR_RETURN(os::UniqueFd made, Own());
    own_ = std::make_shared<const os::UniqueFd>(std::move(made));
  }
  return own_;
}

}  // namespace fsd::supervisor
