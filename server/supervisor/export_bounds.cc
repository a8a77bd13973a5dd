#include "server/supervisor/export_bounds.h"

#include <algorithm>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "server/errors/status_macros.h"
#include "server/supervisor/error_reason.h"
#include "server/supervisor/sandbox_words.h"

namespace fsd::supervisor {
namespace {

using internal::ExportSpec;

absl::Status Denied(ErrorReason reason, const std::string& message) {
  return ReasonedError(absl::StatusCode::kPermissionDenied, reason, message);
}

// The enums' numbers grow with weakness; 0 is the strictest too.
absl::Status CheckWeakness(std::string_view field, std::string_view wanted, int wanted_weakness,
                           std::string_view bound, int bound_weakness, std::string_view key) {
  if (wanted_weakness <= bound_weakness) return absl::OkStatus();
  return Denied(
      ErrorReason::kSandboxNotAllowed,
      absl::StrCat(Absl(field), " ", Absl(wanted), ": the weakest that is allowed is ", Absl(bound),
                   "; choose that, or change ", Absl(key), " in the server's configuration"));
}

absl::Status CheckAddedCapabilities(const Config& config, const ExportSpec& spec) {
  const std::vector<std::string>& allowed = config.allow_capabilities;
  for (const std::string& name : spec.add_capabilities()) {
    if (std::find(allowed.begin(), allowed.end(), name) != allowed.end()) continue;
    return Denied(
        ErrorReason::kCapabilityNotAllowed,
        absl::StrCat("capability ", name, ": exports may add ",
                     allowed.empty() ? "none" : absl::StrCat("only ", absl::StrJoin(allowed, ", ")),
                     "; do without it, or change allow_capabilities in the server's "
                     "configuration"));
  }
  return absl::OkStatus();
}

absl::Status CheckOwner(std::string_view what, uint32_t id, const std::vector<IdInterval>& allowed,
                        std::string_view key) {
  if (Contain(allowed, id)) return absl::OkStatus();
  const std::string intervals =
      absl::StrJoin(allowed, ", ", [](std::string* out, const IdInterval& interval) {
        absl::StrAppend(out, IdIntervalText(interval));
      });
  return Denied(ErrorReason::kSocketOwnerNotAllowed,
                absl::StrCat("the socket's ", Absl(what), " ", id, ": not among those allowed (",
                             intervals, "); choose one that is, or change ", Absl(key),
                             " in the server's configuration"));
}

}  // namespace

absl::Status CheckExportBounds(const Config& config, const ExportSpec& spec) {
  FSD_RETURN_IF_ERROR(CheckWeakness("sandbox", SandboxModeWord(spec.sandbox_mode()),
                                    spec.sandbox_mode(), SandboxModeWord(config.weakest_sandbox),
                                    config.weakest_sandbox, "weakest_sandbox"));
  FSD_RETURN_IF_ERROR(CheckWeakness("seccomp", SeccompWord(spec.seccomp()), spec.seccomp(),
                                    SeccompWord(config.weakest_seccomp), config.weakest_seccomp,
                                    "weakest_seccomp"));
  FSD_RETURN_IF_ERROR(CheckAddedCapabilities(config, spec));
  FSD_RETURN_IF_ERROR(
      CheckOwner("user", spec.socket_uid(), config.allow_socket_uid, "allow_socket_uid"));
  return CheckOwner("group", spec.socket_gid(), config.allow_socket_gid, "allow_socket_gid");
}

}  // namespace fsd::supervisor
