#include "server/sandbox/capabilities.h"

#include <linux/capability.h>
#include <linux/securebits.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cstdint>

#include "absl/strings/str_cat.h"
#include "server/errors/status_macros.h"

namespace fsd::sandbox {
namespace {

absl::Status DropBoundingSet(CapabilitySet kept) {
  // The kernel may know more capabilities than our headers; it ends the walk.
  for (int capability = 0; ::prctl(PR_CAPBSET_READ, capability, 0, 0, 0) >= 0; ++capability) {
    if (kept.Has(capability)) continue;
    if (::prctl(PR_CAPBSET_DROP, capability, 0, 0, 0) != 0) {
      return ErrnoStatus(Errno::Last(), "prctl(PR_CAPBSET_DROP)");
    }
  }
  return absl::OkStatus();
}

absl::Status LockSecureBits() {
  // NO_SETUID_FIXUP and KEEP_CAPS: clear, and locked so.
  constexpr unsigned long kBits = SECBIT_NOROOT | SECBIT_NOROOT_LOCKED |
                                  SECBIT_NO_SETUID_FIXUP_LOCKED | SECBIT_KEEP_CAPS_LOCKED |
                                  SECBIT_NO_CAP_AMBIENT_RAISE | SECBIT_NO_CAP_AMBIENT_RAISE_LOCKED;
  if (::prctl(PR_SET_SECUREBITS, kBits, 0, 0, 0) != 0) {
    return ErrnoStatus(Errno::Last(), "prctl(PR_SET_SECUREBITS)");
  }
  return absl::OkStatus();
}

absl::Status SetOwnSets(CapabilitySet kept) {
  __user_cap_header_struct header{.version = _LINUX_CAPABILITY_VERSION_3, .pid = 0};
  __user_cap_data_struct sets[_LINUX_CAPABILITY_U32S_3] = {};
  for (int word = 0; word < _LINUX_CAPABILITY_U32S_3; ++word) {
    sets[word].permitted = sets[word].effective = static_cast<uint32_t>(kept.bits() >> (32 * word));
  }
  if (::syscall(SYS_capset, &header, sets) != 0) return ErrnoStatus(Errno::Last(), "capset");
  return absl::OkStatus();
}

}  // namespace

CapabilitySet PermittedCapabilities() {
  __user_cap_header_struct header{.version = _LINUX_CAPABILITY_VERSION_3, .pid = 0};
  __user_cap_data_struct sets[_LINUX_CAPABILITY_U32S_3] = {};
  if (::syscall(SYS_capget, &header, sets) != 0) return {};
  return CapabilitySet::OfBits(uint64_t{sets[1].permitted} << 32 | sets[0].permitted);
}

absl::StatusOr<CapabilitySet> ChooseCapabilities(const CapabilityRequest& request) {
  const CapabilitySet permitted = PermittedCapabilities();
  if (const CapabilitySet missing = request.added - request.dropped - permitted; !missing.empty()) {
    return absl::PermissionDeniedError(absl::StrCat(
        "the export asks for capabilities that the server does not have: ", missing.Names(),
        "; start the server with them, or take them out of the "
        "export's sandbox.add_capabilities"));
  }
  const CapabilitySet needed = request.needed - request.dropped;
  if (const CapabilitySet missing = needed - permitted;
      !missing.empty() && !request.content_with_less) {
    return absl::PermissionDeniedError(absl::StrCat(
        "the export needs capabilities that the server does not have: ", missing.Names(),
        "; start the server with them, or let the export do without (its "
        "sandbox.drop_capabilities)"));
  }
  return (needed | (request.added - request.dropped)) & permitted;
}

absl::Status DropCapabilities(CapabilitySet kept, CapabilitySet for_now, Locking locking) {
  if (::prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) != 0) {
    return ErrnoStatus(Errno::Last(), "prctl(PR_CAP_AMBIENT_CLEAR_ALL)");
  }
  // These two need CAP_SETPCAP, which the third gives up.
  if (locking == Locking::kAlways || PermittedCapabilities().Has(CAP_SETPCAP)) {
    FSD_RETURN_IF_ERROR(DropBoundingSet(kept));
    FSD_RETURN_IF_ERROR(LockSecureBits());
  }
  FSD_RETURN_IF_ERROR(SetOwnSets(kept | for_now));
  if (::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) {
    return ErrnoStatus(Errno::Last(), "prctl(PR_SET_NO_NEW_PRIVS)");
  }
  return absl::OkStatus();
}

absl::Status ReduceCapabilities(CapabilitySet kept) { return SetOwnSets(kept); }

}  // namespace fsd::sandbox
