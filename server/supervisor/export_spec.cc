#include "server/supervisor/export_spec.h"

#include <sys/random.h>
#include <unistd.h>

#include <algorithm>
#include <optional>
#include <utility>
#include <vector>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "server/errors/check.h"
#include "server/errors/status_macros.h"
#include "server/os/capability_name.h"
#include "server/os/unix_socket.h"
#include "server/supervisor/error_reason.h"
#include "server/supervisor/export_bounds.h"
#include "server/supervisor/paths.h"
#include "server/supervisor/record_format.h"

namespace fsd::supervisor {
namespace {

using internal::ExportSpec;
using internal::Label;

constexpr size_t kMaxIdBytes = 63;

bool IsLowerOrDigit(char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'); }

absl::Status CompleteLabels(ExportSpec& spec) {
  auto& labels = *spec.mutable_labels();
  std::sort(labels.begin(), labels.end(),
            [](const Label& a, const Label& b) { return a.key() < b.key(); });
  const auto twice =
      std::adjacent_find(labels.begin(), labels.end(),
                         [](const Label& a, const Label& b) { return a.key() == b.key(); });
  if (twice != labels.end()) {
    return absl::InvalidArgumentError(absl::StrCat("labels: '", twice->key(), "' is given twice"));
  }
  return absl::OkStatus();
}

absl::Status CompleteSource(ExportSpec& spec) {
  std::optional<std::string> path = NormalPath(spec.source_path());
  if (!path.has_value()) {
    return absl::InvalidArgumentError(
        absl::StrCat("source_path: '", spec.source_path(),
                     "' must be an absolute path without . and .. components"));
  }
  spec.set_source_path(*std::move(path));
  return absl::OkStatus();
}

absl::Status CompleteCapabilities(std::string_view field,
                                  google::protobuf::RepeatedPtrField<std::string>& names) {
  std::sort(names.begin(), names.end());
  for (const std::string& name : names) {
    if (os::CapabilityNumber(name).has_value()) continue;
    return absl::InvalidArgumentError(absl::StrCat(
        Absl(field), ": '", name, "' is no capability; write it as capabilities(7) does"));
  }
  const auto twice = std::adjacent_find(names.begin(), names.end());
  if (twice == names.end()) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat(Absl(field), ": ", *twice, " is given twice"));
}

absl::Status CompleteSandbox(ExportSpec& spec) {
  if (!ExportSpec::SandboxMode_IsValid(spec.sandbox_mode())) {
    return absl::InvalidArgumentError(
        absl::StrCat("sandbox.mode: unknown value ", spec.sandbox_mode()));
  }
  if (!ExportSpec::Seccomp_IsValid(spec.seccomp())) {
    return absl::InvalidArgumentError(
        absl::StrCat("sandbox.seccomp: unknown value ", spec.seccomp()));
  }
  FSD_RETURN_IF_ERROR(
      CompleteCapabilities("sandbox.add_capabilities", *spec.mutable_add_capabilities()));
  FSD_RETURN_IF_ERROR(
      CompleteCapabilities("sandbox.drop_capabilities", *spec.mutable_drop_capabilities()));
  if (spec.limits().ByteSizeLong() == 0) spec.clear_limits();
  return absl::OkStatus();
}

absl::Status CompleteSocket(const Config& config, ExportSpec& spec) {
  if (spec.socket_path().empty()) spec.set_socket_path(DefaultSocketPath(config, spec.id()));
  std::optional<std::string> path = NormalPath(spec.socket_path());
  if (!path.has_value()) {
    return absl::InvalidArgumentError(
        absl::StrCat("socket_path: '", spec.socket_path(),
                     "' must be an absolute path without . and .. components"));
  }
  spec.set_socket_path(*std::move(path));
  for (const std::string& needed : {spec.socket_path(), ControlSocketPath(config, spec.id())}) {
    if (needed.size() <= os::kMaxSocketPathBytes) continue;
    return ReasonedError(absl::StatusCode::kInvalidArgument, ErrorReason::kSocketPathTooLong,
                         absl::StrCat("socket ", needed, ": ", needed.size(), " bytes; at most ",
                                      os::kMaxSocketPathBytes,
                                      " are possible; choose a shorter path, id or runtime_dir"));
  }
  std::vector<std::string> allowed = config.allow_socket;
  allowed.push_back(config.runtime_dir);
  const bool is_allowed =
      std::any_of(allowed.begin(), allowed.end(), [&spec](const std::string& directory) {
        const auto normal = NormalPath(directory);
        return normal.has_value() && spec.socket_path() != *normal &&
               IsSameOrBelow(spec.socket_path(), *normal);
      });
  const std::string control_directory = JoinPath(config.runtime_dir, "control");
  if (!is_allowed || IsSameOrBelow(spec.socket_path(), control_directory)) {
    return ReasonedError(
        absl::StatusCode::kPermissionDenied, ErrorReason::kSocketNotAllowed,
        absl::StrCat("socket ", spec.socket_path(), ": not below an allowed directory (",
                     absl::StrJoin(allowed, ", "), "; never ", control_directory,
                     "); choose one that is, or add its directory to allow_socket"));
  }
  // Nobody but root can give a file away: there, 0 is the server's own user.
  if (::geteuid() != 0) {
    if (spec.socket_uid() == 0) spec.set_socket_uid(::geteuid());
    if (spec.socket_gid() == 0) spec.set_socket_gid(::getegid());
  }
  if (spec.socket_mode() == 0) spec.set_socket_mode(kDefaultSocketMode);
  if (spec.socket_mode() > 0777) {
    return absl::InvalidArgumentError(
        "socket_mode: only the permission bits 0001 … 0777 are known");
  }
  return absl::OkStatus();
}

}  // namespace

bool IsValidExportId(std::string_view id) {
  return !id.empty() && id.size() <= kMaxIdBytes && IsLowerOrDigit(id.front()) &&
         IsLowerOrDigit(id.back()) &&
         std::all_of(id.begin(), id.end(), [](char c) { return c == '-' || IsLowerOrDigit(c); });
}

std::string DefaultSocketPath(const Config& config, std::string_view id) {
  return JoinPath(config.runtime_dir, absl::StrCat("exports/", Absl(id), ".sock"));
}

std::string ControlSocketPath(const Config& config, std::string_view id) {
  return JoinPath(config.runtime_dir, absl::StrCat("control/", Absl(id), ".sock"));
}

absl::Status CompleteExportSpec(const Config& config, ExportSpec& spec) {
  if (!IsValidExportId(spec.id())) {
    return absl::InvalidArgumentError(
        absl::StrCat("id: '", spec.id(), "' must be 1 to ", kMaxIdBytes,
                     " of a-z, 0-9 and -, beginning and ending with a letter or digit"));
  }
  if (spec.tag().empty() || spec.tag().size() > kMaxTagBytes ||
      spec.tag().find('\0') != std::string::npos) {
    return absl::InvalidArgumentError(
        absl::StrCat("tag: must be 1 to ", kMaxTagBytes, " bytes, without NUL"));
  }
  if (spec.cache() == ExportSpec::CACHE_UNSPECIFIED) spec.set_cache(ExportSpec::CACHE_AUTO);
  if (!ExportSpec::Cache_IsValid(spec.cache())) {
    return absl::InvalidArgumentError(absl::StrCat("cache: unknown policy ", spec.cache()));
  }
  FSD_RETURN_IF_ERROR(CompleteLabels(spec));
  FSD_RETURN_IF_ERROR(CompleteSource(spec));
  FSD_RETURN_IF_ERROR(CompleteSocket(config, spec));
  FSD_RETURN_IF_ERROR(CompleteSandbox(spec));
  return CheckExportBounds(config, spec);
}

bool IsSame(const google::protobuf::MessageLite& a, const google::protobuf::MessageLite& b) {
  return a.SerializeAsString() == b.SerializeAsString();
}

internal::ExportRecord NewExportRecord(ExportSpec spec, std::string request_id) {
  unsigned char uid[16];
  FSD_CHECK(::getrandom(uid, sizeof uid, 0) == sizeof uid);
  internal::ExportRecord record;
  record.set_version(kExportRecordVersion);
  record.set_uid(
      absl::BytesToHexString(absl::string_view(reinterpret_cast<const char*>(uid), sizeof uid)));
  const int64_t now = absl::ToUnixNanos(absl::Now());
  record.set_create_time_unix_nanos(now);
  record.set_update_time_unix_nanos(now);
  *record.mutable_spec() = std::move(spec);
  record.set_request_id(std::move(request_id));
  return record;
}

}  // namespace fsd::supervisor
