#include "server/sandbox/worker_capabilities.h"

#include <linux/capability.h>

namespace fsd::sandbox {
namespace {

// The guest has checked permissions itself. Not DAC_READ_SEARCH, though it would do for reading: it
// opens any inode of the file system by handle.
constexpr CapabilitySet kReading = {CAP_DAC_OVERRIDE};

constexpr CapabilitySet kChanging = {
    CAP_CHOWN,   // SETATTR of uid and gid
    CAP_FOWNER,  // SETATTR of mode and times of others' files; sticky directories; O_NOATIME, which
                 // has nothing to save where nothing is written
    CAP_FSETID,  // set-group-id bits survive a chmod
    CAP_SETGID,  // create with the caller's gid
    CAP_SETUID,  // create with the caller's uid
};

constexpr CapabilitySet kDevices = {CAP_MKNOD};  // MKNOD of a device

constexpr CapabilitySet kChangingXattrs = {CAP_SETFCAP};  // SETXATTR of security.capability

constexpr CapabilitySet kHandles = {CAP_DAC_READ_SEARCH};  // open_by_handle_at

// Opening an inode for I/O or linking it, in the data plane's place.
constexpr CapabilitySet kInDataPlanesPlace = {
    CAP_DAC_OVERRIDE,  // as above
    CAP_FOWNER,        // O_NOATIME; links to others' files (sysctl fs.protected_hardlinks)
};

}  // namespace

CapabilitySet DataPlaneCapabilities(const CapabilityNeeds& needs) {
  if (needs.read_only) return kReading;
  return kReading | kChanging | (needs.xattr ? kChangingXattrs : CapabilitySet()) |
         (needs.devices ? kDevices : CapabilitySet());
}

CapabilitySet HandleKeeperCapabilities(bool read_only, CapabilitySet data_plane) {
  return kHandles | (read_only ? CapabilitySet() : data_plane & kInDataPlanesPlace);
}

}  // namespace fsd::sandbox
