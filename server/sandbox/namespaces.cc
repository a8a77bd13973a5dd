#include "server/sandbox/namespaces.h"

#include <sched.h>
#include <sys/mount.h>

#include "server/errors/status_macros.h"

namespace fsd::sandbox {

absl::Status UnshareNamespaces() {
  constexpr int kNamespaces =
      CLONE_NEWNS | CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS | CLONE_NEWCGROUP;
  if (::unshare(kNamespaces) != 0) return ErrnoStatus(Errno::Last(), "unshare");
  // pivot_root refuses to work under a shared mount.
  if (::mount(nullptr, "/", nullptr, MS_REC | MS_SLAVE, nullptr) != 0) {
    return ErrnoStatus(Errno::Last(), "mount --make-rslave /");
  }
  return absl::OkStatus();
}

}  // namespace fsd::sandbox
