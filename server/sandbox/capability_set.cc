#include "server/sandbox/capability_set.h"

#include <linux/capability.h>

#include <algorithm>
#include <iterator>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"

namespace fsd::sandbox {
namespace {

// By number.
constexpr std::string_view kNames[] = {
    "CAP_CHOWN",
    "CAP_DAC_OVERRIDE",
    "CAP_DAC_READ_SEARCH",
    "CAP_FOWNER",
    "CAP_FSETID",
    "CAP_KILL",
    "CAP_SETGID",
    "CAP_SETUID",
    "CAP_SETPCAP",
    "CAP_LINUX_IMMUTABLE",
    "CAP_NET_BIND_SERVICE",
    "CAP_NET_BROADCAST",
    "CAP_NET_ADMIN",
    "CAP_NET_RAW",
    "CAP_IPC_LOCK",
    "CAP_IPC_OWNER",
    "CAP_SYS_MODULE",
    "CAP_SYS_RAWIO",
    "CAP_SYS_CHROOT",
    "CAP_SYS_PTRACE",
    "CAP_SYS_PACCT",
    "CAP_SYS_ADMIN",
    "CAP_SYS_BOOT",
    "CAP_SYS_NICE",
    "CAP_SYS_RESOURCE",
    "CAP_SYS_TIME",
    "CAP_SYS_TTY_CONFIG",
    "CAP_MKNOD",
    "CAP_LEASE",
    "CAP_AUDIT_WRITE",
    "CAP_AUDIT_CONTROL",
    "CAP_SETFCAP",
    "CAP_MAC_OVERRIDE",
    "CAP_MAC_ADMIN",
    "CAP_SYSLOG",
    "CAP_WAKE_ALARM",
    "CAP_BLOCK_SUSPEND",
    "CAP_AUDIT_READ",
    "CAP_PERFMON",
    "CAP_BPF",
    "CAP_CHECKPOINT_RESTORE",
};
static_assert(std::size(kNames) == CAP_LAST_CAP + 1);
static_assert(kNames[CAP_SYS_ADMIN] == "CAP_SYS_ADMIN");
static_assert(kNames[CAP_SETFCAP] == "CAP_SETFCAP");
static_assert(kNames[CAP_LAST_CAP] == "CAP_CHECKPOINT_RESTORE");

constexpr int kBits = 64;

}  // namespace

std::string CapabilitySet::Names() const {
  std::vector<std::string> names;
  for (int capability = 0; capability < kBits; ++capability) {
    if (Has(capability)) names.push_back(CapabilityName(capability));
  }
  return absl::StrJoin(names, ", ");
}

std::string CapabilityName(int capability) {
  if (capability >= 0 && capability <= CAP_LAST_CAP) return std::string(kNames[capability]);
  return absl::StrCat("CAP_", capability);
}

std::optional<int> CapabilityNamed(std::string_view name) {
  const auto* found = std::find(std::begin(kNames), std::end(kNames), name);
  if (found == std::end(kNames)) return std::nullopt;
  return static_cast<int>(found - std::begin(kNames));
}

}  // namespace fsd::sandbox
