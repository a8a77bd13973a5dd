#include "server/sandbox/landlock.h"

#include <linux/landlock.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cstddef>
#include <cstdint>

#include "server/errors/status_macros.h"
#include "server/os/unique_fd.h"

namespace fsd::sandbox {
namespace {

// include/uapi/linux/landlock.h of Linux 6.15; Debian 12's headers are of 6.1.
constexpr uint64_t kTruncate = uint64_t{1} << 14;           // ABI 3, Linux 6.2
constexpr uint64_t kBindTcp = uint64_t{1} << 0;             // ABI 4, Linux 6.7
constexpr uint64_t kConnectTcp = uint64_t{1} << 1;          // ABI 4
constexpr uint64_t kIoctlDev = uint64_t{1} << 15;           // ABI 5, Linux 6.10
constexpr uint64_t kAbstractUnixSocket = uint64_t{1} << 0;  // ABI 6, Linux 6.12
constexpr uint64_t kSignal = uint64_t{1} << 1;              // ABI 6
constexpr unsigned kLogSameExecOff = 1 << 0;                // ABI 7, Linux 6.15

// landlock_ruleset_attr, as of ABI 6.
struct Ruleset {
  uint64_t handled_access_fs;
  uint64_t handled_access_net;  // ABI 4
  uint64_t scoped;              // ABI 6
};

constexpr int kFirstUsableAbi = 2;

constexpr uint64_t kReading = LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR;
// Devices too: whether one may be made is the capabilities' wall, and EPERM.
constexpr uint64_t kChanging =
    LANDLOCK_ACCESS_FS_WRITE_FILE | LANDLOCK_ACCESS_FS_REMOVE_DIR | LANDLOCK_ACCESS_FS_REMOVE_FILE |
    LANDLOCK_ACCESS_FS_MAKE_CHAR | LANDLOCK_ACCESS_FS_MAKE_DIR | LANDLOCK_ACCESS_FS_MAKE_REG |
    LANDLOCK_ACCESS_FS_MAKE_SOCK | LANDLOCK_ACCESS_FS_MAKE_FIFO | LANDLOCK_ACCESS_FS_MAKE_BLOCK |
    LANDLOCK_ACCESS_FS_MAKE_SYM | LANDLOCK_ACCESS_FS_REFER | kTruncate;
constexpr uint64_t kNeverGranted = LANDLOCK_ACCESS_FS_EXECUTE | kIoctlDev;

Ruleset HandledBy(int abi) {
  Ruleset handled{.handled_access_fs = kReading | kChanging | kNeverGranted,
                  .handled_access_net = kBindTcp | kConnectTcp,
                  .scoped = kAbstractUnixSocket | kSignal};
  if (abi < 3) handled.handled_access_fs &= ~kTruncate;
  if (abi < 5) handled.handled_access_fs &= ~kIoctlDev;
  return handled;
}

size_t RulesetBytes(int abi) {
  if (abi < 4) return offsetof(Ruleset, handled_access_net);
  if (abi < 6) return offsetof(Ruleset, scoped);
  return sizeof(Ruleset);
}

}  // namespace

int LandlockAbi() {
  const long abi =
      ::syscall(SYS_landlock_create_ruleset, nullptr, 0, LANDLOCK_CREATE_RULESET_VERSION);
  return abi < 0 ? 0 : static_cast<int>(abi);
}

absl::StatusOr<bool> ConfineToTree(int root, bool read_only) {
  const int abi = LandlockAbi();
  if (abi < kFirstUsableAbi) return false;
  const Ruleset handled = HandledBy(abi);
  const os::UniqueFd ruleset(
      static_cast<int>(::syscall(SYS_landlock_create_ruleset, &handled, RulesetBytes(abi), 0)));
  if (!ruleset.valid()) return ErrnoStatus(Errno::Last(), "landlock_create_ruleset");
  const landlock_path_beneath_attr tree{
      .allowed_access = handled.handled_access_fs & (read_only ? kReading : kReading | kChanging),
      .parent_fd = root};
  if (::syscall(SYS_landlock_add_rule, ruleset.get(), LANDLOCK_RULE_PATH_BENEATH, &tree, 0) != 0) {
    return ErrnoStatus(Errno::Last(), "landlock_add_rule for the export's tree");
  }
  // By default the kernel's audit log has a line for each refusal, so that a guest could fill it.
  const unsigned flags = abi < 7 ? 0 : kLogSameExecOff;
  if (::syscall(SYS_landlock_restrict_self, ruleset.get(), flags) != 0) {
    return ErrnoStatus(Errno::Last(), "landlock_restrict_self");
  }
  return true;
}

}  // namespace fsd::sandbox
