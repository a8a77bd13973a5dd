#include "server/control/sandbox_validation.h"

#include <cstdint>
#include <set>
#include <string>
#include <string_view>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "server/errors/status_macros.h"
#include "server/os/capability_name.h"

namespace fsd::control {
namespace {

using Names = google::protobuf::RepeatedPtrField<std::string>;

constexpr uint64_t kMinMemoryBytes = uint64_t{16} << 20;
constexpr uint64_t kMinOpenFiles = 256;
constexpr uint64_t kMaxOpenFiles = uint64_t{1} << 31;
constexpr uint64_t kMinThreads = 16;
constexpr uint64_t kMaxThreads = uint64_t{1} << 22;  // PID_MAX_LIMIT, what pids.max takes
constexpr uint64_t kMinCpu = 1000;                   // cpu.max takes no less than 1 ms a second
constexpr uint64_t kMaxCpu = uint64_t{8192} * 1'000'000;  // as many processors as Linux knows

std::string KnownNames() {
  return absl::StrJoin(os::CapabilityNames(), ", ", [](std::string* out, std::string_view name) {
    absl::StrAppend(out, Absl(name));
  });
}

// Those of `names` that are in order. `told`: whether the client has been told which there are;
// once an answer.
std::set<std::string> CheckNames(const std::string& field, const Names& names, bool& told,
                                 FieldChecks& checks) {
  std::set<std::string> seen;
  for (int i = 0; i < names.size(); ++i) {
    const std::string at = absl::StrCat(field, "[", i, "]");
    if (!os::CapabilityNumber(names[i]).has_value()) {
      checks.Invalid(at, absl::StrCat(Quoted(names[i]), " is no capability",
                                      told ? "" : "; there are " + KnownNames()));
      told = true;
    } else if (!seen.insert(names[i]).second) {
      checks.Invalid(at, absl::StrCat(names[i], " is named twice; once is enough"));
    }
  }
  return seen;
}

void CheckCapabilities(const v1::Sandbox& sandbox, FieldChecks& checks) {
  const std::string add = "export.sandbox.add_capabilities";
  const std::string drop = "export.sandbox.drop_capabilities";
  bool told = false;
  const std::set<std::string> added = CheckNames(add, sandbox.add_capabilities(), told, checks);
  const std::set<std::string> dropped = CheckNames(drop, sandbox.drop_capabilities(), told, checks);
  for (const std::string& name : dropped) {
    if (!added.contains(name)) continue;
    checks.Invalid(drop, absl::StrCat(name, " is among add_capabilities too; name it in one list"));
  }
}

void CheckLimit(const char* name, uint64_t value, uint64_t least, uint64_t most,
                FieldChecks& checks) {
  if (value == 0 || (value >= least && value <= most)) return;
  checks.Invalid(
      absl::StrCat("export.sandbox.limits.", name),
      most == UINT64_MAX
          ? absl::StrCat(value, " is less than ", least, "; 0 is no limit")
          : absl::StrCat(value, " is not 0, for no limit, or from ", least, " to ", most));
}

void CheckLimits(const v1::Export& resource, FieldChecks& checks) {
  const v1::Limits& limits = resource.sandbox().limits();
  CheckLimit("memory_bytes", limits.memory_bytes(), kMinMemoryBytes, UINT64_MAX, checks);
  CheckLimit("open_files", limits.open_files(), kMinOpenFiles, kMaxOpenFiles, checks);
  CheckLimit("threads", limits.threads(), kMinThreads, kMaxThreads, checks);
  CheckLimit("cpu_microseconds_per_second", limits.cpu_microseconds_per_second(), kMinCpu, kMaxCpu,
             checks);
  const uint64_t inode_fds = resource.inodes().max_file_descriptors();
  if (limits.open_files() != 0 && inode_fds >= limits.open_files()) {
    checks.Invalid("export.sandbox.limits.open_files",
                   absl::StrCat(limits.open_files(), " leaves no room for ", inode_fds,
                                " of inodes.max_file_descriptors; raise it or lower that"));
  }
}

// What only a worker with a mount namespace, or namespaces at all, can have.
void CheckModeSuits(const v1::Export& resource, FieldChecks& checks) {
  const v1::Sandbox::Mode mode = resource.sandbox().mode();
  if (mode != v1::Sandbox::CHROOT && mode != v1::Sandbox::NONE) return;
  const auto needs_namespaces = [&](const char* field, bool is_set) {
    if (!is_set) return;
    checks.Invalid(
        absl::StrCat("export.ids.", field),
        absl::StrCat("needs sandbox.mode NAMESPACE, not ", v1::Sandbox::Mode_Name(mode)));
  };
  needs_namespaces("uid_namespace", !resource.ids().uid_namespace().empty());
  needs_namespaces("gid_namespace", !resource.ids().gid_namespace().empty());
  needs_namespaces("uid_mount", !resource.ids().uid_mount().empty());
  needs_namespaces("gid_mount", !resource.ids().gid_mount().empty());
}

// Handles are opened by who reads any file.
void CheckHandlesCanBeOpened(const v1::Export& resource, FieldChecks& checks) {
  if (resource.inodes().host_handles() != v1::Inodes::ALWAYS) return;
  for (const std::string& name : resource.sandbox().drop_capabilities()) {
    if (name != "CAP_DAC_OVERRIDE" && name != "CAP_DAC_READ_SEARCH") continue;
    checks.Invalid("export.inodes.host_handles",
                   absl::StrCat("ALWAYS takes ", name,
                                ", which sandbox.drop_capabilities names; use PREFER or NEVER, or "
                                "leave it"));
  }
}

}  // namespace

void CheckSandbox(const v1::Export& resource, FieldChecks& checks) {
  CheckCapabilities(resource.sandbox(), checks);
  CheckLimits(resource, checks);
  CheckModeSuits(resource, checks);
  CheckHandlesCanBeOpened(resource, checks);
}

}  // namespace fsd::control
