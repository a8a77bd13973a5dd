#include "server/sandbox/capabilities.h"

#include <linux/capability.h>
#include <linux/securebits.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cstdint>

#include "server/errors/status_macros.h"
#include "server/os/capabilities.h"

namespace fsd::sandbox {
namespace {

constexpr uint64_t Bit(int capability) { return uint64_t{1} << capability; }

constexpr uint64_t kKept = Bit(CAP_CHOWN) |         // SETATTR of uid and gid
                           Bit(CAP_DAC_OVERRIDE) |  // the guest has checked permissions itself
                           Bit(CAP_FOWNER) |        // SETATTR of mode and times of others' files
                           Bit(CAP_FSETID) |        // set-group-id bits survive a chmod
                           Bit(CAP_SETGID) |        // create with the caller's gid
                           Bit(CAP_SETUID) |        // create with the caller's uid
                           Bit(CAP_MKNOD) |         // MKNOD of a device (never opened: nodev)
                           Bit(CAP_SETFCAP);        // SETXATTR of security.capability

constexpr uint64_t kHandles = Bit(CAP_DAC_READ_SEARCH);  // open_by_handle_at

absl::Status DropBoundingSet(uint64_t kept) {
  // The kernel may know more capabilities than our headers; it ends the walk.
  for (int capability = 0; ::prctl(PR_CAPBSET_READ, capability, 0, 0, 0) >= 0; ++capability) {
    if ((kept & Bit(capability)) != 0) continue;
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

absl::Status SetOwnSets(uint64_t kept) {
  __user_cap_header_struct header{.version = _LINUX_CAPABILITY_VERSION_3, .pid = 0};
  __user_cap_data_struct sets[_LINUX_CAPABILITY_U32S_3] = {};
  for (int word = 0; word < _LINUX_CAPABILITY_U32S_3; ++word) {
    sets[word].permitted = sets[word].effective = static_cast<uint32_t>(kept >> (32 * word));
  }
  if (::syscall(SYS_capset, &header, sets) != 0) return ErrnoStatus(Errno::Last(), "capset");
  return absl::OkStatus();
}

uint64_t Permitted() {
  __user_cap_header_struct header{.version = _LINUX_CAPABILITY_VERSION_3, .pid = 0};
  __user_cap_data_struct sets[_LINUX_CAPABILITY_U32S_3] = {};
  if (::syscall(SYS_capget, &header, sets) != 0) return 0;
  return sets[0].permitted | (uint64_t{sets[1].permitted} << 32);
}

uint64_t BitsOf(Capabilities capabilities) {
  return kKept | (capabilities == Capabilities::kFilesAndHandles ? kHandles : 0);
}

// `mounting`: SYS_ADMIN too, for now.
absl::Status Drop(uint64_t kept, bool for_ever, bool mounting) {
  if (::prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) != 0) {
    return ErrnoStatus(Errno::Last(), "prctl(PR_CAP_AMBIENT_CLEAR_ALL)");
  }
  // These two need CAP_SETPCAP, which the third gives up.
  if (for_ever) {
    FSD_RETURN_IF_ERROR(DropBoundingSet(kept));
    FSD_RETURN_IF_ERROR(LockSecureBits());
  }
  FSD_RETURN_IF_ERROR(SetOwnSets(kept | (mounting ? Bit(CAP_SYS_ADMIN) : 0)));
  if (::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) {
    return ErrnoStatus(Errno::Last(), "prctl(PR_SET_NO_NEW_PRIVS)");
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status DropCapabilities(Capabilities kept) { return Drop(BitsOf(kept), true, false); }

absl::Status DropAllCapabilitiesBut(Capabilities kept, bool mounting) {
  return Drop(BitsOf(kept) & Permitted() & ~Bit(CAP_MKNOD), os::HasCapability(CAP_SETPCAP),
              mounting);
}

bool MayOpenHandles() { return (Permitted() & kHandles) != 0; }

absl::Status KeepFileCapabilities() { return SetOwnSets(kKept & Permitted()); }
absl::Status KeepHandleCapability() { return SetOwnSets(kHandles); }

}  // namespace fsd::sandbox
