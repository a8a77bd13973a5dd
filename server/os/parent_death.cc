#include "server/os/parent_death.h"

#include <sys/prctl.h>
#include <unistd.h>

#include <csignal>

namespace fsd::os {

ErrnoOr<void> DieWithParent(pid_t parent) {
  if (::prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) != 0) return Errno::Last();
  // It may have ended before it was watched.
  if (::getppid() != parent) return Errno(ESRCH);
  return {};
}

}  // namespace fsd::os
